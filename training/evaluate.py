"""Offline evaluation through the serving funnel, at each moment with only what was known then."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.bundle import Bundle
from recsys.catalog import Catalog
from recsys.config import Config, build_config
from recsys.errors import DataError
from recsys.schemas import Article, Exposure
from recsys.snapshot import read_state
from recsys.state import State
from training.attribution import labels_of
from training.embed import SentenceTransformerEmbedder
from training.fit import CACHE, embed_articles
from training.judging import Judge, Judged
from training.judging_lists import Asked, judge_lists
from training.metrics import NAMES, Table, cluster_bootstrap
from training.readers import read_articles, read_event_log, read_exposures
from training.report import with_report
from training.slices import cut, ratios

_SCORES = pa.schema(
    [
        ("request_id", pa.string()),
        ("article_id", pa.string()),
        ("score", pa.float64()),
        ("clicked", pa.bool_()),
    ]
)


@dataclass
class Result:
    """What an evaluation found.

    Attributes:
        judged: metrics per judged impression by model, traits and the funnel's scores.
        best_single: the single signal that was best on the data the bundle was fitted on.
        lists: measures of whole lists beyond accuracy, by model.
        notes: what a reader of the figures must know.
        seed: of ties and resampling.
        bundle: that was judged.
        state: after the last judged list.
        since, until: unix seconds of the first and the last list.
        references: the ranker beside its floor and its reference, where asked for.
    """

    judged: Judged
    best_single: str
    notes: list[str]
    seed: int
    bundle: Bundle
    state: State
    since: float
    until: float
    lists: dict[str, Any] = field(default_factory=dict)
    references: list[dict[str, Any]] = field(default_factory=list)

    @property
    def tables(self) -> dict[str, Table]:
        """Metrics by model, ``funnel`` first."""
        return self.judged.tables

    def as_dict(self) -> dict[str, Any]:
        """The contract's JSON values, and those of the report."""
        return self._values

    @cached_property
    def _values(self) -> dict[str, Any]:
        contract: dict[str, Any] = {
            "rankings": {name: self._row(table) for name, table in self.tables.items()},
            "against_best_single": self._against_best() if self.tables else {},
            "lists": self.lists,
            "slices": cut(self.judged, self.best_single, self.seed) if self.tables else {},
            "notes": self.notes,
            **({"references": self.references} if self.references else {}),
        }
        return with_report(self, contract)

    def _against_best(self) -> dict[str, Any]:
        best = self.tables[self.best_single]
        return {"signal": self.best_single, **ratios(self.tables["funnel"], best, self.seed)}

    def _row(self, table: Table) -> dict[str, Any]:
        low, high = cluster_bootstrap(table.values, table.clusters, self.seed)
        intervals = {name: [float(low[k]), float(high[k])] for k, name in enumerate(NAMES)}
        return {**table.means(), "ci": intervals, "impressions": len(table.values)}

    def as_json(self) -> bytes:
        """The same as UTF-8 JSON."""
        return json.dumps(self.as_dict(), indent=2).encode()

    def as_html(self) -> str:
        """The same as one self-contained page."""
        # plots are drawn by a library that only this needs
        from training.report_page import render

        return render(self.as_dict())

    def write_scores(self, path: Path) -> None:
        """Parquet rows request_id, article_id, score, clicked."""
        pq.write_table(pa.table(self.judged.scored, schema=_SCORES), path)


def evaluate(
    bundle: Bundle,
    data: Path,
    models: Path,
    *,
    span: tuple[datetime | None, datetime | None] = (None, None),
    seed: int = 0,
    list_reads: int = 0,
    lag_minutes: float | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Result:
    """Judge a bundle on the exposures of canonical data, and whole lists on what was opened next.

    Every shown candidate is scored, also those the bundle never saw. Counters at t know only events
    before t less the serving lag. Exposures before the bundle's watermark are scored without counters.

    Args:
        bundle: to be judged.
        data: canonical data with exposures and clicks.
        models: registry, for cached embeddings.
        span: judge exposures and openings with span[0] <= ts < span[1].
        seed: of draws, ties and resampling.
        list_reads: how many openings are judged for each surface, drawn at random; 0 judges no lists.
        lag_minutes: by which counters run behind; None takes the bundle's ``train.serving_lag_minutes``.

    Raises:
        DataError: nothing to judge.
    """
    exposures = sorted(read_exposures(data), key=lambda exposure: (exposure.ts, exposure.request_id))
    wanted = within(exposures, span)
    if not wanted and not list_reads:
        raise DataError(f"{data} holds no exposure in the judged time; nothing can be judged")
    articles = {article.article_id: article for article in read_articles(data)}
    log, known = read_event_log(data), list(articles.values())
    if lag_minutes is not None:
        bundle = with_config(bundle, _lagging(bundle, lag_minutes))
    state = opened_state(bundle, known, models, say)
    clicks = labels_of(data, state.config.clicklog)
    lists: dict[str, Any] = {}
    if list_reads:
        add = partial(_add_articles, articles=known, models=models, say=say)
        asked = Asked.within(span, list_reads, seed)
        lists = judge_lists(bundle, add, log, exposures, asked, say)
    judge = Judge(state, log, exposures, bundle, articles, clicks, seed)
    for done, exposure in enumerate(wanted, 1):
        judge.take(exposure, clicks.clicked(exposure))
        if done % 200 == 0 or done == len(wanted):
            progress(done, len(wanted))
    judged = judge.result()
    if not judged.tables and not any(lists.values()):
        raise DataError(
            "no impression has both a click and an article that was not clicked, and no opening can be "
            "judged in this time; nothing to judge"
        )
    times = [exposure.ts.timestamp() for exposure in wanted]
    since, until = (times[0], times[-1]) if times else (np.nan, np.nan)
    best = _best_single(bundle, judged)
    return Result(judged, best, _told(judged), seed, bundle, state, since, until, lists)


def opened_state(
    bundle: Bundle, articles: Sequence[Article], models: Path, say: Callable[[str], None]
) -> State:
    """The state of a bundle, with every article of the data."""
    state = read_state(bundle)
    _add_articles(state, articles, models, say)
    return state


def within(exposures: Sequence[Exposure], span: tuple[datetime | None, datetime | None]) -> list[Exposure]:
    """The exposures with span[0] <= ts < span[1]."""
    since, until = span
    return [
        exposure
        for exposure in exposures
        if (since is None or exposure.ts >= since) and (until is None or exposure.ts < until)
    ]


def _told(judged: Judged) -> list[str]:
    if not judged.early:
        return []
    return [f"{judged.early:,} exposures lie before the bundle's watermark, scored without counters"]


def _best_single(bundle: Bundle, judged: Judged) -> str:
    """The signal that ranked best on the fitted lists, by the bundle's own record."""
    signals: dict[str, float] = bundle.manifest.get("metrics", {}).get("single_signals", {})
    known = {name: value for name, value in signals.items() if name in judged.tables}
    return max(known, key=known.__getitem__, default="cosine_mean")


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
        row = state.catalog.put(article)
        state.index.resize(row + 1)
        state.place(row, article, vector if vector.any() else None)
    state.popularity.resize(len(state.catalog))
    state.index.resize(len(state.catalog))


def _knows(catalog: Catalog, article_id: str) -> bool:
    row = catalog.row(article_id)
    return row is not None and catalog.is_known(row)


def _lagging(bundle: Bundle, minutes: float) -> Config:
    config = build_config(bundle.manifest["config"], f"{bundle.path}/manifest.json")
    late = config.train.model_copy(update={"serving_lag_minutes": minutes})
    return config.model_copy(update={"train": late})


def with_config(bundle: Bundle, config: Config) -> Bundle:
    """The same bundle judged with other weights."""
    return replace(bundle, manifest={**bundle.manifest, "config": config.public_dict()})
