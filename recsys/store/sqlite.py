"""A store in one SQLite file: WAL, synchronous FULL, one transaction per batch."""

import json
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys.errors import StoreError, UsageError
from recsys.exposed import Exposed
from recsys.schemas import Article, Event, Exposure
from recsys.store.aged import AgedEvents, Part, parts
from recsys.store.changes import Changes
from recsys.store.contents import Contents, StoredArticle
from recsys.store.exposure_segments import ExposureSegments
from recsys.store.protocol import Erased
from recsys.store.sqlite_contents import SqliteSnapshot, fill, require_empty
from recsys.store.sqlite_events import EventReader, append, events_after, forget, move
from recsys.store.sqlite_rows import (
    LAST_WITH_EXPOSURES,
    MIGRATIONS,
    SCHEMA,
    SCHEMA_VERSION,
    article_json,
    article_of,
    exposure_of,
    instant,
    micros,
    span,
    told,
)
from recsys.store.sqlite_steering import put_rules, put_runs
from recsys.store.usage import Usage, usage_of

# transactions are short: whoever holds the lock for longer holds it for long, and callers should hear of it
_BUSY_SECONDS = 5.0
_Result = TypeVar("_Result")
VERSIONS_KEPT = timedelta(days=90)


class SqliteStore:
    """See ``Store``.

    Args:
        path: the file.
        create: whether the file and its folder are made where they are missing.

    Raises:
        UsageError: there is no store, and none should be made.
        StoreError: the place cannot be written, the file is no database, damaged or newer.
    """

    def __init__(self, path: str, create: bool = True) -> None:
        self.path = path
        self._lock = threading.RLock()
        if not create:
            _require_store(path)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder of the store {path}: {error.strerror}") from error
        writer = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._aged = AgedEvents(Path(f"{path}.events"))
        self._exposures = ExposureSegments(Path(f"{path}.exposures"), writer)
        with self._told("open"):
            self._writer = self._connect()
            self._prepare()
            self._reader = self._connect()
            self._reader_lock = threading.RLock()
        self._changes = Changes(f"{path}.changes", self.data_version)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _prepare(self) -> None:
        def create(connection: sqlite3.Connection) -> None:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if found > SCHEMA_VERSION:
                raise StoreError(
                    f"the store {self.path} has schema {found}, this program knows {SCHEMA_VERSION}; "
                    "use the newer program that wrote it"
                )
            if 0 < found <= LAST_WITH_EXPOSURES:
                # a process that dies before the commit writes them again: a repeated list counts once
                rows = connection.execute("SELECT json FROM exposures ORDER BY ts")
                self._exposures.append(exposure_of(row[0]) for row in rows)
            statements = SCHEMA.split(";") if found == 0 else []
            for version in range(found or SCHEMA_VERSION, SCHEMA_VERSION):
                statements += MIGRATIONS[version]
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

        self._write("prepare", create)

    def _told(self, doing: str) -> AbstractContextManager[None]:
        return told(self.path, doing)

    def _write(self, doing: str, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._lock, self._told(doing):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            return result

    def _change(self, doing: str, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Write articles, rules or experiments: others are told after the commit."""
        result = self._write(doing, work)
        self._changes.add()
        return result

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reader_lock, self._told("read"):
            return self._reader.execute(query, values).fetchall()

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        """See ``Store.append_events``."""
        if not events:
            return []
        return self._write("append events to", lambda connection: append(connection, self._aged, events))

    def events_after(self, seq: int, limit: int = 10_000) -> list[tuple[int, Event]]:
        """See ``Store.events_after``."""
        with self._reader_lock, self._told("read"):
            return events_after(self._reader, self._aged, seq, limit)

    def iter_events(
        self, since: datetime | None = None, until: datetime | None = None, upto: int | None = None
    ) -> Iterator[Event]:
        """See ``Store.iter_events``."""
        with self._told("read"), self._reading() as (_, events):
            yield from events.by_time(*span(since, until), 2**62 if upto is None else upto)

    def last_event_seq(self) -> int:
        """See ``Store.last_event_seq``; the last one may have left the file."""
        here, there = "SELECT max(seq) AS seq FROM events", "SELECT max(last_seq) FROM aged"
        query = f"SELECT coalesce(max(seq), 0) FROM ({here} UNION ALL {there})"
        return int(self._read(query)[0][0])

    def age_events(self, before: datetime) -> int:
        """See ``Store.age_events``."""
        try:
            return move(self._write, self._aged, before.astimezone(UTC).date().isoformat())
        except OSError as error:
            raise StoreError(
                f"cannot move events to {self._aged.folder}: {error}; check that the disk has space and "
                "that the folder may be written; the events stay where they are"
            ) from error

    def append_exposures(self, exposures: Iterable[Exposure | Exposed]) -> None:
        """See ``Store.append_exposures``."""
        self._exposures.append(exposures)

    def iter_exposures(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Exposure]:
        """See ``Store.iter_exposures``."""
        return self._exposures.between(since, until)

    def exposures_after(self, cursor: str | None, limit: int = 10_000) -> tuple[list[Exposed], str]:
        """See ``Store.exposures_after``."""
        return self._exposures.after(cursor, limit)

    def exposures_end(self) -> str:
        """See ``Store.exposures_end``."""
        return self._exposures.end()

    def find_exposures(self, request_id: str, near: datetime | None = None) -> list[Exposed]:
        """See ``Store.find_exposures``."""
        return self._exposures.find(request_id, near)

    def trim_exposures(self, since: datetime | None, most_bytes: int) -> int:
        """See ``Store.trim_exposures``."""
        return self._exposures.segments.drop(most_bytes, None if since is None else since.timestamp())

    def put_articles(self, articles: Sequence[Article], at: datetime) -> list[Article]:
        """See ``Store.put_articles``."""

        def work(connection: sqlite3.Connection) -> list[Article]:
            return [_put_article(connection, article, at) for article in articles]

        return self._change("write articles to", work)

    def delete_article(self, article_id: str, at: datetime) -> bool:
        """See ``Store.delete_article``; also marks ids that only a bundle knows."""

        def work(connection: sqlite3.Connection) -> bool:
            standing = _standing(connection, article_id)
            _upsert(connection, article_id, at, None)
            return standing is not None

        return self._change("delete an article in", work)

    def get_article(self, article_id: str) -> Article | None:
        """See ``Store.get_article``."""
        with self._reader_lock, self._told("read"):
            return _standing(self._reader, article_id)

    def is_deleted(self, article_id: str) -> bool:
        """See ``Store.is_deleted``."""
        query = "SELECT 1 FROM articles WHERE article_id = ? AND json IS NULL"
        return bool(self._read(query, (article_id,)))

    def articles_after(self, seq: int, limit: int = 10_000) -> list[tuple[int, str, Article | None]]:
        """See ``Store.articles_after``."""
        return [(found.seq, found.article_id, found.article) for found in self.changes_after(seq, limit)]

    def changes_after(self, seq: int, limit: int = 10_000) -> list[StoredArticle]:
        """See ``Store.changes_after``."""
        query = "SELECT seq, article_id, at, json FROM articles WHERE seq > ? ORDER BY seq LIMIT ?"
        return [
            StoredArticle(number, name, instant(at), None if text is None else article_of(text))
            for number, name, at, text in self._read(query, (seq, limit))
        ]

    def article_history(self, seq: int, upto: int) -> list[StoredArticle]:
        """See ``Store.article_history``."""
        columns, span = "seq, article_id, at, json", "WHERE seq > ? AND seq <= ?"
        query = (
            f"SELECT {columns} FROM articles {span} UNION ALL "
            f"SELECT {columns} FROM article_versions {span} ORDER BY seq"
        )
        return [
            StoredArticle(number, name, instant(at), None if text is None else article_of(text))
            for number, name, at, text in self._read(query, (seq, upto, seq, upto))
        ]

    def put_vectors(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """See ``Store.put_vectors``."""
        rows = [(digest, np.asarray(vector, dtype="<f4").tobytes()) for digest, vector in vectors.items()]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

        self._write("write vectors to", work)

    def get_vectors(self, digests: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """See ``Store.get_vectors``."""
        found: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(digests), 500):
            part = digests[start : start + 500]
            query = f"SELECT digest, vector FROM vectors WHERE digest IN ({', '.join('?' * len(part))})"
            found |= {name: np.frombuffer(blob, dtype="<f4") for name, blob in self._read(query, part)}
        return found

    def get_rules(self) -> tuple[int, list[dict[str, Any]]]:
        """See ``Store.get_rules``."""
        rows = self._read("SELECT version, json FROM rules ORDER BY version DESC LIMIT 1")
        return (int(rows[0][0]), json.loads(rows[0][1])) if rows else (0, [])

    def put_rules(self, rules: Sequence[Mapping[str, Any]], expected_version: int | None) -> int:
        """See ``Store.put_rules``; earlier versions stay as the history."""
        return self._change("write rules to", lambda db: put_rules(db, rules, expected_version))

    def get_runs(self) -> tuple[int, list[dict[str, Any]]]:
        """See ``Store.get_runs``."""
        rows = self._read("SELECT version, json FROM experiments ORDER BY number")
        return max((int(row[0]) for row in rows), default=0), [json.loads(row[1]) for row in rows]

    def put_runs(self, runs: Sequence[Mapping[str, Any]], expected_version: int) -> list[int]:
        """See ``Store.put_runs``."""
        return self._change("write experiments to", lambda db: put_runs(db, runs, expected_version))

    def forget(self, user_id: str) -> Erased:
        """See ``Store.forget``; what rows of the file said is overwritten with zeros."""
        return Erased(forget(self._write, self._aged, user_id), self._exposures.forget(user_id))

    @contextmanager
    def _reading(self) -> Iterator[tuple[sqlite3.Connection, EventReader]]:
        """A connection that sees one moment, and the events of that moment."""
        with closing(self._connect()) as connection:

            def begin() -> list[Part]:
                connection.execute("BEGIN")
                # the moment is that of the first read
                return parts(connection)

            with self._aged.held(begin) as (aged, named):
                yield connection, EventReader(connection, aged, named)

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        """See ``Store.snapshot``: one read transaction; the write-ahead file grows until it ends."""
        with ExitStack() as stack:
            with self._told("read"):
                connection, events = stack.enter_context(self._reading())
                exposures = stack.enter_context(self._exposures.held())
            yield SqliteSnapshot(connection, self.path, events, exposures)

    def restore(self, contents: Contents) -> None:
        """See ``Store.restore``."""
        aside = Path(f"{self.path}.exposures.{secrets.token_hex(4)}.restored")
        placed = False

        def work(connection: sqlite3.Connection) -> None:
            nonlocal placed
            events = EventReader(connection, self._aged, parts(connection))
            require_empty(SqliteSnapshot(connection, self.path, events, self._exposures), self.path)
            fill(connection, contents)
            ExposureSegments(aside, "restored").append(contents.exposures())
            self._exposures.put_in_place(aside)
            placed = True

        try:
            self._change("restore", work)
        except BaseException:
            for folder in (aside, *([self._exposures.folder] if placed else [])):
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def changes(self) -> int:
        """See ``Store.changes``."""
        return self._changes.read()

    def data_version(self) -> int:
        """See ``Store.data_version``; the reader's own connection never commits."""
        return int(self._read("PRAGMA data_version")[0][0])

    @property
    def place(self) -> str:
        """See ``Store.place``."""
        return self.path

    def usage(self, since: datetime) -> Usage:
        """See ``Store.usage``."""
        with self._told("read"), self._reading() as (connection, _):
            return usage_of(connection, self._aged, self._exposures, since)

    def close(self) -> None:
        """See ``Store.close``."""
        with self._lock, self._reader_lock:
            self._writer.close()
            self._reader.close()
            self._changes.close()


def _require_store(path: str) -> None:
    hint = "check the path; 'recsys serve' and 'recsys store restore' make a store"
    if not Path(path).is_file():
        raise UsageError(f"there is no store {path}; {hint}")
    with (
        told(path, "open"),
        closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as db,
    ):
        found = db.execute("PRAGMA user_version").fetchone()[0]
    if found == 0:
        raise UsageError(f"the file {path} holds no store; {hint}")


def _standing(connection: sqlite3.Connection, article_id: str) -> Article | None:
    row = connection.execute("SELECT json FROM articles WHERE article_id = ?", (article_id,)).fetchone()
    return None if row is None or row[0] is None else article_of(row[0])


def _put_article(connection: sqlite3.Connection, article: Article, at: datetime) -> Article:
    if article.published_at is None:
        standing = _standing(connection, article.article_id)
        first = standing.published_at if standing is not None else None
        article = article.model_copy(update={"published_at": first or at})
    _upsert(connection, article.article_id, at, article_json(article))
    return article


def _upsert(connection: sqlite3.Connection, article_id: str, at: datetime, text: str | None) -> None:
    connection.execute(
        "INSERT INTO article_versions SELECT seq, article_id, at, json FROM articles WHERE article_id = ?",
        (article_id,),
    )
    connection.execute("DELETE FROM article_versions WHERE at < ?", (micros(at - VERSIONS_KEPT),))
    connection.execute(
        "INSERT INTO articles (article_id, seq, at, json) VALUES "
        "(?, (SELECT coalesce(max(seq), 0) + 1 FROM articles), ?, ?) "
        "ON CONFLICT (article_id) DO UPDATE SET seq = excluded.seq, at = excluded.at, json = excluded.json",
        (article_id, micros(at), text),
    )
