"""What a training learns from, read once and used by every fit of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import Catalog, epoch
from recsys.config import Config
from recsys.errors import DataError
from recsys.index import ExactIndex, Neighbours, duplicate_groups
from recsys.schemas import Article, Exposure
from recsys.state import State
from training.attribution import Labels
from training.clicklog import read_click_log
from training.learn import RANKED
from training.readers import EventLog, read_exposures


@dataclass(frozen=True)
class Material:
    """Articles with their vectors, and a log.

    Attributes:
        articles: n articles.
        vectors: (n, d) float32 unit rows or zeros.
        neighbours: of the n articles.
        log: events in time order.
        exposures: served lists in time order.
        clicks: what was clicked in each list.
        model_id: of the embedding.
        notes: what was cleaned from the log, for people.
    """

    articles: Sequence[Article]
    vectors: NDArray[np.float32]
    neighbours: Neighbours
    log: EventLog
    exposures: Sequence[Exposure]
    clicks: Labels
    model_id: str
    notes: Sequence[str] = ()

    def state(self, config: Config) -> State:
        """A state with articles, neighbours and near-duplicates, without events.

        Raises:
            DataError: an article id stands twice.
        """
        catalog = Catalog.of(self.articles, config.site.url_template)
        if len(catalog) != len(self.articles):
            raise DataError("an article id stands twice in the data; 'recsys validate' names it")
        catalog.duplicate[: len(catalog)] = duplicate_groups(
            self.neighbours, config.index.near_duplicate_cosine
        )
        return State(config, catalog, ExactIndex(self.vectors), self.neighbours)

    def before(self, ts: float) -> "Material":
        """The same articles with what happened before ``ts`` (unix seconds)."""
        earlier = [exposure for exposure in self.exposures if exposure.ts.timestamp() < ts]
        stop = int(np.searchsorted(self.log.ts, ts, side="left"))
        return replace(self, log=self.log.part(0, stop), exposures=earlier)

    def lists(self) -> list[Exposure]:
        """What a ranker can be judged by: lists that it ranks, of their articles those in the catalogue.

        A list is left out unless one of these was clicked and another was not. An article that the data
        do not hold has no text and is never served; how it would rank says nothing.
        """
        known = {made.article_id for made in self.articles}
        found = (self._judgeable(exposure, known) for exposure in self.exposures)
        return [exposure for exposure in found if exposure is not None]

    def _judgeable(self, exposure: Exposure, known: set[str]) -> Exposure | None:
        chosen = self.clicks.clicked(exposure)
        if exposure.surface not in RANKED or not chosen:
            return None
        items = [item for item in exposure.items if item.article_id in known]
        hits = sum(item.article_id in chosen for item in items)
        if not 0 < hits < len(items):
            return None
        return exposure if len(items) == len(exposure.items) else exposure.model_copy(update={"items": items})


def read_material(
    data: Path,
    config: Config,
    articles: Sequence[Article],
    vectors: NDArray[np.float32],
    neighbours: Neighbours,
    model_id: str,
    *,
    until: float,
    now: float,
) -> Material:
    """Clean the log of canonical data, and put it beside its articles.

    Args:
        data: canonical data.
        config: how the log is cleaned.
        articles, vectors, neighbours, model_id: as in ``Material``.
        until: unix seconds; nothing later is used.
        now: unix seconds; what is dated more than a day later is left out.
    """
    published = {article.article_id: epoch(article.published_at, np.nan) for article in articles}
    cleaned = read_click_log(data, config, published, until=until, now=now)
    known = (exposure for exposure in read_exposures(data) if exposure.ts.timestamp() <= until)
    exposures = cleaned.believed(sorted(known, key=lambda exposure: exposure.ts))
    facts = (cleaned.log, exposures, cleaned.labels, model_id, cleaned.notes)
    return Material(articles, vectors, neighbours, *facts)
