"""Everything the funnel reads: catalogue, vectors, neighbours, counters, readers' histories.

A bundle gives the snapshot, the store's later rows give the tail; both go through ``apply_events``
and ``apply_article``, so recovery, freshness and evaluation are one mechanism.
"""

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import UNKNOWN, Catalog
from recsys.config import Config
from recsys.counters import HOUR
from recsys.embedder import embedding_text
from recsys.expected import ExpectedClicks
from recsys.exposed import Exposed
from recsys.index import ExactIndex, Neighbours
from recsys.learned import Learned
from recsys.places import Places
from recsys.popularity import EventBatch, Popularity
from recsys.profile import Histories, reader_key
from recsys.recipes import Recipe
from recsys.schemas import EVENT_TYPES, Article, Event, Exposure
from recsys.unique_rows import UniqueRows

_CODES = {name: code for code, name in enumerate(EVENT_TYPES)}
_OPENINGS = frozenset((_CODES["view"], _CODES["click"]))
_HIDE, _IMPRESSION = _CODES["hide"], _CODES["impression"]


def changes_pasts(types: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(m,) which events readers' pasts remember."""
    return np.isin(types, (*_OPENINGS, _HIDE))


class State:
    """The mutable whole behind the funnel. Callers hold one reference per request.

    Attributes:
        follows_pairs: whether openings also count for what is read together; off while training
            replays a log that it learns pairs from itself.
        expected: the latest lists, where clicks shall count what they were chosen from; None where
            impressions are told, or training adds them.
    """

    follows_pairs = False
    expected: ExpectedClicks | None = None

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
        # an empty table of pasts is false as a truth value
        self.histories = Histories(config.profile) if histories is None else histories
        self.learned = learned or Learned.nothing(config)
        self.unique_rows = UniqueRows()
        # weights in force by surface, with what they were worked out from
        self.recipes: dict[str, tuple[object, object, Recipe]] = {}
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

    def under(self, config: Config) -> "State":
        """The same state read under another configuration; what changes one changes the other.

        Args:
            config: differs in what a request reads, not in what is counted or kept.
        """
        other = copy.copy(self)
        other.config, other.recipes = config, {}
        return other

    def apply_article(
        self, article: Article, vector: NDArray[np.float32] | None, places: Places | None = None
    ) -> int:
        """Insert or replace an article; ``vector`` (d,) is None where it cannot be embedded.

        An unchanged vector (only metadata changed) costs no search. In a language that the embedding
        model does not read, the article gets a TF-IDF vector instead.

        Args:
            article: the whole of it.
            vector: of its text.
            places: from ``plan_article`` with the same article and vector, and no other applied since;
                None searches now.
        """
        row = self.catalog.put(article)
        self.fit_rows()
        self.regroup()
        if self.place(row, article, vector):
            if places is None:
                self.neighbours.insert(row, *self.index.against_all(row))
            else:
                self.neighbours.put(row, places)
            self._join_duplicates(row)
        elif not self.index.placed(np.array([row]))[0]:
            self.catalog.duplicate[row] = UNKNOWN
        return row

    def plan_article(
        self, row: int, article: Article, vector: NDArray[np.float32] | None, cosines: NDArray[np.float32]
    ) -> Places | None:
        """The search that ``apply_article`` needs, ahead of it and beside requests; nothing is changed.

        Args:
            row: of the article, within the room of all tables.
            article: that will be applied.
            vector: of its text, None without.
            cosines: (n,) of ``vector`` with every row.

        Returns:
            Where it belongs among the neighbours; None where nothing is to be searched.
        """
        words = self._words(article)
        if words is not None and article.language is not None:
            found = self.index.lexical.against(words, article.language, len(self.index))
            return self.neighbours.plan(row, *found)
        if vector is None or not self.index.lexical.lexicon.reads(article.language):
            return None
        if self.index.has[row] and np.array_equal(self.index.take(np.array([row]))[0], vector):
            return None
        return self.neighbours.plan(row, cosines, self.index.has[: len(cosines)])

    def place(self, row: int, article: Article, vector: NDArray[np.float32] | None) -> bool:
        """Set the one vector of an article in the index; whether it is there and another than before."""
        words, lexical = self._words(article), self.index.lexical
        if words is not None and article.language is not None:
            if self.index.has[row]:
                self._remove_vector(row)
            return lexical.put(row, words, article.language)
        moved = lexical.remove(row) if len(lexical) else False
        if vector is None or not lexical.lexicon.reads(article.language):
            if self.index.has[row]:
                self._remove_vector(row)
            return False
        known = self.index.take(np.array([row]))[0]
        if moved or not self.index.has[row] or not np.array_equal(known, vector):
            self.index.add(row, vector)
            self.learned.topics.place(row, vector)
            return True
        return False

    def _words(self, article: Article) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
        """The TF-IDF vector of an article that the embedding model does not read."""
        lexicon = self.index.lexical.lexicon
        if article.language is None or lexicon.reads(article.language):
            return None
        return lexicon.vector(embedding_text(article, self.config.embedding.body_chars), article.language)

    def _remove_vector(self, row: int) -> None:
        self.index.remove(row)
        self.learned.topics.place(row, None)

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

    def fit_rows(self) -> None:
        """Give every row of the catalogue its place in the other tables."""
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
        self.fit_rows()
        self.apply_batch(batch)
        if self.expected is not None:
            self._expect(events, batch)

    def _expect(self, events: Sequence[Event], batch: EventBatch) -> None:
        """Count the lists that clicks were made in; no longer where the site tells impressions itself."""
        if np.any(batch.types == _IMPRESSION):
            self.expected = None
            return
        clicks = [
            (at, event.request_id, event.surface, event.article_id)
            for at, event in enumerate(events)
            if event.type == "click" and event.request_id is not None
        ]
        found = (
            self.expected.of(batch, clicks, self.catalog.refer)
            if self.expected is not None and clicks
            else None
        )
        if found is not None:
            self.fit_rows()
            self.popularity.observe(found)

    def remember_list(self, shown: Exposure | Exposed) -> None:
        """Remember a list that was served, so that clicks in it say what they were chosen from."""
        if self.expected is None:
            return
        if isinstance(shown, Exposed):
            names, positions = shown.article_ids, range(1, len(shown.article_ids) + 1)
            self.expected.shown(shown.request_id, shown.surface, names, positions)
        else:
            names = [item.article_id for item in shown.items]
            places = [item.position for item in shown.items]
            self.expected.shown(shown.request_id, shown.surface, names, places)

    def apply_batch(self, batch: EventBatch) -> None:
        """Count and remember events that are arrays already."""
        self.count(batch)
        self.remember(batch)

    def count(self, batch: EventBatch) -> None:
        """Let the counters know of events."""
        self.regroup()
        self.popularity.observe(batch)

    def remember(self, batch: EventBatch) -> None:
        """Let readers' pasts know of events; one that is not trusted stays between it and its reader."""
        opened = np.isin(batch.types, tuple(_OPENINGS))
        for at in np.flatnonzero(opened).tolist():
            reader, row, ts = int(batch.readers[at]), int(batch.rows[at]), float(batch.ts[at])
            trusted = batch.trust is None or bool(batch.trust[at] > 0.0)
            if self.follows_pairs and trusted:
                self._pair(reader, row, ts)
            self.histories.opened(reader, row, ts, trusted)
        for at in np.flatnonzero(batch.types == _HIDE).tolist():
            self.histories.hide(int(batch.readers[at]), int(batch.rows[at]))

    def _pair(self, reader: int, row: int, ts: float) -> None:
        """What is read together follows the readers, as soon as they open something new to them."""
        if self.histories.has_opened(reader, row):
            return
        pause = self.config.covisitation.visit_gap_hours * HOUR
        self.learned.covisitation.opened(self.histories.trail(reader, ts, pause), row, ts)

    def _batch(self, events: Sequence[Event], now: float) -> EventBatch:
        missing = float("nan")
        doubted = any(event.trust is not None for event in events)
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
            trust=np.array([1.0 if event.trust is None else event.trust for event in events])
            if doubted
            else None,
        )
