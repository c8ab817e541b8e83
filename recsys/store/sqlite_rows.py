"""Rows of the SQLite store: its schema, and how rows become events, lists and articles."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any

from recsys.errors import StoreError
from recsys.schemas import Article, Event, Exposure

SCHEMA_VERSION = 6
SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
    ts INTEGER NOT NULL, article_id TEXT NOT NULL, user_id TEXT, session_id TEXT, request_id TEXT,
    list_id TEXT, surface TEXT, position INTEGER, context_article_id TEXT, value REAL, site TEXT, trust REAL);
CREATE INDEX events_ts ON events (ts);
CREATE INDEX events_user ON events (user_id) WHERE user_id IS NOT NULL;
CREATE TABLE aged (
    file TEXT PRIMARY KEY, day TEXT NOT NULL, rows INTEGER NOT NULL, first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL);
CREATE INDEX aged_day ON aged (day);
CREATE INDEX aged_last ON aged (last_seq);
CREATE TABLE articles (
    article_id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, at INTEGER NOT NULL, json TEXT);
CREATE TABLE article_versions (
    seq INTEGER PRIMARY KEY, article_id TEXT NOT NULL, at INTEGER NOT NULL, json TEXT);
CREATE INDEX article_versions_at ON article_versions (at);
CREATE TABLE vectors (digest TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE rules (version INTEGER PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE experiments (number INTEGER PRIMARY KEY, version INTEGER NOT NULL, json TEXT NOT NULL);
"""
# by the schema that a file has, what brings it to the next one
_AGED = tuple(line for line in SCHEMA.split(";") if " aged" in line)
_VERSIONS = tuple(line for line in SCHEMA.split(";") if " article_versions" in line)
_EXPERIMENTS = tuple(line for line in SCHEMA.split(";") if " experiments" in line)
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE events ADD COLUMN trust REAL",),
    2: ("DROP TABLE exposures",),
    3: _AGED,
    4: _VERSIONS,
    5: _EXPERIMENTS,
}
# served lists up to this schema are rows, which go to the segments before the table goes
LAST_WITH_EXPOSURES = 2
EVENT_COLUMNS = (
    "event_id, type, ts, article_id, user_id, session_id, request_id, list_id, surface, position, "
    "context_article_id, value, site, trust"
)
_EVENT_NAMES = tuple(EVENT_COLUMNS.split(", "))
_VALUES, _TS = attrgetter(*_EVENT_NAMES), _EVENT_NAMES.index("ts")
EVENT_PLACES = ", ".join("?" * len(_EVENT_NAMES))

_MOST_ROWS = 256


@contextmanager
def told(path: str, doing: str) -> Iterator[None]:
    """What SQLite says, as an error that names the file and the next step."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"cannot {doing} the store {path}: {error}; check that the disk has space, that the "
            "file may be written, and that it is a SQLite file ('recsys doctor' tells more)"
        ) from error


def micros(value: datetime) -> int:
    """Microseconds since 1970, exact."""
    delta = value - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def instant(value: int) -> datetime:
    """The time of ``micros``."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


def span(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """A half-open span in microseconds; an open end lies beyond every time."""
    return (-(2**62) if since is None else micros(since), 2**62 if until is None else micros(until))


def day_of(value: int) -> str:
    """The UTC day of ``micros`` as in ``2026-03-01``."""
    return instant(value).date().isoformat()


def day_span(day: str) -> tuple[int, int]:
    """Microseconds at which a day begins and ends."""
    begin = micros(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
    return begin, begin + 86_400_000_000


def event_row(event: Event) -> tuple[Any, ...]:
    """Values in the order of ``EVENT_COLUMNS``."""
    values = _VALUES(event)
    return (*values[:_TS], micros(values[_TS]), *values[_TS + 1 :])


def insert_events(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Insert rows of ``event_row``; a sequence number each, None for an id that is there.

    A repeated id may leave out a number. Many rows make one statement: between statements the interpreter
    changes threads, which costs more than the insert.
    """
    numbers: list[int | None] = []
    while len(numbers) < len(rows):
        left = len(rows) - len(numbers)
        # sizes are few, so that their statements stay prepared
        size = min(_MOST_ROWS, 1 << left.bit_length() - 1)
        part = rows[len(numbers) : len(numbers) + size]
        inserted = connection.execute(_inserting(size), [value for row in part for value in row]).fetchall()
        fresh = {name: seq for seq, name in inserted}
        numbers += [fresh.pop(row[0], None) for row in part]
    return numbers


@cache
def _inserting(size: int) -> str:
    places = ", ".join([f"({EVENT_PLACES})"] * size)
    return f"INSERT OR IGNORE INTO events ({EVENT_COLUMNS}) VALUES {places} RETURNING seq, event_id"


def event_of(values: Sequence[Any]) -> Event:
    """The event of an ``event_row``."""
    fields = dict(zip(_EVENT_NAMES, values, strict=True))
    fields["ts"] = instant(fields["ts"])
    # our own rows were checked when they came in
    return Event.model_construct(**fields)


def exposure_of(text: str) -> Exposure:
    """The served list of a row's JSON."""
    return Exposure.model_validate_json(text)


def article_json(article: Article) -> str:
    """What a row keeps of an article."""
    return article.model_dump_json(exclude_defaults=True)


def article_of(text: str) -> Article:
    """The article of ``article_json``."""
    return Article.model_validate_json(text)
