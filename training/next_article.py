"""The next-article protocol: the whole live catalogue is ranked before each opening of a log.

Rolling in time: a list is made from what was known then, less the serving lag; the funnel's own slate is
judged at 20, and every baseline ranks the same eligible articles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recsys.pipeline import Funnel, Query
from recsys.profile import Reader
from recsys.state import State
from training.baselines import (
    Asked,
    Baseline,
    Frozen,
    ImplicitItems,
    SessionKnn,
    cosine_mean,
    cosine_nearest,
    item_knn,
    newest,
)
from training.beyond import Beyond
from training.moments import Moments
from training.readers import EventLog
from training.reads import NextRead, Past

Rows = NDArray[np.int32]
Floats = NDArray[np.float64]
AT = 20
NAMES = ("hr@20", "ndcg@20", "ndcg@10")
PLAIN_FUNNEL = "funnel_without_diversity"
_HOUR, _DAY = 3600.0, 86_400.0
_REFRESHED = 200_000


def gains(rank: float) -> tuple[float, float, float]:
    """Values of ``NAMES`` for the 1-based rank of the one article that was opened.

    Example:
        >>> gains(1.0)
        (1.0, 1.0, 1.0)
    """
    discounted = float(1.0 / np.log2(1.0 + rank))
    return float(rank <= AT), discounted * (rank <= AT), discounted * (rank <= 10)


def rank_of(scores: Floats, target: int, rng: np.random.Generator) -> float:
    """1-based rank of the score at ``target``; ties broken by ``rng``, NaN ranks last.

    Example:
        >>> rank_of(np.array([0.3, 0.9, 0.5]), 2, np.random.default_rng(0))
        2.0
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    own = scores[target]
    equal = int(np.count_nonzero(scores == own))
    return float(1 + np.count_nonzero(scores > own) + rng.integers(equal))


@dataclass
class Found:
    """What one surface's reads gave.

    Attributes:
        values: by model, (m, 3) columns as ``NAMES``.
        clusters: (m,) readers.
        cold: (m,) whether the article opened next had never been opened before.
        beyond: measures of the lists.
        left_out: reads whose article was not there yet when the list was made.
    """

    beyond: Beyond
    values: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    clusters: list[int] = field(default_factory=list)
    cold: list[bool] = field(default_factory=list)
    left_out: int = 0


class Ranking:
    """Ranks the eligible catalogue by the funnel and by baselines.

    Args:
        surface: ``related`` or ``for_you``.
        baselines: by name.
        seed: of ties and of the random baseline.
    """

    def __init__(self, surface: str, found: Found, seed: int) -> None:
        self.surface, self.found = surface, found
        self._rng = np.random.default_rng(seed)

    def take(
        self, state: State, query: Query, target: int, cluster: int, baselines: Mapping[str, Baseline]
    ) -> None:
        """Judge one read: ``target`` was opened after the list of ``query``."""
        funnel, size = Funnel(state), len(state.catalog)
        past = query.reader.rows if query.reader is not None and self.surface == "for_you" else ()
        eligible = funnel.eligibility(replace(query, exclude=list(past)), self.surface)
        everything = np.arange(size, dtype=np.int32)
        rows = everything[eligible.mask(state.catalog, everything)]
        at = np.flatnonzero(rows == target)
        if len(at) == 0:
            self.found.left_out += 1
            return
        self.found.clusters.append(cluster)
        counts = state.popularity.openings
        self.found.cold.append(not counts.read(query.now, counts.masses.shape[1] - 1, rows[at])[0] > 0)
        self.found.beyond.read(target)
        for name, changed in (("funnel", None), (PLAIN_FUNNEL, 0.0)):
            slate = funnel.slate(self.surface, replace(query, limit=AT, diversity=changed))
            listed = np.array([item.row for item in slate.items], dtype=np.int32)
            place = np.flatnonzero(listed == target)
            self._note(name, float(place[0]) + 1.0 if len(place) else np.inf, listed)
        half_life = state.config.surfaces.of(self.surface).half_life_hours
        asked = Asked(state, query, rows, self.surface, half_life)
        for name, baseline in baselines.items():
            self._judge(name, baseline(asked), rows, int(at[0]))
        self._judge("random", self._rng.random(len(rows)), rows, int(at[0]))

    def _judge(self, name: str, scores: Floats, rows: Rows, at: int) -> None:
        best = np.argpartition(-np.nan_to_num(scores, nan=-np.inf), min(10, len(rows)) - 1)[:10]
        self._note(name, rank_of(scores, at, self._rng), rows[best])

    def _note(self, name: str, rank: float, listed: Rows) -> None:
        self.found.values.setdefault(name, []).append(gains(rank))
        self.found.beyond.listed(name, listed)


def counts_at(half_life_hours: float) -> Baseline:
    """Decayed distinct readers at one half-life."""

    def scores(asked: Asked) -> Floats:
        counts = asked.state.popularity
        return counts.openings.read(asked.query.now, counts.column(half_life_hours), asked.rows)

    return scores


class Refreshed:
    """Baselines that a log teaches: session-kNN again for each hour, the item-item model for each day.

    Item-kNN and decayed counts follow the log by themselves, as parts of the state. A log of more than
    200,000 openings teaches once, up to the first judged moment.

    Args:
        state: for rows of articles and half-lives.
        rows, readers, ts: (m,) the log's openings by reader and time, each article once a reader.
        watermark: unix seconds at which the frozen counts stand still.
    """

    def __init__(
        self, state: State, rows: Rows, readers: NDArray[np.uint64], ts: Floats, watermark: float
    ) -> None:
        self._rows, self._readers, self._ts = rows, readers, ts
        self._size = len(state.catalog)
        frozen = np.bincount(rows[ts <= watermark], minlength=self._size).astype(np.float64)
        hours = [hour for hour in (1.0, 4.0, 24.0, 168.0) if hour in state.config.popularity.half_lives_hours]
        self._found: dict[str, Baseline] = {
            "newest": newest,
            "frozen_counts": Frozen(frozen),
            **{f"decayed_counts_{hour:g}h": counts_at(hour) for hour in hours},
            "item_knn": item_knn,
        }
        if state.index.has.any():
            self._found |= {"cosine_mean": cosine_mean, "cosine_nearest": cosine_nearest}
        self._until = {"session_knn": -np.inf, "implicit_item_item": -np.inf}

    def at(self, ts: float) -> dict[str, Baseline]:
        """Baselines that know nothing from ``ts`` (unix seconds) on."""
        for name, every in (("session_knn", _HOUR), ("implicit_item_item", _DAY)):
            until = float(np.floor(ts / every) * every)
            if name not in self._found or (until > self._until[name] and len(self._ts) <= _REFRESHED):
                self._until[name] = until
                known = self._ts < until
                self._found[name] = learned_baseline(
                    name, self._rows[known], self._readers[known], self._ts[known], self._size
                )
        return self._found


def learned_baseline(name: str, rows: Rows, readers: NDArray[np.uint64], ts: Floats, size: int) -> Baseline:
    """Session-kNN on visits that end with a pause of a day, or implicit's item-item model of readers."""
    if name == "implicit_item_item":
        return ImplicitItems(readers.astype(np.int64), rows, size)
    breaks = np.ones(len(rows), dtype=bool)
    breaks[1:] = (readers[1:] != readers[:-1]) | (np.diff(ts) > _DAY)
    return SessionKnn(np.cumsum(breaks), rows, size)


def judge_reads(
    moments: Moments,
    log: EventLog,
    reads: Sequence[NextRead],
    surface: str,
    baselines: Callable[[float], Mapping[str, Baseline]],
    seed: int,
    lag: float,
) -> Found:
    """Judge the reads of one surface while the log is replayed behind them.

    Args:
        moments: a state that knows nothing of the judged time yet; it is moved on.
        log: the reads' own.
        reads: in order of ``asked``.
        surface: ``related`` or ``for_you``.
        baselines: those that may be used at a time.
        seed: of ties.
        lag: seconds by which counters are late.
    """
    state = moments.state
    row_of = [state.catalog.refer(name) for name in log.article_ids]
    found = Found(Beyond(state))
    ranking = Ranking(surface, found, seed)
    for read in reads:
        # a for_you list is asked for a lag before the opening already
        known = read.asked - lag if surface == "related" else read.asked
        moments.until(known)
        context = row_of[read.context] if read.context >= 0 else None
        reader = state.histories.of(read.reader) if surface == "for_you" else None
        if reader is not None and len(reader.rows) == 0:
            found.left_out += 1
            continue
        query = Query(now=read.asked, context=context, reader=reader)
        ranking.take(state, query, row_of[read.target], read.reader >> 1, baselines(known))
    return found


def judge_pasts(
    state: State, held_out: Sequence[Past], baselines: Mapping[str, Baseline], most: int, seed: int
) -> Found:
    """Judge each held-out reader's ordered past: the list beside each article, and the one opened next.

    Args:
        state: that learned from other readers only.
        held_out: pasts of readers it has not seen.
        baselines: learned from the same other readers.
        most: steps judged, drawn at random.
        seed: of the draw and of ties.
    """
    found = Found(Beyond(state))
    ranking = Ranking("related", found, seed)
    now = state.popularity.watermark + 1.0
    steps = [(past, at) for past in held_out for at in range(1, len(past.rows))]
    chosen = np.random.default_rng(seed).permutation(len(steps))[:most]
    for past, at in (steps[k] for k in np.sort(chosen).tolist()):
        query = Query(now=now, context=int(past.rows[at - 1]), reader=Reader(past.rows[:at][::-1]))
        ranking.take(state, query, int(past.rows[at]), past.reader >> 1, baselines)
    return found
