"""Write canonical data: Parquet parts aside, refusals beside them, swapped in when complete."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError, UsageError
from recsys.schemas import Article, Event, Exposure, Row
from training.swapping import put_in_place

TABLES = ("articles", "events", "exposures")
MARKER = "import.json"
REJECTED = "rejected.jsonl"
# outputs written before the marker named its maker
_ANY = "any"
_PART_ROWS = 100_000
# rows as Python objects take ten times what they take as columns
_BUFFER_ROWS = 5_000
_TIME = pa.timestamp("us", tz="UTC")
_ITEM = pa.struct(
    [
        ("article_id", pa.string()),
        ("position", pa.int32()),
        ("score", pa.float64()),
        ("propensity", pa.float64()),
        ("source", pa.string()),
    ]
)
_KINDS: dict[str, pa.DataType] = {
    **dict.fromkeys(("published_at", "updated_at", "expires_at", "ts"), _TIME),
    **dict.fromkeys(("tags", "authors", "sensitivity", "history"), pa.list_(pa.string())),
    **dict.fromkeys(("editor_priority", "value", "trust", "took_ms"), pa.float64()),
    "is_hidden": pa.bool_(),
    "position": pa.int32(),
    "items": pa.list_(_ITEM),
}
MODELS: dict[str, type[Row]] = {"articles": Article, "events": Event, "exposures": Exposure}


def schema_of(table: str) -> pa.Schema:
    """Arrow schema of a canonical table."""
    return pa.schema([(name, _KINDS.get(name, pa.string())) for name in MODELS[table].model_fields])


class TableWriter:
    """Rows of one table into Parquet parts; a written or buffered row can be read back."""

    def __init__(self, folder: Path, table: str) -> None:
        self._folder, self._schema = folder / table, schema_of(table)
        self.count = 0
        self._buffer: list[dict[str, Any]] = []
        self._columns: list[pa.Table] = []
        self._written = 0
        self._opened: tuple[int, pa.Table] | None = None
        self._folder.mkdir(parents=True)

    def add(self, row: Row) -> int:
        """Append; returns the number of the row."""
        self._buffer.append(row.model_dump())
        self.count += 1
        if len(self._buffer) >= _BUFFER_ROWS:
            self._pack()
        if self.count - self._written >= _PART_ROWS:
            self.flush()
        return self.count - 1

    def add_columns(self, rows: pa.Table) -> None:
        """Append rows that are columns of ``schema_of`` already; they are not checked and not read back."""
        if self._buffer:
            self._pack()
        start = 0
        while start < len(rows):
            part = rows.slice(start, _PART_ROWS - (self.count - self._written))
            self._columns.append(part)
            self.count += len(part)
            start += len(part)
            if self.count - self._written == _PART_ROWS:
                self.flush()

    def read_back(self, number: int) -> dict[str, Any]:
        """A row that was added earlier."""
        if number < self._written:
            part = number // _PART_ROWS
            if self._opened is None or self._opened[0] != part:
                self._opened = (part, pq.read_table(self._part(part)))
            return _row(self._opened[1], number % _PART_ROWS)
        batch, place = divmod(number - self._written, _BUFFER_ROWS)
        return _row(self._columns[batch], place) if batch < len(self._columns) else self._buffer[place]

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}.parquet"

    def _pack(self) -> None:
        self._columns.append(pa.Table.from_pylist(self._buffer, schema=self._schema))
        self._buffer = []

    def flush(self) -> None:
        """Write what is buffered; an empty table gets one empty part."""
        if self.count > self._written or self._written == 0:
            self._pack()
            part = self._part(self._written // _PART_ROWS)
            pq.write_table(pa.concat_tables(self._columns), part, compression="zstd")
            self._written, self._columns = self.count, []


def _row(table: pa.Table, number: int) -> dict[str, Any]:
    return table.slice(number, 1).to_pylist()[0]  # type: ignore[no-any-return]


class Refusals:
    """Rows that were refused, with file, row, field and rule."""

    def __init__(self, path: Path, strict: bool) -> None:
        self.count = 0
        self.examples: list[dict[str, Any]] = []
        self._strict = strict
        self._out = path.open("w", encoding="utf-8")

    def add(self, file: str, row: int, field: str, rule: str, value: Any = None) -> None:
        """Note one; with ``strict`` the first one stops the import."""
        entry = {"file": file, "row": row, "field": field, "rule": rule, "value": _clip(value)}
        if self._strict:
            raise DataError(f"{file}, row {row}, field {field}: {rule} (value {entry['value']!r})")
        self.count += 1
        if len(self.examples) < 20:
            self.examples.append(entry)
        self._out.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._out.close()


def _clip(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    return text[:200]


class DatasetWriter:
    """All tables of one dataset; nothing appears under ``out`` before ``finish``.

    Args:
        out: target folder; replaced if it is an earlier output, refused if it is something else.
        strict: the first refused row stops.
        made_by: what writes; an output of something else is not replaced.

    Raises:
        UsageError: ``out`` holds something that is not an earlier output.
        DataError: the disk is full or the place cannot be written; an earlier output stays.
    """

    def __init__(self, out: Path, strict: bool = False, made_by: str = "import") -> None:
        if out.exists() and (not out.is_dir() or (any(out.iterdir()) and _maker(out) not in (made_by, _ANY))):
            raise UsageError(f"{out} holds something else than an earlier output; choose another folder")
        self.out, self._made_by = out, made_by
        self._aside = out.with_name(f".{out.name}.{os.getpid()}.partial")
        shutil.rmtree(self._aside, ignore_errors=True)
        try:
            self._aside.mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"cannot write beside {out}: {error.strerror}") from error
        self.tables = {name: TableWriter(self._aside, name) for name in TABLES}
        self.refusals = Refusals(self._aside / REJECTED, strict)

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """A further JSON file beside the tables."""
        text = json.dumps(values, indent=2, ensure_ascii=False, default=_json_default)
        (self._aside / name).write_text(text, encoding="utf-8")

    def finish(self, report: Mapping[str, Any]) -> None:
        """Complete the files and put them in the place of an earlier output."""
        for table in self.tables.values():
            table.flush()
        self.refusals.close()
        self.write_json(MARKER, {"made_by": self._made_by, **report})
        put_in_place(self._aside, self.out)

    def abandon(self) -> None:
        """Leave no trace; an earlier output stays as it was."""
        with suppress(OSError):
            self.refusals.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is None:
            return
        self.abandon()
        # an error of a source names a file elsewhere
        place = error.filename if isinstance(error, OSError) else None
        if isinstance(error, OSError) and (place is None or Path(str(place)).is_relative_to(self._aside)):
            raise cannot_write(self.out, error) from error


def cannot_write(out: Path, error: OSError) -> DataError:
    """The disk is full or the place is closed, in words."""
    return DataError(
        f"cannot write {out}: {error.strerror or error}; free space or choose another folder, then run the "
        "same command again; an earlier output is as it was"
    )


def _maker(out: Path) -> str | None:
    """What wrote an earlier output; None where there is none."""
    try:
        return str(json.loads((out / MARKER).read_text(encoding="utf-8")).get("made_by", _ANY))
    except (OSError, ValueError, AttributeError):
        return None


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def without_missing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that are there: a None of a table is a missing field."""
    return {name: value for name, value in values.items() if value is not None}


def iter_parts(folder: Path, table: str) -> Iterator[Path]:
    """The Parquet parts of a table in order."""
    yield from sorted((folder / table).glob("part-*.parquet"))
