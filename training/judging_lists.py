"""Judge whole lists: the next article of a log and of ordered pasts, and what lists are like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle
from recsys.schemas import Exposure
from recsys.snapshot import read_state
from recsys.state import State
from training.baselines import Baseline, cosine_mean, item_knn
from training.learn import openings
from training.list_lessons import state_of_pasts
from training.metrics import cluster_bootstrap
from training.moments import Moments
from training.next_article import (
    NAMES,
    Found,
    Refreshed,
    counts_at,
    judge_pasts,
    judge_reads,
    learned_baseline,
)
from training.readers import EventLog
from training.reads import Past, fold_of, next_reads, sample, sequences

Floats = NDArray[np.float64]
SURFACES = ("related", "for_you")
_NDCG10 = NAMES.index("ndcg@10")


@dataclass(frozen=True)
class Asked:
    """What is to be judged.

    Attributes:
        since, until: unix seconds of the openings.
        most: reads judged of each surface and of the pasts, drawn at random.
        seed: of draws, ties and resampling.
    """

    since: float
    until: float
    most: int
    seed: int

    @classmethod
    def within(cls, span: tuple[datetime | None, datetime | None], most: int, seed: int) -> "Asked":
        """Openings with span[0] <= ts < span[1]."""
        since, until = span
        return cls(
            -np.inf if since is None else since.timestamp(),
            np.inf if until is None else until.timestamp(),
            most,
            seed,
        )


def judge_lists(
    bundle: Bundle,
    add_articles: Callable[[State], None],
    log: EventLog,
    exposures: Sequence[Exposure],
    asked: Asked,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The evaluation's ``lists`` object.

    Args:
        bundle: to be judged.
        add_articles: puts articles of the data that the bundle never saw into a state.
        log: whole, in time order.
        exposures: of the whole data, for pasts.
        asked: what is to be judged.
        say: told of each step.

    Returns:
        ``next_article`` by surface, ``histories`` where the data has ordered pasts, and ``beyond`` by
        surface; see ``docs/evaluation.md``.
    """
    found: dict[str, Any] = {"next_article": {}, "histories": {}, "beyond": {}}
    for surface in SURFACES:
        judged = _dated(bundle, add_articles, log, exposures, surface, asked, say)
        if judged is not None:
            found["next_article"][surface] = told(judged, asked.seed)
            found["beyond"][surface] = judged.beyond.measures()
    judged = _pasts(bundle, add_articles, exposures, asked, say)
    if judged is not None:
        cold = np.array(judged.cold)
        found["histories"]["related"] = told(judged, asked.seed)
        found["histories"]["related_cold"] = told(judged, asked.seed, cold)
        found["beyond"]["histories"] = judged.beyond.measures()
    return found


def _dated(
    bundle: Bundle,
    add_articles: Callable[[State], None],
    log: EventLog,
    exposures: Sequence[Exposure],
    surface: str,
    asked: Asked,
    say: Callable[[str], None],
) -> Found | None:
    watermark = float(bundle.manifest["watermark"] or -np.inf)
    state = read_state(bundle)
    add_articles(state)
    lag = state.config.train.serving_lag_minutes * 60.0
    # what the bundle has counted already cannot be judged
    since = max(asked.since, watermark + 2.0 * lag)
    reads = next_reads(log, surface, since, asked.until, lag)
    reads = [read for read in sample(reads, asked.most, asked.seed) if read.asked - lag >= watermark]
    if not reads:
        return None
    say(f"{surface}: {len(reads):,} next reads are judged")
    rows, readers, ts = openings(state, log, exposures)
    baselines = Refreshed(state, rows, readers, ts, watermark)
    moments = Moments(state, log, watermark)
    return judge_reads(moments, log, reads, surface, baselines.at, asked.seed, lag)


def _pasts(
    bundle: Bundle,
    add_articles: Callable[[State], None],
    exposures: Sequence[Exposure],
    asked: Asked,
    say: Callable[[str], None],
) -> Found | None:
    state = read_state(bundle)
    add_articles(state)
    row_of = {name: row for row, name in enumerate(state.catalog.ids) if state.catalog.is_known(row)}
    pasts = sequences(exposures, row_of)
    seed = state.config.train.seed
    held_out = [past for past in pasts if fold_of(past, seed) == 0]
    known = [past for past in pasts if fold_of(past, seed) != 0]
    if not held_out or not known:
        return None
    say(f"ordered pasts: {len(held_out):,} readers are judged, the lists learn from {len(known):,} others")
    fresh = state_of_pasts(state, known)
    found = judge_pasts(fresh, held_out, _of_pasts(fresh, known), asked.most, asked.seed)
    return found if found.clusters else None


def _of_pasts(state: State, known: Sequence[Past]) -> dict[str, Baseline]:
    rows = np.concatenate([past.rows for past in known])
    lengths = [len(past.rows) for past in known]
    readers = np.repeat(np.array([past.beginning for past in known], np.uint64), lengths)
    ts, size = np.zeros(len(rows)), len(state.catalog)
    learned = {
        name: learned_baseline(name, rows, readers, ts, size)
        for name in ("session_knn", "implicit_item_item")
    }
    popular = counts_at(max(state.config.popularity.half_lives_hours))
    return {"popularity": popular, "item_knn": item_knn, "cosine": cosine_mean, **learned}


def told(found: Found, seed: int, inside: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """Means and intervals of every model, and the funnel's values as shares of each.

    Args:
        found: of one surface.
        seed: of the resampling.
        inside: (m,) which reads count, None all.
    """
    clusters = np.array(found.clusters, dtype=np.int64)
    keep = np.ones(len(clusters), dtype=bool) if inside is None else inside
    if not keep.any():
        return {"reads": 0, "left_out": found.left_out}
    values = {name: np.array(rows)[keep] for name, rows in found.values.items()}
    answer = {
        "reads": int(keep.sum()),
        "left_out": found.left_out,
        "models": _means(values, clusters[keep], seed),
        "funnel_against": ratios("funnel", values, clusters[keep], seed),
    }
    decayed = [name for name in values if name.startswith("decayed")]
    if "frozen_counts" in values and decayed:
        best = max(decayed, key=lambda name: values[name][:, _NDCG10].mean())
        pair = {name: values[name] for name in (best, "frozen_counts")}
        shares = ratios(best, pair, clusters[keep], seed)["frozen_counts"]
        answer["decayed_against_frozen"] = {"signal": best, **shares}
    return answer


def _means(values: dict[str, Floats], clusters: NDArray[np.int64], seed: int) -> dict[str, Any]:
    means = np.column_stack([table.mean(axis=0) for table in values.values()])
    low, high = cluster_bootstrap(np.column_stack(list(values.values())), clusters, seed)
    width, found = len(NAMES), {}
    for at, name in enumerate(values):
        part = slice(at * width, (at + 1) * width)
        bounds = zip(NAMES, low[part].tolist(), high[part].tolist(), strict=True)
        found[name] = {
            **dict(zip(NAMES, means[:, at].tolist(), strict=True)),
            "ci": {metric: [below, above] for metric, below, above in bounds},
            "reads": len(clusters),
        }
    return found


def ratios(
    ours: str, values: dict[str, Floats], clusters: NDArray[np.int64], seed: int
) -> dict[str, dict[str, Any]]:
    """One model's metrics as shares of each other's, with paired 95% intervals; None over nothing."""
    names, width = [ours, *(name for name in values if name != ours)], len(NAMES)
    table = np.column_stack([values[name] for name in names])

    def shares(means: Floats) -> Floats:
        below = np.where(means[:, width:] > 0, means[:, width:], np.nan)
        return np.asarray(np.tile(means[:, :width], len(names) - 1) / below)

    middle = shares(table.mean(axis=0, keepdims=True))[0]
    low, high = cluster_bootstrap(table, clusters, seed, shares)
    found: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(names[1:]):
        row = found[name] = {}
        for k, metric in enumerate(NAMES):
            place = at * width + k
            row[metric] = _number(middle[place])
            row[f"{metric}_ci"] = [_number(low[place]), _number(high[place])]
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
