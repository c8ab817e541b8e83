"""Events of a SQLite store, in the file and in the Parquet of earlier days, read and written as one."""

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol

import pyarrow as pa

from recsys.schemas import Event
from recsys.store.aged import AgedEvents, Part, parts
from recsys.store.sqlite_rows import (
    EVENT_COLUMNS,
    day_of,
    day_span,
    event_of,
    event_row,
    insert_events,
)

_MOVED_AT_ONCE = 5_000
_TS = 1 + EVENT_COLUMNS.split(", ").index("ts")
_COLUMNS = f"seq, {EVENT_COLUMNS}"


class Writing(Protocol):
    """Runs work in a transaction that writes."""

    def __call__(self, doing: str, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """The result of the work, committed."""


class EventReader:
    """Events as a connection that only reads sees them.

    Args:
        connection: inside a transaction.
        aged: the files that it names.
        named: the same by name.
    """

    def __init__(self, connection: sqlite3.Connection, aged: AgedEvents, named: Sequence[Part]) -> None:
        self._connection, self._aged, self._named = connection, aged, named

    def count(self) -> int:
        """Number of events."""
        found = self._connection.execute("SELECT count(*) FROM events").fetchone()[0]
        return int(found) + sum(part.rows for part in self._named)

    def by_time(self, low: int, high: int, upto: int = 2**62) -> Iterator[Event]:
        """Those with low <= microseconds < high and a number of at most ``upto``, by time, then number."""
        query = f"SELECT {_COLUMNS} FROM events WHERE ts >= ? AND ts < ? AND seq <= ? ORDER BY ts, seq"
        here = self._connection.execute(query, (low, high, upto))
        there = (row for row in self._aged.by_time(self._named, low, high) if row[0] <= upto)
        for row in heapq.merge(there, here, key=itemgetter(_TS, 0)):
            yield event_of(row[1:])

    def by_seq(self, after: int = 0, limit: int = -1) -> Iterator[tuple[int, Event]]:
        """Those with a higher number, at most ``limit``, with their numbers."""
        query = f"SELECT {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
        here = self._connection.execute(query, (after, limit))
        there = self._aged.by_seq(self._named, after)
        for row in islice(heapq.merge(there, here, key=itemgetter(0)), None if limit < 0 else limit):
            yield row[0], event_of(row[1:])


def events_after(
    connection: sqlite3.Connection, aged: AgedEvents, seq: int, limit: int
) -> list[tuple[int, Event]]:
    """See ``Store.events_after``; whoever follows closely never touches a file."""
    connection.execute("BEGIN")
    try:
        old = connection.execute("SELECT 1 FROM aged WHERE last_seq > ? LIMIT 1", (seq,)).fetchone()
        if old is None:
            return list(EventReader(connection, aged, ()).by_seq(seq, limit))
    finally:
        connection.execute("COMMIT")
    with aged.held(lambda: (connection.execute("BEGIN"), parts(connection))[1]) as (files, named):
        try:
            return list(EventReader(connection, files, named).by_seq(seq, limit))
        finally:
            connection.execute("COMMIT")


def append(connection: sqlite3.Connection, aged: AgedEvents, events: Sequence[Event]) -> list[int | None]:
    """Insert events; a number each, None for what is there, also if it has left the file."""
    rows = [event_row(event) for event in events]
    newest = connection.execute("SELECT max(day) FROM aged").fetchone()[0]
    ends = -(2**62) if newest is None else day_span(newest)[1]
    if min(row[_TS - 1] for row in rows) >= ends:
        return insert_events(connection, rows)
    known = _left(connection, aged, [row for row in rows if row[_TS - 1] < ends])
    numbers = iter(insert_events(connection, [row for row in rows if row[0] not in known]))
    return [None if row[0] in known else next(numbers) for row in rows]


def _left(connection: sqlite3.Connection, aged: AgedEvents, rows: Sequence[tuple[Any, ...]]) -> set[str]:
    """Ids of rows whose day's files have them."""
    by_day: dict[str, list[str]] = {}
    for row in rows:
        by_day.setdefault(day_of(row[_TS - 1]), []).append(row[0])
    known: set[str] = set()
    for part in parts(connection):
        if part.day in by_day:
            known |= aged.holds([part], by_day[part.day])
    return known


def move(write: Writing, aged: AgedEvents, before: str) -> int:
    """Move the events of all days before one out of the file; how many. Nothing if another process does."""
    with aged.moving() as mine:
        if not mine:
            return 0
        moved = 0
        aged.remove_unnamed(write("read", parts))
        while (day := write("read", _first_day)) is not None and day < before:
            rows = write("read", partial(_rows_of, day=day))
            part = aged.write(day, rows)
            moved += write("move events of", partial(_leave, rows=rows, part=part))
        _merge(write, aged)
        return moved


def _first_day(connection: sqlite3.Connection) -> str | None:
    first = connection.execute("SELECT min(ts) FROM events").fetchone()[0]
    return None if first is None else day_of(first)


def _rows_of(connection: sqlite3.Connection, day: str) -> list[tuple[Any, ...]]:
    query = f"SELECT {_COLUMNS} FROM events WHERE ts >= ? AND ts < ? ORDER BY ts, seq LIMIT ?"
    return connection.execute(query, (*day_span(day), _MOVED_AT_ONCE)).fetchall()


def _leave(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], part: Part) -> int:
    connection.executemany("DELETE FROM events WHERE seq = ?", [(row[0],) for row in rows])
    _name(connection, part)
    return len(rows)


def _name(connection: sqlite3.Connection, part: Part) -> None:
    query = "INSERT INTO aged (day, file, rows, first_seq, last_seq) VALUES (?, ?, ?, ?, ?)"
    connection.execute(query, part)


def _exchange(connection: sqlite3.Connection, old: Sequence[Part], new: Part | None) -> None:
    connection.executemany("DELETE FROM aged WHERE file = ?", [(part.file,) for part in old])
    if new is not None:
        _name(connection, new)


def _merge(write: Writing, aged: AgedEvents) -> None:
    """One file a day, also where a day left in several goes or late events came."""
    by_day: dict[str, list[Part]] = {}
    for part in write("read", parts):
        by_day.setdefault(part.day, []).append(part)
    for day, several in by_day.items():
        if len(several) > 1:
            new = aged.merged(day, several)
            write("merge events of", partial(_exchange, old=several, new=new))
    aged.remove_unnamed(write("read", parts))


def forget(write: Writing, aged: AgedEvents, user_id: str) -> int:
    """Erase a user's events from the file and from the days; how many."""
    with aged.moving(wait=True):
        changed: list[tuple[Part, Part | None]] = []
        for part in write("read", parts):
            table: pa.Table | None = aged.without(part, user_id)
            if table is not None:
                changed.append((part, aged.write_table(part.day, table) if len(table) else None))

        def work(connection: sqlite3.Connection) -> int:
            connection.execute("PRAGMA secure_delete=ON")
            erased = connection.execute("DELETE FROM events WHERE user_id = ?", (user_id,)).rowcount
            for old, new in changed:
                _exchange(connection, [old], new)
            return erased

        erased = int(write("erase a user in", work))
        aged.remove_unnamed(write("read", parts))
    return erased + sum(old.rows - (0 if new is None else new.rows) for old, new in changed)
