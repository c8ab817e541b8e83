"""Score judged lists with the funnel and every baseline, each with what was known at its moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle
from recsys.counters import HOUR
from recsys.pipeline import Funnel, Query
from recsys.popularity import Popularity
from recsys.profile import Histories, reader_key
from recsys.schemas import Article, Exposure
from recsys.state import State
from training.attribution import Labels
from training.baselines import PLAIN, Asked, Baseline, Frozen, ImplicitItems, SessionKnn, Tfidf
from training.insight import Insight
from training.learn import openings, trails_of
from training.metrics import Table, impression_metrics
from training.moments import Moments, as_counted
from training.readers import EventLog

_COLD = 5
_HEAD = 0.1


@dataclass
class Judged:
    """What was found, a row for each impression with a click and a non-click.

    Attributes:
        tables: metrics by model.
        traits: facts of each impression that slices are cut by.
        scored: rows of the funnel's scores.
        early: lists before the bundle's watermark, scored without counters.
        insight: what each part of the score did, predicted click rates.
    """

    tables: dict[str, Table]
    traits: dict[str, NDArray[Any]]
    scored: dict[str, list[Any]]
    early: int
    insight: Insight = field(default_factory=Insight)


@dataclass
class _Notes:
    values: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)
    clusters: list[int] = field(default_factory=list)
    traits: dict[str, list[Any]] = field(default_factory=dict)
    scored: dict[str, list[Any]] = field(
        default_factory=lambda: {"request_id": [], "article_id": [], "score": [], "clicked": []}
    )


class Judge:
    """Takes exposures in time order while the log is replayed behind them.

    Args:
        state: of the bundle, with every article of the data.
        log: whole, in time order.
        exposures: of the whole data, for impressions where the log has none.
        bundle: for its watermark.
        articles: of the data, for TF-IDF.
        clicks: of the exposures.
        seed: of ties and of the random baseline.
    """

    def __init__(
        self,
        state: State,
        log: EventLog,
        exposures: Sequence[Exposure],
        bundle: Bundle,
        articles: Mapping[str, Article],
        clicks: Labels,
        seed: int,
    ) -> None:
        watermark = bundle.manifest["watermark"]
        self._watermark = float("-inf") if watermark is None else float(watermark)
        self._lag = state.config.train.serving_lag_minutes * 60.0
        self.state, self._rng = state, np.random.default_rng(seed)
        known = [exposure for exposure in exposures if exposure.ts.timestamp() <= self._watermark]
        self._baselines = baselines_before(state, log.between(-np.inf, self._watermark), known, articles)
        self._moments = Moments(state, as_counted(state, log, exposures, clicks), self._watermark)
        self._blank = _blank(state)
        self._notes, self._early = _Notes(), 0
        self._insight = Insight.of(bundle.manifest.get("metrics", {}), seed)

    def take(self, exposure: Exposure, clicked: frozenset[str]) -> None:
        """Score one exposure with what was known before it."""
        ts = exposure.ts.timestamp()
        early = ts <= self._watermark
        self._early += early
        state = self._blank if early else self._moments.until(ts - self._lag)
        query, rows = self._moments.query(state, exposure)
        for part in (state.popularity, state.index):
            part.resize(len(state.catalog))
        labels = np.array([item.article_id in clicked for item in exposure.items], dtype=bool)
        known = Funnel(state).scorable(rows)
        ranked = Funnel(state).scored(exposure.surface, query, rows[known])
        funnel = np.full(len(rows), np.nan)
        funnel[known] = ranked.scores
        scores = {"funnel": funnel, **self._score(state, exposure, query, rows)}
        self._keep_scores(exposure, scores["funnel"], labels)
        if labels.any() and not labels.all():
            reader = reader_key(exposure.reader) >> 1
            self._notes.clusters.append(reader)
            self._insight.take(state, exposure.surface, ranked, scores["funnel"], labels, reader)
            self._insight.remember(exposure.surface, query.reader)
            for name, values in scores.items():
                found = impression_metrics(values, labels, self._rng)
                self._notes.values.setdefault(name, []).append(found)
            for name, value in self._traits(state, query, rows[labels], ts).items():
                self._notes.traits.setdefault(name, []).append(value)

    def _score(
        self,
        state: State,
        exposure: Exposure,
        query: Query,
        rows: NDArray[np.int32],
    ) -> dict[str, NDArray[np.float64]]:
        surface = exposure.surface
        half_life = state.config.surfaces.of(surface).half_life_hours
        asked = Asked(state, query, rows, surface, half_life)
        found = {"content_blend": Funnel(blend_only(state)).score(surface, query, rows)}
        found |= {name: baseline(asked) for name, baseline in self._baselines.items()}
        return found | {"random": self._rng.random(len(rows))}

    def _keep_scores(
        self, exposure: Exposure, scores: NDArray[np.float64], labels: NDArray[np.bool_]
    ) -> None:
        kept = self._notes.scored
        kept["request_id"] += [exposure.request_id] * len(labels)
        kept["article_id"] += [item.article_id for item in exposure.items]
        kept["score"] += scores.tolist()
        kept["clicked"] += labels.tolist()

    def _traits(self, state: State, query: Query, clicked: NDArray[np.int32], ts: float) -> dict[str, Any]:
        catalog, counts = state.catalog, state.popularity
        column = int(np.argmin(np.abs(counts.openings.half_lives - 24.0 * HOUR)))
        masses = counts.openings.read(ts, column)
        positive = masses[masses > 0]
        head = float(np.quantile(positive, 1.0 - _HEAD)) if len(positive) else np.inf
        ages = (ts - catalog.published[clicked]) / HOUR
        code = int(catalog.section[clicked[0]])
        past = query.reader.rows if query.reader is not None else ()
        horizon = (ts - self._watermark) / (24.0 * HOUR)
        return {
            "past": len(past),
            "youngest": float(np.nanmin(ages)) if not np.isnan(ages).all() else np.nan,
            "unopened": not counts.openings.any_mass(clicked).any(),
            "head": bool((masses[clicked] >= head).any()),
            "section": catalog.sections.names[code] if code >= 0 else "",
            "days_after_fit": horizon if np.isfinite(horizon) else np.nan,
        }

    def result(self) -> Judged:
        """Everything judged so far."""
        clusters = np.array(self._notes.clusters, dtype=np.int64)
        tables = {name: Table(np.array(values), clusters) for name, values in self._notes.values.items()}
        traits = {name: np.array(values) for name, values in self._notes.traits.items()}
        return Judged(tables, traits, self._notes.scored, self._early, self._insight)


def blend_only(state: State) -> State:
    """The same state without learned rankers."""
    learned = replace(state.learned, rankers={})
    return State(
        state.config, state.catalog, state.index, state.neighbours, state.popularity, state.histories, learned
    )


def _blank(state: State) -> State:
    """The same catalogue before anything was counted."""
    counts = Popularity(state.config.popularity, len(state.catalog))
    pasts = Histories(state.config.profile)
    return State(state.config, state.catalog, state.index, state.neighbours, counts, pasts, state.learned)


def baselines_before(
    state: State, log: EventLog, exposures: Sequence[Exposure], articles: Mapping[str, Article]
) -> dict[str, Baseline]:
    """All but random; what is learned is learned from this log, which ends before what is judged."""
    catalog = state.catalog
    texts = [
        f"{articles[name].title} {articles[name].abstract or ''}" if name in articles else ""
        for name in catalog.ids
    ]
    rows, readers, ts = openings(state, log, exposures)
    size = len(catalog)
    trails = trails_of(rows, readers, ts, state.config)
    frozen = np.bincount(rows, minlength=size).astype(np.float64)
    return {
        **PLAIN,
        "frozen_counts": Frozen(frozen),
        "tfidf": Tfidf(texts),
        "session_knn": SessionKnn(trails.visits, rows, size),
        "implicit_item_item": ImplicitItems(readers.astype(np.int64), rows, size),
    }
