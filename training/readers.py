"""Read canonical data: rows for articles, columns for what comes in millions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from recsys.errors import DataError, UsageError
from recsys.popularity import EventBatch
from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES, Article, Event, Exposure, Row
from training.importing import first_defect
from training.sources import SourceRow, rows_of
from training.writing import MODELS, schema_of, without_missing

_R = TypeVar("_R", bound=Row)


def table_path(data: Path, table: str) -> Path | None:
    """Where a table of canonical data lies: a folder of parts, ``.parquet`` or ``.jsonl``."""
    candidates = (data / table, data / f"{table}.parquet", data / f"{table}.jsonl")
    return next((path for path in candidates if path.exists()), None)


def require_data(data: Path) -> None:
    """Raise ``UsageError`` unless ``data`` is a folder with articles."""
    if not data.is_dir():
        raise UsageError(f"there is no folder {data}; make one with 'recsys import' or 'recsys simulate'")
    if table_path(data, "articles") is None:
        raise UsageError(
            f"{data} holds no articles (looked for articles/, articles.parquet, articles.jsonl); "
            "make canonical data with 'recsys import' or 'recsys simulate'"
        )


def source_rows(data: Path, table: str) -> Iterator[SourceRow]:
    """Rows of a canonical table as they stand, missing fields left out; none where it is absent."""
    path = table_path(data, table)
    if path is None:
        return
    for row in rows_of(path):
        if row.values is not None:
            row.values = without_missing(row.values)
            if table == "exposures":
                row.values["items"] = [without_missing(item) for item in row.values.get("items", [])]
        yield row


def _rows(data: Path, table: str, model: type[_R]) -> Iterator[_R]:
    for source in source_rows(data, table):
        place = f"{data / table}: {source.file}, row {source.number}"
        if source.values is None:
            raise DataError(f"{place}: {source.defect}; 'recsys validate {data}' lists every defect")
        try:
            yield model.model_validate(source.values)
        except ValidationError as error:
            field, rule, _ = first_defect(error)
            raise DataError(
                f"{place}, {field}: {rule}; 'recsys validate {data}' lists every defect"
            ) from error


def read_articles(data: Path) -> Iterator[Article]:
    """Articles of canonical data.

    Raises:
        UsageError: no such data. DataError: a row breaks a rule.
    """
    require_data(data)
    yield from _rows(data, "articles", Article)


def read_events(data: Path) -> Iterator[Event]:
    """Events of canonical data in file order."""
    yield from _rows(data, "events", Event)


def read_exposures(data: Path) -> Iterator[Exposure]:
    """Exposures of canonical data in file order."""
    yield from _rows(data, "exposures", Exposure)


@dataclass(frozen=True)
class EventLog:
    """Events in columns, by time; the id breaks ties.

    Attributes:
        ts: (m,) unix seconds.
        types: (m,) codes into ``EVENT_TYPES``.
        articles: (m,) codes into ``article_ids``.
        readers: (m,) uint64 reader keys.
        values: (m,) NaN where missing.
        article_ids: the vocabulary.
        trust: (m,) factor of what each counts, 0 to 1; None where all are trusted.
    """

    ts: NDArray[np.float64]
    types: NDArray[np.uint8]
    articles: NDArray[np.int32]
    readers: NDArray[np.uint64]
    values: NDArray[np.float64]
    article_ids: list[str]
    trust: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.ts)

    def between(self, since: float, until: float) -> "EventLog":
        """Events with since < ts <= until; a view on the same arrays."""
        low, high = np.searchsorted(self.ts, (since, until), side="right")
        return self.part(int(low), int(high))

    def part(self, low: int, high: int) -> "EventLog":
        """The events of these positions; a view on the same arrays."""
        return self.take(slice(low, high))

    def sorted_by_time(self) -> "EventLog":
        """The same events in time order; equal times keep their order."""
        return self.take(np.argsort(self.ts, kind="stable"))

    def take(self, part: slice | NDArray[np.intp] | NDArray[np.bool_]) -> "EventLog":
        """Some of the events."""
        return EventLog(
            self.ts[part],
            self.types[part],
            self.articles[part],
            self.readers[part],
            self.values[part],
            self.article_ids,
            None if self.trust is None else self.trust[part],
        )

    def believed(self) -> "EventLog":
        """The events that say something to others than their own reader."""
        return self if self.trust is None else self.take(self.trust > 0.0)

    def batch(self, row_of: NDArray[np.int32]) -> EventBatch:
        """For the counters; ``row_of`` gives the catalogue row of each article code."""
        return EventBatch(self.types, row_of[self.articles], self.readers, self.ts, self.values, self.trust)


def read_event_log(data: Path) -> EventLog:
    """Events of canonical data in columns; 40 bytes an event besides the ids."""
    path = table_path(data, "events")
    if path is None:
        table = schema_of("events").empty_table()
    elif path.suffix == ".jsonl":
        rows = [event.model_dump() for event in read_events(data)]
        table = pa.Table.from_pylist(rows, schema=schema_of("events"))
    else:
        table = _read_parquet(path)
    return _columns(table)


_COLUMNS = ["event_id", "ts", "type", "article_id", "user_id", "session_id", "value", "trust"]


def _read_parquet(path: Path) -> pa.Table:
    try:
        names = pq.ParquetDataset(path).schema.names
        present = [name for name in _COLUMNS if name in names]
        missing = {"event_id", "ts", "type", "article_id"} - set(present)
        if missing:
            raise DataError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        coded = [name for name in ("type", "article_id", "user_id", "session_id") if name in present]
        return pq.read_table(path, columns=present, read_dictionary=coded)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet: {str(error)[:200]}; write or copy it again"
        ) from error


def _codes(table: pa.Table, name: str) -> tuple[NDArray[np.int32], list[str | None]]:
    if name not in table.column_names:
        return np.full(len(table), -1, np.int32), []
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = (
            pa.concat_arrays(column.chunks)
            if column.num_chunks
            else pa.array([], table.schema.field(name).type)
        )
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, column.dictionary.to_pylist()


def _columns(table: pa.Table) -> EventLog:
    ts = table.column("ts").cast(pa.int64()).to_numpy() / 1e6
    order = _time_order(table, ts)
    type_codes, type_names = _codes(table, "type")
    articles, article_ids = _codes(table, "article_id")
    values = _floats(table, "value", float("nan"))
    translate = np.array([EVENT_TYPES.index(str(name)) for name in type_names] or [0], dtype=np.uint8)
    return EventLog(
        ts[order],
        translate[type_codes][order] if len(ts) else np.zeros(0, np.uint8),
        articles[order],
        _reader_keys(table)[order],
        values[order],
        [str(name) for name in article_ids],
        trust_of(_floats(table, "trust", 1.0)[order]),
    )


def _floats(table: pa.Table, name: str, missing: float) -> NDArray[np.float64]:
    if name not in table.column_names:
        return np.full(len(table), missing)
    found: NDArray[np.float64] = table.column(name).cast(pa.float64()).fill_null(missing).to_numpy()
    return found


def trust_of(factors: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(m,) factors between 0 and 1 as an ``EventLog`` has them: None where all are 1."""
    return None if bool(np.all(factors == 1.0)) else factors


def _time_order(table: pa.Table, ts: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order by time, then by event id, whatever the order of the rows was."""
    order = np.argsort(ts, kind="stable")
    tied = np.flatnonzero(np.diff(ts[order]) == 0)
    if len(tied):
        places = np.union1d(tied, tied + 1)
        rows = order[places]
        ranks = pc.rank(table.column("event_id").take(pa.array(rows)), tiebreaker="first").to_numpy()
        order[places] = rows[np.lexsort((ranks, ts[rows]))]
    return order


def _reader_keys(table: pa.Table) -> NDArray[np.uint64]:
    users, user_names = _codes(table, "user_id")
    sessions, session_names = _codes(table, "session_id")
    by_user = np.array([reader_key(f"u:{name}") for name in user_names] + [0], dtype=np.uint64)
    by_session = np.array([reader_key(f"s:{name}") for name in session_names] + [0], dtype=np.uint64)
    return np.where(users >= 0, by_user[users], by_session[sessions])


def validate(data: Path) -> Iterator[dict[str, Any]]:
    """Defects of canonical data: file, row, field, rule.

    Raises:
        UsageError: no such data.
    """
    require_data(data)
    for table, model in MODELS.items():
        seen: set[bytes] = set()
        for source in source_rows(data, table):
            yield from _defects(table, model, source, seen)


def _defects(table: str, model: type[Row], source: SourceRow, seen: set[bytes]) -> Iterator[dict[str, Any]]:
    def defect(field: str, rule: str) -> dict[str, Any]:
        return {"file": f"{table}/{source.file}", "row": source.number, "field": field, "rule": rule}

    if source.values is None:
        yield defect("row", source.defect or "unreadable")
        return
    try:
        row = model.model_validate(source.values)
    except ValidationError as error:
        field, rule, _ = first_defect(error)
        yield defect(field, rule)
        return
    key = _short_key(row)
    if key in seen:
        yield defect(key_field(row), "this id stands in an earlier row")
    seen.add(key)


def key_field(row: Row) -> str:
    """The field that identifies a row."""
    return {Article: "article_id", Event: "event_id", Exposure: "request_id"}[type(row)]


def _short_key(row: Row) -> bytes:
    surface = row.surface if isinstance(row, Exposure) else ""
    return reader_key(f"{surface}/{getattr(row, key_field(row))}").to_bytes(8, "little")
