"""A store as canonical data."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from recsys.schemas import Event, Exposure
from recsys.store import Snapshot, Store
from training.writing import DatasetWriter

Progress = Callable[[int, int | None], None]
_T = TypeVar("_T")
_Logged = TypeVar("_Logged", Event, Exposure)
_EVERY = 1_000


@dataclass(slots=True)
class Exported:
    """How many rows were written, and what the rows say about others that were not.

    Attributes:
        tombstones: articles that were deleted and are left out.
        unknown_articles: ids in events and lists for which the store holds no article.
    """

    articles: int = 0
    events: int = 0
    exposures: int = 0
    tombstones: int = 0
    unknown_articles: int = 0

    def as_dict(self) -> dict[str, int]:
        """JSON values."""
        return asdict(self)


def export_store(
    store: Store, out: Path, since: datetime | None = None, progress: Progress | None = None
) -> Exported:
    """Write a store's articles, events and exposures as canonical Parquet, of one moment.

    Memory holds a part of a table and the ids of the articles, never the log.

    Args:
        store: read while the service may run.
        out: folder; an earlier export is replaced once the new one is complete.
        since: events and exposures from this time on; articles always all.
        progress: called with rows done and, without ``since``, the total.

    Raises:
        UsageError: ``out`` holds something else than an earlier export.
        DataError: it cannot be written. StoreError: the store cannot be read.
    """
    with DatasetWriter(out, made_by="store export") as writer, store.snapshot() as snapshot:
        count = snapshot.counts() if since is None else None
        total = None if count is None else count["articles"] + count["events"] + count["exposures"]
        rows = _Copy(writer, progress, total)
        rows.articles(snapshot)
        rows.log("events", snapshot.events_by_time(since))
        rows.log("exposures", snapshot.exposures(since))
        done = rows.exported()
        writer.finish(done.as_dict())
    return done


class _Copy:
    def __init__(self, writer: DatasetWriter, progress: Progress | None, total: int | None) -> None:
        self._tables, self._progress, self._total = writer.tables, progress, total
        self._done = self._tombstones = 0
        self._known: set[str] = set()
        self._unknown: set[str] = set()

    def articles(self, snapshot: Snapshot) -> None:
        for stored in self._told(snapshot.articles()):
            if stored.article is None:
                self._tombstones += 1
            else:
                self._known.add(stored.article_id)
                self._tables["articles"].add(stored.article)

    def log(self, table: str, rows: Iterator[_Logged]) -> None:
        for row in self._told(rows):
            self._tables[table].add(row)
            self._unknown.update(name for name in _named(row) if name not in self._known)

    def exported(self) -> Exported:
        counts = {name: table.count for name, table in self._tables.items()}
        return Exported(**counts, tombstones=self._tombstones, unknown_articles=len(self._unknown))

    def _told(self, rows: Iterable[_T]) -> Iterator[_T]:
        for row in rows:
            yield row
            self._done += 1
            if self._progress is not None and self._done % _EVERY == 0:
                self._progress(self._done, self._total)


def _named(row: Event | Exposure) -> Iterator[str]:
    if isinstance(row, Event):
        yield row.article_id
    else:
        yield from (item.article_id for item in row.items)
