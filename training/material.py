"""What a training learns from, read once and used by every fit of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Registry
from recsys.catalog import Catalog, epoch
from recsys.config import Config
from recsys.errors import DataError
from recsys.index import ExactIndex, Neighbours, duplicate_groups
from recsys.lexical_index import LexicalIndex
from recsys.schemas import Article, Exposure
from recsys.state import State
from training.attribution import Labels
from training.clicklog import read_click_log
from training.languages import lexical_of, place_neighbours
from training.learn import RANKED
from training.neighbours import find_neighbours
from training.readers import EventLog


@dataclass(frozen=True)
class Embeddings:
    """Articles with their vectors.

    Attributes:
        articles: n articles.
        vectors: (n, d) float32 unit rows or zeros.
        neighbours: of the n articles.
        lexical: TF-IDF vectors of those that the embedding model does not read.
        model_id: of the embedding.
    """

    articles: Sequence[Article]
    vectors: NDArray[np.float32]
    neighbours: Neighbours
    lexical: LexicalIndex
    model_id: str

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
        return State(config, catalog, ExactIndex(self.vectors, self.lexical), self.neighbours)


def compared(
    config: Config,
    articles: Sequence[Article],
    vectors: NDArray[np.float32],
    model_id: str,
    registry: Registry | None = None,
) -> tuple[Embeddings, int]:
    """Articles with the neighbours of each: by meaning, or by words where the model does not read them.

    Args:
        config: of the index and the embedding.
        articles: n articles.
        vectors: (n, d) unit rows or zeros.
        model_id: of the embedding.
        registry: with earlier bundles, whose neighbours are kept as far as they hold.

    Returns:
        What was found, and how many lists of neighbours were kept.
    """
    k, kept = config.index.neighbours, 0
    if registry is None:
        neighbours = Neighbours.compute(vectors, k)
    else:
        ids = [article.article_id for article in articles]
        neighbours, kept = find_neighbours(ids, vectors, k, registry, model_id)
    # an earlier bundle may hold neighbours by words, which are found anew
    blank = ~np.any(vectors, axis=1)
    neighbours.rows[blank], neighbours.cosines[blank] = -1, -np.inf
    lexical = lexical_of(articles, config)
    place_neighbours(lexical, neighbours)
    return Embeddings(articles, vectors, neighbours, lexical, model_id), kept


@dataclass(frozen=True)
class Material:
    """Articles with their vectors, and a log.

    Attributes:
        articles: n articles.
        vectors: (n, d) float32 unit rows or zeros.
        neighbours: of the n articles.
        log: events in time order.
        exposures: served lists in time order.
        clicks: clicked articles of each list.
        model_id: of the embedding.
        lexical: TF-IDF vectors of those that the embedding model does not read.
    """

    articles: Sequence[Article]
    vectors: NDArray[np.float32]
    neighbours: Neighbours
    log: EventLog
    exposures: Sequence[Exposure]
    clicks: Labels
    model_id: str
    lexical: LexicalIndex = field(default_factory=LexicalIndex)

    def state(self, config: Config) -> State:
        """A state with articles, neighbours and near-duplicates, without events."""
        found = Embeddings(self.articles, self.vectors, self.neighbours, self.lexical, self.model_id)
        return found.state(config)

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
        chosen = self.clicks.get((exposure.request_id, exposure.surface))
        if exposure.surface not in RANKED or not chosen:
            return None
        items = [item for item in exposure.items if item.article_id in known]
        hits = sum(item.article_id in chosen for item in items)
        if not 0 < hits < len(items):
            return None
        return exposure if len(items) == len(exposure.items) else exposure.model_copy(update={"items": items})


def read_material(
    config: Config, data: Path, found: Embeddings, *, until: float, now: float
) -> tuple[Material, list[str]]:
    """The cleaned log of canonical data beside its articles, and what a person should know of it.

    Args:
        config: for the cleaning.
        data: canonical data.
        found: its articles with their vectors.
        until: unix seconds; nothing later is used.
        now: unix seconds; what is dated more than a day later is left out.
    """
    published = {article.article_id: epoch(article.published_at, np.nan) for article in found.articles}
    cleaned = read_click_log(data, config, published, until=until, now=now)
    parts = (found.articles, found.vectors, found.neighbours, cleaned.log, cleaned.exposures, cleaned.labels)
    return Material(*parts, found.model_id, found.lexical), cleaned.notes
