"""Offline evaluation through the serving funnel, at each moment with only what was known then."""

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import features
from recsys.bundle import Bundle
from recsys.catalog import Catalog
from recsys.config import Config
from recsys.errors import DataError
from recsys.pipeline import Funnel, Query
from recsys.popularity import Popularity
from recsys.profile import Histories, Reader, reader_key
from recsys.schemas import EVENT_TYPES, Article, Exposure
from recsys.snapshot import read_state
from recsys.state import State
from training.embed import SentenceTransformerEmbedder
from training.fit import CACHE, embed_articles
from training.metrics import NAMES, Table, cluster_bootstrap, impression_metrics
from training.readers import EventLog, read_articles, read_event_log, read_events, read_exposures

_CLICK = EVENT_TYPES.index("click")
Scores = NDArray[np.float64]


@dataclass
class Result:
    """What an evaluation found.

    Attributes:
        tables: metrics per judged impression by model, ``funnel`` first.
        scored: rows of the funnel's scores: request_id, article_id, score, clicked.
        notes: what a reader of the figures must know.
        seed: of ties and resampling.
    """

    tables: dict[str, Table]
    scored: dict[str, list[Any]]
    notes: list[str]
    seed: int
    slices: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The contract's JSON values."""
        return {
            "rankings": {name: self._row(table) for name, table in self.tables.items()},
            "lists": {},
            "slices": self.slices,
            "notes": self.notes,
        }

    def _row(self, table: Table) -> dict[str, Any]:
        low, high = cluster_bootstrap(table.values, table.clusters, self.seed)
        intervals = {name: [float(low[k]), float(high[k])] for k, name in enumerate(NAMES)}
        return {**table.means(), "ci": intervals, "impressions": len(table.values)}

    def as_json(self) -> bytes:
        """The same as UTF-8 JSON."""
        return json.dumps(self.as_dict(), indent=2).encode()

    def write_scores(self, path: Path) -> None:
        """Parquet rows request_id, article_id, score, clicked."""
        schema = pa.schema(
            [
                ("request_id", pa.string()),
                ("article_id", pa.string()),
                ("score", pa.float64()),
                ("clicked", pa.bool_()),
            ]
        )
        pq.write_table(pa.table(self.scored, schema=schema), path)

    def difference(self, other: "Result", column: int = 0) -> tuple[float, float]:
        """95% interval of this funnel's metric minus another's on the same impressions."""
        ours, theirs = self.tables["funnel"], other.tables["funnel"]
        pairs = np.column_stack((ours.values[:, column], theirs.values[:, column]))
        low, high = cluster_bootstrap(pairs, ours.clusters, self.seed, lambda m: m[:, :1] - m[:, 1:])
        return float(low[0]), float(high[0])


def evaluate(
    bundle: Bundle,
    data: Path,
    models: Path,
    *,
    span: tuple[datetime | None, datetime | None] = (None, None),
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Result:
    """Judge a bundle on the exposures of canonical data.

    Every shown candidate is scored, also those the bundle never saw. Counters at t know only events
    before t less the serving lag. Exposures before the bundle's watermark are scored without counters.

    Args:
        bundle: to be judged.
        data: canonical data with exposures and clicks.
        models: registry, for cached embeddings.
        span: judge exposures with span[0] <= ts < span[1].
        seed: of ties and resampling.

    Raises:
        DataError: no exposure to judge.
    """
    exposures = _judged(data, span)
    if not exposures:
        raise DataError(f"{data} holds no exposure in the judged time; nothing can be judged")
    clicks = _clicks(data)
    state = read_state(bundle)
    _add_articles(state, list(read_articles(data)), models, say)
    judge = _Judge(state, read_event_log(data), bundle, seed)
    for done, exposure in enumerate(exposures, 1):
        judge.take(exposure, clicks.get((exposure.request_id, exposure.surface), frozenset()))
        if done % 200 == 0 or done == len(exposures):
            progress(done, len(exposures))
    return judge.result()


def _judged(data: Path, span: tuple[datetime | None, datetime | None]) -> list[Exposure]:
    since, until = span
    found = (
        exposure
        for exposure in read_exposures(data)
        if (since is None or exposure.ts >= since) and (until is None or exposure.ts < until)
    )
    return sorted(found, key=lambda exposure: (exposure.ts, exposure.request_id))


def _clicks(data: Path) -> dict[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for event in read_events(data):
        if event.type == "click" and event.request_id is not None:
            found.setdefault((event.request_id, event.surface or "for_you"), set()).add(event.article_id)
    return {key: frozenset(ids) for key, ids in found.items()}


def _add_articles(
    state: State, articles: Sequence[Article], models: Path, say: Callable[[str], None]
) -> None:
    """Articles of the data that the bundle never saw."""
    missing = [article for article in articles if not _knows(state.catalog, article.article_id)]
    if not missing:
        return
    say(f"{len(missing):,} articles are not in the bundle; embedding them")
    embedder = SentenceTransformerEmbedder(state.config.embedding.model, state.config.embedding.batch_size)
    vectors = embed_articles(missing, embedder, models / CACHE, state.config).vectors
    for article, vector in zip(missing, vectors, strict=True):
        state.index.add(state.catalog.put(article), vector)
    state.popularity.resize(len(state.catalog))
    state.index.resize(len(state.catalog))


def _knows(catalog: Catalog, article_id: str) -> bool:
    row = catalog.row(article_id)
    return row is not None and catalog.is_known(row)


class _Judge:
    """Scores exposures in time order while the log is replayed behind them."""

    def __init__(self, state: State, log: EventLog, bundle: Bundle, seed: int) -> None:
        watermark = bundle.manifest["watermark"]
        self._watermark = float("-inf") if watermark is None else float(watermark)
        self._lag = state.config.train.serving_lag_minutes * 60.0
        self._state, self._seed = state, seed
        rows = [state.catalog.refer(name) for name in log.article_ids] or [0]
        state.popularity.resize(len(state.catalog))
        state.index.resize(len(state.catalog))
        self._rows = np.array(rows, dtype=np.int32)
        self._log, self._done = log, bisect_right(log.ts, self._watermark)
        blank = Popularity(state.config.popularity, len(state.catalog))
        self._blank = State(
            state.config, state.catalog, state.index, state.neighbours, blank, Histories(state.config.profile)
        )
        self._rng = np.random.default_rng(seed)
        self._values: dict[str, list[tuple[float, ...]]] = {}
        self._clusters: list[int] = []
        self._scored: dict[str, list[Any]] = {"request_id": [], "article_id": [], "score": [], "clicked": []}
        self._early = 0

    def take(self, exposure: Exposure, clicked: frozenset[str]) -> None:
        """Score one exposure with what was known before it."""
        ts = exposure.ts.timestamp()
        early = ts <= self._watermark
        self._early += early
        state = self._blank if early else self._state
        if not early:
            self._replay_until(ts - self._lag)
        catalog = state.catalog
        ids = [item.article_id for item in exposure.items]
        rows = np.array([catalog.refer(name) for name in ids], dtype=np.int32)
        state.popularity.resize(len(catalog))
        state.index.resize(len(catalog))
        labels = np.array([name in clicked for name in ids], dtype=bool)
        query = self._query(state, exposure, ts)
        scores = self._models(state, exposure, query, rows, ts)
        self._scored["request_id"] += [exposure.request_id] * len(ids)
        self._scored["article_id"] += ids
        self._scored["score"] += scores["funnel"].tolist()
        self._scored["clicked"] += labels.tolist()
        if labels.any() and not labels.all():
            self._clusters.append(reader_key(exposure.reader) >> 1)
            for name, values in scores.items():
                found = impression_metrics(values, labels, self._rng)
                self._values.setdefault(name, []).append(found)

    def _replay_until(self, until: float) -> None:
        stop = int(np.searchsorted(self._log.ts, until, side="left"))
        if stop > self._done:
            low, high = self._log.ts[self._done], self._log.ts[stop - 1]
            part = self._log.between(np.nextafter(low, -np.inf), high)
            self._state.apply_batch(part.batch(self._rows))
            self._done = stop

    def _query(self, state: State, exposure: Exposure, ts: float) -> Query:
        catalog = state.catalog
        if exposure.history:
            known = [
                catalog.row(name)
                for name in reversed(exposure.history[-state.config.profile.history_length :])
            ]
            rows = list(dict.fromkeys(row for row in known if row is not None))
            reader = Reader(np.array(rows, dtype=np.int32))
        else:
            reader = state.histories.of(reader_key(exposure.reader))
        context = exposure.context_article_id
        row = catalog.row(context) if context is not None else None
        return Query(now=ts, context=row, reader=reader)

    def _models(
        self, state: State, exposure: Exposure, query: Query, rows: NDArray[np.int32], ts: float
    ) -> dict[str, Scores]:
        context = query.context if exposure.surface == "related" else None
        column = state.config.surfaces.of(exposure.surface).half_life_hours
        return {
            "funnel": Funnel(state).score(exposure.surface, query, rows),
            "cosine_mean": _cosine_mean(state, rows, context, query.reader),
            "cosine_nearest": features.nearest_openings(state, rows, query.reader)
            if context is None
            else features.similarity(state, rows, context),
            "decayed_counts": state.popularity.openings.read(ts, state.popularity.column(column), rows),
            "newest": state.catalog.published[rows],
            "random": self._rng.random(len(rows)),
        }

    def result(self) -> Result:
        """The tables of everything judged.

        Raises:
            DataError: no impression has both a click and a non-click.
        """
        if not self._clusters:
            raise DataError(
                "no impression has both a click and an article that was not clicked; nothing to judge"
            )
        clusters = np.array(self._clusters, dtype=np.int64)
        notes = []
        if self._early:
            notes.append(
                f"{self._early:,} exposures lie before the bundle's watermark, scored without counters"
            )
        tables = {name: Table(np.array(values), clusters) for name, values in self._values.items()}
        return Result(tables, self._scored, notes, self._seed)


def _cosine_mean(state: State, rows: NDArray[np.int32], context: int | None, reader: Reader | None) -> Scores:
    """Plain cosine: with the context article, or with the mean vector of the reader's past."""
    if context is not None:
        return features.similarity(state, rows, context)
    past = reader.rows[state.index.has[reader.rows]] if reader is not None else np.zeros(0, np.int32)
    if len(past) == 0:
        return np.full(len(rows), np.nan)
    mean = state.index.take(past).mean(axis=0)
    return np.where(state.index.has[rows], (state.index.take(rows) @ mean).astype(np.float64), np.nan)


def with_config(bundle: Bundle, config: Config) -> Bundle:
    """The same bundle judged with other weights."""
    return replace(bundle, manifest={**bundle.manifest, "config": config.public_dict()})
