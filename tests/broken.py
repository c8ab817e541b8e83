"""Doubles that are wrong on purpose: each contract suite must be seen red against one of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from recsys.index import ExactIndex
from recsys.schemas import Article, Event, Exposure
from recsys.store import Contents, Erased
from recsys.store.sqlite import SqliteStore
from recsys.store.sqlite_contents import SqliteSnapshot
from recsys.store.sqlite_events import EventReader
from training.leaks import Log


class ForgetfulStore(SqliteStore):
    """Acknowledges repeated events again, and loses deletions."""

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        """Wrong: every event is called new."""
        return [seq if seq is not None else 1 for seq in super().append_events(events)]

    def delete_article(self, article_id: str, at: datetime) -> bool:
        """Wrong: nothing is deleted."""
        return True

    def put_articles(self, articles: Sequence[Article], at: datetime) -> list[Article]:
        """Wrong: the first receipt is not kept as the date of an undated article."""
        super().put_articles(articles, at)
        return list(articles)


class HastyStore(SqliteStore):
    """Backs up without a moment, restores row by row, and forgets half."""

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        """Wrong: every table is read as it is by then, and events in the order of their ids."""
        snapshot = SqliteSnapshot(
            self._reader, self.path, EventReader(self._reader, self._aged, ()), self._exposures
        )
        snapshot.events_by_time = lambda since=None: iter(  # type: ignore[method-assign]
            sorted((event for _, event in snapshot.events()), key=lambda event: event.event_id)
        )
        yield snapshot

    def restore(self, contents: Contents) -> None:
        """Wrong: into anything, under new numbers, and what came before a failure stays."""
        self.append_events([event for _, event in contents.events()])
        for _, _, at, article in contents.articles():
            if article is not None:
                self.put_articles([article], at)
        self.append_exposures(list(contents.exposures()))
        for _, rules in contents.rules():
            self.put_rules(rules, None)
        self.put_vectors(dict(contents.vectors()))

    def forget(self, user_id: str) -> Erased:
        """Wrong: served lists stay."""
        erased = self._write("erase", lambda c: c.execute("DELETE FROM events WHERE user_id = ?", (user_id,)))
        return Erased(erased.rowcount, 0)


class LateFilterIndex(ExactIndex):
    """Filters after the cut, so that filtered searches come back short."""

    def search(
        self, query: NDArray[np.float32], n: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Wrong: the best n first, the filter afterwards."""
        rows, cosines = super().search(query, n)
        kept = np.ones(len(rows), bool) if allowed is None else allowed[rows]
        return rows[kept], cosines[kept]


class UnsteadyEmbedder:
    """Vectors that are no unit vectors and depend on the batch."""

    model_id = "broken"
    dimensions = 8

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Wrong: length and neighbours in the batch leak into the vector."""
        return np.array([[len(text) + at] * 8 for at, text in enumerate(texts)], dtype=np.float32).reshape(
            -1, 8
        )


def future_clicks(log: Log, served: Exposure) -> NDArray[np.float64]:
    """Wrong: clicks of the hour after the list was served."""
    begin = served.ts
    return _counted(log, served, lambda e: e.type == "click" and begin <= e.ts < begin + timedelta(hours=1))


def lifetime_totals(log: Log, served: Exposure) -> NDArray[np.float64]:
    """Wrong: everything that was ever opened, as a table of totals has it."""
    return _counted(log, served, lambda e: e.type in ("view", "click"))


def impressions_of_the_day(log: Log, served: Exposure) -> NDArray[np.float64]:
    """Wrong: the whole calendar day, also what of it came later."""
    return _counted(log, served, lambda e: e.type == "impression" and e.ts.date() == served.ts.date())


def read_time_of_the_click(log: Log, served: Exposure) -> NDArray[np.float64]:
    """Wrong: how long the reader of this list read each article after it was served."""
    seconds = {item.article_id: 0.0 for item in served.items}
    for event in log.events:
        later = served.ts <= event.ts < served.ts + timedelta(hours=1)
        if event.type == "read" and later and event.reader == served.reader and event.article_id in seconds:
            seconds[event.article_id] += event.value or 0.0
    return np.array(list(seconds.values()))[:, None]


def own_labels(log: Log, served: Exposure) -> NDArray[np.float64]:
    """Wrong: the answer itself."""
    return _counted(log, served, lambda e: e.type == "click" and e.request_id == served.request_id)


def without_lag(log: Log, served: Exposure) -> NDArray[np.float64]:
    """Wrong: counts up to the very moment, which no service has yet."""
    return _counted(log, served, lambda e: e.ts < served.ts)


def _counted(log: Log, served: Exposure, wanted: Callable[[Event], bool]) -> NDArray[np.float64]:
    counts = {item.article_id: 0.0 for item in served.items}
    for event in log.events:
        if event.article_id in counts and wanted(event):
            counts[event.article_id] += 1.0
    return np.array(list(counts.values()))[:, None]
