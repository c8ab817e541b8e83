"""Rows of any Parquet, CSV, TSV or JSONL file, streamed, each with its place."""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import DataError, UsageError

SUFFIXES = (".jsonl", ".parquet", ".csv")
_BATCH = 5_000


@dataclass(slots=True)
class SourceRow:
    """One row of a file.

    Attributes:
        file: name of the file.
        number: 1-based line of a text file, 1-based row of a Parquet file.
        values: by column; None when the row itself could not be read.
        defect: why it could not be read.
    """

    file: str
    number: int
    values: dict[str, Any] | None
    defect: str | None = None


def rows_of(path: Path) -> Iterator[SourceRow]:
    """Rows of a file or of a folder of Parquet parts.

    Raises:
        UsageError: no such file, or a kind that is not read.
        DataError: the file is empty, truncated or not what its name says.
    """
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise DataError(f"the folder {path} holds no *.parquet part")
        for part in parts:
            yield from _parquet(part)
        return
    if not path.is_file():
        raise UsageError(f"there is no file {path}; give a path to one of {', '.join(SUFFIXES)}")
    readers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path} is none of {', '.join(SUFFIXES)}; convert it or give another file")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; a file with at least one row is needed")
    yield from readers[path.suffix.lower()](path)


def columns_of(path: Path) -> list[str]:
    """Column names: of the header, of the Parquet schema, or of the first JSONL row."""
    first = next(rows_of(path), None)
    return [] if first is None or first.values is None else list(first.values)


def _parquet(path: Path) -> Iterator[SourceRow]:
    number = 0
    try:
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield SourceRow(path.name, number, values)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet after row {number}: {str(error)[:200]}; it may be cut off, "
            "write or copy it again"
        ) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            yield from enumerate(source, 1)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error


def _jsonl(path: Path) -> Iterator[SourceRow]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield SourceRow(path.name, number, None, f"not JSON: {error}")
            continue
        if isinstance(values, dict):
            yield SourceRow(path.name, number, values)
        else:
            yield SourceRow(path.name, number, None, "a row is a JSON object")


def _csv(path: Path) -> Iterator[SourceRow]:
    # a huge field must be refused by its own rule, not stop the file
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader((line.replace("\0", "") for _, line in _lines(path)))
    header = next(reader, [])
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield SourceRow(path.name, reader.line_num, None, f"not CSV: {error}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(header):
            defect = f"{len(cells)} columns where the header has {len(header)}"
            yield SourceRow(path.name, reader.line_num, None, defect)
        else:
            yield SourceRow(path.name, reader.line_num, dict(zip(header, cells, strict=True)))


def tsv_rows(path: Path, columns: tuple[str, ...], required: int) -> Iterator[SourceRow]:
    """Rows of a headerless, unquoted TSV file.

    Args:
        path: the file.
        columns: names in order.
        required: how many of them must be there.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    for number, line in _lines(path):
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) < required:
            defect = f"{len(cells)} columns where {required} are needed ({', '.join(columns[:required])})"
            yield SourceRow(path.name, number, None, defect)
        else:
            yield SourceRow(path.name, number, dict(zip(columns, cells, strict=False)))
