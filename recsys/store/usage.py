"""How much room a store in files takes, and how fast it grows."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from recsys.segments import torn_bytes
from recsys.store.aged import AgedEvents, Part, parts
from recsys.store.exposure_segments import ExposureSegments
from recsys.store.sqlite_rows import day_of, micros


class Usage(NamedTuple):
    """What a store takes, in bytes, and what came lately.

    Attributes:
        database, days, exposures: of the database file, of the Parquet of earlier days, of served lists.
        torn: of served lists, what a crash has left unreadable.
        event_bytes: of one event in the database, with its indexes; 0 without events.
        aged_event_bytes: of one event in the Parquet of its day; 0 without.
        exposure_bytes: of one served list; 0 without.
        recent_events: number of events since the moment that was asked about.
        recent_exposure_bytes: of served lists since then.
    """

    database: int
    days: int
    exposures: int
    torn: int
    event_bytes: float
    aged_event_bytes: float
    exposure_bytes: float
    recent_events: int
    recent_exposure_bytes: int

    def bytes_a_day(self, days: float) -> float:
        """Growth, from what came in so many days; that old events leave the database is not hoped for."""
        return (self.recent_events * self.event_bytes + self.recent_exposure_bytes) / days


def usage_of(
    connection: sqlite3.Connection, aged: AgedEvents, exposures: ExposureSegments, since: datetime
) -> Usage:
    """The usage of a store, as a connection inside a transaction sees it.

    Args:
        connection: to the database.
        aged: its earlier days.
        exposures: its served lists.
        since: from when on events and lists are recent.
    """
    here, used = _counted(connection)
    named = parts(connection)
    database = _pragma(connection, "page_count") * _pragma(connection, "page_size")
    there, days = sum(part.rows for part in named), _size([aged.folder / part.file for part in named])
    files, lists = exposures.segments.files(), exposures.count()
    recent = exposures.segments.files(since.timestamp())
    return Usage(
        database,
        days,
        _size(files),
        sum(map(torn_bytes, files)),
        used / here if here else 0.0,
        days / there if there else 0.0,
        _size(files) / lists if lists else 0.0,
        _recent(connection, named, since),
        _size(recent),
    )


def _counted(connection: sqlite3.Connection) -> tuple[int, int]:
    """Number of events in the database, and the bytes of its pages that hold nothing else."""
    events = int(connection.execute("SELECT count(*) FROM events").fetchone()[0])
    other = connection.execute(
        "SELECT coalesce((SELECT sum(length(json)) FROM articles), 0)"
        " + coalesce((SELECT sum(length(vector)) FROM vectors), 0)"
    ).fetchone()[0]
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return events, max(pages * _pragma(connection, "page_size") - int(other), 0)


def _recent(connection: sqlite3.Connection, named: Sequence[Part], since: datetime) -> int:
    query, at = "SELECT count(*) FROM events WHERE ts >= ?", micros(since)
    found = int(connection.execute(query, (at,)).fetchone()[0])
    return found + sum(part.rows for part in named if part.day > day_of(at))


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())
