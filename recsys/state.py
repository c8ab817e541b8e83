"""Everything the funnel reads: catalogue, vectors, neighbours, counters, readers' histories.

A bundle gives the snapshot, the store's later rows give the tail; both go through ``apply_events``
and ``apply_article``, so recovery, freshness and evaluation are one mechanism.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import UNKNOWN, Catalog
from recsys.config import Config
from recsys.index import ExactIndex, Neighbours
from recsys.learned import Learned
from recsys.popularity import EventBatch, Popularity
from recsys.profile import Histories, reader_key
from recsys.schemas import EVENT_TYPES, Article, Event

_CODES = {name: code for code, name in enumerate(EVENT_TYPES)}
_OPENINGS = frozenset((_CODES["view"], _CODES["click"]))
_HIDE = _CODES["hide"]


class State:
    """The mutable whole behind the funnel. Callers hold one reference per request."""

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        index: ExactIndex,
        neighbours: Neighbours,
        popularity: Popularity | None = None,
        histories: Histories | None = None,
        learned: Learned | None = None,
    ) -> None:
        self.config, self.catalog = config, catalog
        self.index, self.neighbours = index, neighbours
        self.popularity = popularity or Popularity(config.popularity, len(catalog))
        self.histories = histories or Histories(config.profile)
        self.learned = learned or Learned.nothing(config)
        self.popularity.resize(len(catalog))
        self.index.resize(len(catalog))
        self.regroup()

    @classmethod
    def empty(cls, config: Config, dimensions: int) -> "State":
        """A state without articles or events."""
        nothing = Neighbours(
            np.zeros((0, config.index.neighbours), np.int32),
            np.zeros((0, config.index.neighbours), np.float32),
        )
        index = ExactIndex(np.zeros((0, dimensions), np.float32))
        return cls(config, Catalog(config.site.url_template), index, nothing)

    def apply_article(self, article: Article, vector: NDArray[np.float32] | None) -> int:
        """Insert or replace an article; ``vector`` (d,) is None where it cannot be embedded.

        An unchanged vector (only metadata changed) costs no search.
        """
        row = self.catalog.put(article)
        self._fit_rows()
        self.regroup()
        if vector is None:
            if self.index.has[row]:
                self.index.remove(row)
                self.learned.topics.place(row, None)
                self.catalog.duplicate[row] = UNKNOWN
            return row
        known = self.index.take(np.array([row]))[0]
        if not self.index.has[row] or not np.array_equal(known, vector):
            self._place_vector(row, vector)
        return row

    def _place_vector(self, row: int, vector: NDArray[np.float32]) -> None:
        self.add_vector(row, vector)
        cosines = self.index.cosines(vector)
        self.neighbours.insert(row, cosines, self.index.has[: len(cosines)])
        self._join_duplicates(row)

    def add_vector(self, row: int, vector: NDArray[np.float32]) -> None:
        """Set the vector of a row without looking for its neighbours."""
        self.index.add(row, vector)
        self.learned.topics.place(row, vector)

    def _join_duplicates(self, row: int) -> None:
        groups = self.catalog.duplicate
        near, cosines = self.neighbours.of(row)
        near = near[cosines >= self.config.index.near_duplicate_cosine]
        groups[row] = UNKNOWN
        if len(near):
            group = min(row, int(near.min()), *(int(g) for g in groups[near] if g != UNKNOWN))
            groups[near] = groups[row] = group

    def remove_article(self, article_id: str) -> None:
        """Take an article out of every list; its counts stay."""
        self.catalog.remove(article_id)

    def _fit_rows(self) -> None:
        size = len(self.catalog)
        if size > len(self.index):
            self.index.resize(size)
            self.popularity.resize(size)

    def regroup(self) -> None:
        """Let the counts of sections follow the catalogue; costs nothing where it did not change."""
        catalog, grouping = self.catalog, self.popularity.grouping
        if grouping.seen != (catalog.version, len(catalog)):
            self.popularity.regroup(*catalog.groups())
            grouping.seen = (catalog.version, len(catalog))

    def apply_events(self, events: Sequence[Event], now: float) -> None:
        """Count events; a time later than ``now`` (unix seconds) is taken as ``now``."""
        if not events:
            return
        batch = self._batch(events, now)
        self._fit_rows()
        self.apply_batch(batch)

    def apply_batch(self, batch: EventBatch) -> None:
        """Count events that are arrays already."""
        self.regroup()
        self.popularity.observe(batch)
        opened = np.isin(batch.types, tuple(_OPENINGS))
        for at in np.flatnonzero(opened).tolist():
            self.histories.opened(int(batch.readers[at]), int(batch.rows[at]), float(batch.ts[at]))
        for at in np.flatnonzero(batch.types == _HIDE).tolist():
            self.histories.hide(int(batch.readers[at]), int(batch.rows[at]))

    def _batch(self, events: Sequence[Event], now: float) -> EventBatch:
        missing = float("nan")
        return EventBatch(
            types=np.array([_CODES[event.type] for event in events], dtype=np.uint8),
            rows=np.array([self.catalog.refer(event.article_id) for event in events], dtype=np.int32),
            readers=np.array([reader_key(event.reader) for event in events], dtype=np.uint64),
            ts=np.minimum([event.ts.timestamp() for event in events], now),
            values=np.array(
                [
                    event.value if event.type == "read" and event.value is not None else missing
                    for event in events
                ]
            ),
        )
