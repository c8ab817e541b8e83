"""All rows of a SQLite store, read at one moment or written at once."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.errors import DataError
from recsys.schemas import Event, Exposure
from recsys.store.contents import TABLES, Contents, NotEmptyError, StoredArticle
from recsys.store.exposure_segments import ExposureSegments
from recsys.store.sqlite_events import EventReader
from recsys.store.sqlite_rows import (
    EVENT_PLACES,
    article_json,
    article_of,
    event_row,
    instant,
    micros,
    span,
    told,
)


class SqliteSnapshot:
    """See ``Snapshot``.

    Args:
        connection: inside a transaction that only reads, which holds the moment.
        path: of the file, for messages.
        events: of the same moment.
        exposures: the served lists.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: str, events: EventReader, exposures: ExposureSegments
    ) -> None:
        self._connection, self._path, self._events, self._exposures = connection, path, events, exposures

    def _rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with told(self._path, "read"):
            yield from self._connection.execute(query, values)

    def counts(self) -> dict[str, int]:
        """See ``Snapshot.counts``."""
        with told(self._path, "read"):
            counted = {"events": self._events.count(), "exposures": self._exposures.count()}
            for table in TABLES:
                if table not in counted:
                    row = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                    counted[table] = int(row[0])
        return {table: counted[table] for table in TABLES}

    def articles(self) -> Iterator[StoredArticle]:
        """See ``Contents.articles``."""
        for seq, name, at, text in self._rows("SELECT seq, article_id, at, json FROM articles ORDER BY seq"):
            yield StoredArticle(seq, name, instant(at), None if text is None else article_of(text))

    def events(self) -> Iterator[tuple[int, Event]]:
        """See ``Contents.events``."""
        with told(self._path, "read"):
            yield from self._events.by_seq()

    def events_by_time(self, since: datetime | None = None) -> Iterator[Event]:
        """See ``Snapshot.events_by_time``."""
        with told(self._path, "read"):
            yield from self._events.by_time(*span(since, None))

    def exposures(self, since: datetime | None = None) -> Iterator[Exposure]:
        """See ``Contents.exposures``."""
        return self._exposures.between(since)

    def rules(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """See ``Contents.rules``."""
        for version, text in self._rows("SELECT version, json FROM rules ORDER BY version"):
            yield version, json.loads(text)

    def experiments(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """See ``Contents.experiments``."""
        for version, text in self._rows("SELECT version, json FROM experiments ORDER BY number"):
            yield version, json.loads(text)

    def vectors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """See ``Contents.vectors``."""
        for digest, blob in self._rows("SELECT digest, vector FROM vectors ORDER BY digest"):
            yield digest, np.frombuffer(blob, dtype="<f4")


def require_empty(found: SqliteSnapshot, path: str) -> None:
    """Raise ``NotEmptyError`` if there is any row."""
    held = [f"{number:,} {table}" for table, number in found.counts().items() if number]
    if held:
        raise NotEmptyError(
            f"the store {path} is not empty, it holds {', '.join(held)}; only an empty store is filled: "
            "name a file that is not there yet, or move this one away first"
        )


def fill(connection: sqlite3.Connection, contents: Contents) -> None:
    """Write all rows into empty tables, served lists aside; the caller's transaction is all or nothing.

    Raises:
        DataError: an id stands twice.
    """
    try:
        for table, (places, rows) in _inserts(contents).items():
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    except sqlite3.IntegrityError as error:
        raise DataError(f"a row to be restored is there twice ({error}); nothing was restored") from error


def _inserts(contents: Contents) -> dict[str, tuple[str, Iterator[tuple[Any, ...]]]]:
    articles = (
        (found.article_id, found.seq, micros(found.at), found.article and article_json(found.article))
        for found in contents.articles()
    )
    vectors = ((name, np.asarray(vector, dtype="<f4").tobytes()) for name, vector in contents.vectors())
    runs = ((int(run["number"]), version, json.dumps(run)) for version, run in contents.experiments())
    return {
        "experiments": ("?, ?, ?", runs),
        "articles": ("?, ?, ?, ?", articles),
        "events": (f"?, {EVENT_PLACES}", ((seq, *event_row(event)) for seq, event in contents.events())),
        "rules": ("?, ?", ((version, json.dumps(rules)) for version, rules in contents.rules())),
        "vectors": ("?, ?", vectors),
    }
