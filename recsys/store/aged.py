"""Events that have left the SQLite file: one Parquet file a day, sorted by time, each with its number.

A file counts only while the database names it. So moving is: write aside, sync, rename; then, in one
transaction, name the file and delete the rows. Whenever a process is killed, an event is in exactly one
of the two places; a file that nobody names is removed by the next that moves.
"""

import fcntl
import hashlib
import heapq
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys.segments import LOCK, locked
from recsys.store.links import linked
from recsys.store.sqlite_rows import EVENT_COLUMNS, day_span

Row = tuple[Any, ...]
_NAMES = ("seq", *EVENT_COLUMNS.split(", "))
_KINDS = {"seq": pa.int64(), "ts": pa.int64(), "position": pa.int32(), "value": pa.float64()}
_SCHEMA = pa.schema(
    [(name, pa.float64() if name == "trust" else _KINDS.get(name, pa.string())) for name in _NAMES]
)
_TS = _NAMES.index("ts")
_AT_ONCE = 10_000


class Part(NamedTuple):
    """A file as the database names it.

    Attributes:
        day: as in ``2026-03-01``.
        file: its name.
        rows: number of events.
        first_seq, last_seq: of its events.
    """

    day: str
    file: str
    rows: int
    first_seq: int
    last_seq: int


def parts(connection: sqlite3.Connection) -> list[Part]:
    """The files that count, by day."""
    rows = connection.execute("SELECT day, file, rows, first_seq, last_seq FROM aged ORDER BY day, file")
    return [Part(*row) for row in rows]


class AgedEvents:
    """The files of one store.

    Args:
        folder: made when there is something to write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def moving(self, wait: bool = False) -> Iterator[bool]:
        """Whether this process may write and remove files now: only one does at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{LOCK}-moving").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def write(self, day: str, rows: Sequence[Row]) -> Part:
        """A new file of a day, on disk when this returns; rows are a number and the columns of an event."""
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)]
        return self.write_table(day, pa.table(arrays, schema=_SCHEMA))

    def write_table(self, day: str, table: pa.Table) -> Part:
        """The same with columns."""
        aside = self.folder / f".{day}.{secrets.token_hex(4)}.aside"
        ordered = table.sort_by([("ts", "ascending"), ("seq", "ascending")])
        pq.write_table(ordered, aside, compression="zstd", row_group_size=100_000)
        file = f"{day}.parquet"
        if (self.folder / file).exists():
            file = f"{day}.{secrets.token_hex(4)}.parquet"
        _sync(aside)
        aside.replace(self.folder / file)
        _sync(self.folder)
        ends = pc.min_max(table.column("seq")).as_py()
        return Part(day, file, len(table), ends["min"], ends["max"])

    def merged(self, day: str, named: Sequence[Part]) -> Part:
        """A new file with the rows of several."""
        return self.write_table(day, pa.concat_tables([self._table(part) for part in named]))

    def without(self, part: Part, user_id: str) -> pa.Table | None:
        """The rows of a file without those of a user; None where it has none of them."""
        table = self._table(part)
        other = table.filter(pc.fill_null(pc.not_equal(table.column("user_id"), user_id), True))
        return None if len(other) == len(table) else other

    def remove_unnamed(self, named: Sequence[Part]) -> None:
        """Remove files that the database does not name; only while ``moving``."""
        keep = {part.file for part in named}
        with locked(self.folder):
            for path in self.folder.iterdir():
                if path.suffix in (".parquet", ".aside") and path.name not in keep:
                    path.unlink(missing_ok=True)

    @contextmanager
    def held(self, begin: Callable[[], Sequence[Part]]) -> Iterator[tuple["AgedEvents", Sequence[Part]]]:
        """Files as they are when ``begin`` names them, whatever is moved or erased meanwhile."""
        named: list[Part] = []

        def files() -> list[Path]:
            named.extend(begin())
            return [self.folder / part.file for part in named]

        if not self.folder.is_dir():
            yield self, begin()
            return
        with linked(self.folder, files) as (folder, _):
            yield AgedEvents(folder), named

    def by_time(self, named: Sequence[Part], low: int, high: int) -> Iterator[Row]:
        """Rows with low <= microseconds < high by time, then number."""
        days: dict[str, list[Part]] = {}
        for part in named:
            begin, end = day_span(part.day)
            if begin < high and end > low:
                days.setdefault(part.day, []).append(part)
        for _, files in sorted(days.items()):
            streams = [self._rows(part, (low, high)) for part in files]
            yield from heapq.merge(*streams, key=itemgetter(_TS, 0))

    def by_seq(self, named: Sequence[Part], after: int = 0) -> Iterator[Row]:
        """Rows with a number above ``after`` by number; memory holds the files that overlap in it."""
        waiting = sorted((part for part in named if part.last_seq > after), key=lambda part: part.first_seq)
        heap: list[tuple[int, int, Row, Iterator[Row]]] = []
        for at, part in enumerate([*waiting, None]):
            while heap and (part is None or heap[0][0] < part.first_seq):
                _, which, row, rest = heap[0]
                yield row
                following = next(rest, None)
                if following is None:
                    heapq.heappop(heap)
                else:
                    heapq.heapreplace(heap, (following[0], which, following, rest))
            if part is not None:
                stream = self._sorted(part, after)
                if (first := next(stream, None)) is not None:
                    heapq.heappush(heap, (first[0], at, first, stream))

    def holds(self, named: Sequence[Part], event_ids: Sequence[str]) -> set[str]:
        """Which ids are in files of a day; the digests of the last few files are kept in memory."""
        wanted = np.array([_digest(name) for name in event_ids], dtype=np.uint64)
        found = np.zeros(len(wanted), dtype=bool)
        for part in named:
            found |= np.isin(wanted, _digests(self.folder / part.file))
        return {name for name, there in zip(event_ids, found.tolist(), strict=True) if there}

    def _rows(self, part: Part, span: tuple[int, int] | None) -> Iterator[Row]:
        with pq.ParquetFile(self.folder / part.file) as source:
            for batch in source.iter_batches(_AT_ONCE):
                for row in _tuples(batch):
                    if span is None or span[0] <= row[_TS] < span[1]:
                        yield row

    def _sorted(self, part: Part, after: int) -> Iterator[Row]:
        for batch in self._table(part).sort_by("seq").to_batches(_AT_ONCE):
            yield from (row for row in _tuples(batch) if row[0] > after)

    def _table(self, part: Part) -> pa.Table:
        return pq.ParquetFile(self.folder / part.file).read()


def _tuples(batch: pa.RecordBatch | pa.Table) -> Iterator[Row]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _digest(event_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=8)
def _digests(path: Path) -> NDArray[np.uint64]:
    """Eight bytes for each id of a file; a file is never changed under its name."""
    ids = pq.ParquetFile(path).read(["event_id"]).column("event_id").to_pylist()
    return np.sort(np.array([_digest(name) for name in ids], dtype=np.uint64))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
