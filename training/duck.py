"""Canonical tables in DuckDB, spoken to through ibis, in bounded memory.

Times become int64 microseconds as soon as they are read, readers the names that ``reader_key``
takes; columns that a file lacks are null.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from numpy.typing import NDArray

from recsys.errors import DataError
from recsys.schemas import Row
from training.readers import read_articles, read_events, read_exposures, table_path
from training.writing import schema_of

Expr = Any
_ROWS: dict[str, Callable[[Path], Iterator[Row]]] = {"events": read_events, "exposures": read_exposures}
_ROWS["articles"] = read_articles
_KINDS = {"user_id": "string", "session_id": "string", "request_id": "string", "list_id": "string"}
_KINDS |= {"surface": "string", "value": "float64", "trust": "float64"}
_REQUIRED = {"events": ("event_id", "type", "ts", "article_id")}
_REQUIRED["exposures"] = ("request_id", "surface", "ts", "items")


_ONE, _FOUR = (dt.Timestamp("UTC"),), (dt.int64, dt.int64, dt.int64, dt.string)


@ibis.udf.scalar.builtin(name="epoch_us", signature=(_ONE, dt.int64))  # type: ignore[untyped-decorator]
def microseconds_of(instant: Expr) -> Expr:
    """Unix microseconds of a time."""


@ibis.udf.scalar.builtin(name="hash", signature=(_FOUR, dt.uint64))  # type: ignore[untyped-decorator]
def hash_of(first: Expr, second: Expr, third: Expr, text: Expr) -> Expr:
    """64 bits of three numbers and a text; null counts as a value."""


class Duck:
    """A database in a temporary folder; use ``opened``."""

    def __init__(self, folder: Path, memory_mb: int, ordered: bool = True) -> None:
        self._tables = 0
        self.connection: Any = ibis.duckdb.connect(
            folder / "clicks.duckdb",
            memory_limit=f"{memory_mb}MB",
            temp_directory=str(folder),
            # an extension is never fetched from the network
            autoinstall_known_extensions=False,
            preserve_insertion_order=ordered,
        )

    def keep(self, name: str, rows: Expr) -> Expr:
        """A table of these rows, computed once."""
        self._tables += 1
        with _told():
            return self.connection.create_table(f"{name}_{self._tables}", rows)

    def arrow(self, rows: Expr) -> Any:
        """A table of rows, or one value, as Arrow."""
        with _told():
            return self.connection.to_pyarrow(rows)

    def columns(self, rows: Expr) -> dict[str, NDArray[Any]]:
        """Numbers as arrays; null is NaN and only allowed in floats."""
        table = self.arrow(rows)
        return {name: table.column(name).to_numpy() for name in table.column_names}

    def number(self, value: Expr) -> int:
        """One count, 0 where there is nothing."""
        return int(self.arrow(value).as_py() or 0)

    def close(self) -> None:
        """Let the file go."""
        self.connection.disconnect()


@contextmanager
def _told() -> Iterator[None]:
    """What DuckDB cannot do, in words."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            f"the click log does not fit: {str(error)[:200]}; give more with "
            "--set clicklog.memory_mb=N, or free space in the folder for temporary files"
        ) from error
    except duckdb.Error as error:
        raise DataError(
            f"the click log cannot be read: {str(error)[:200]}; 'recsys validate' lists defects, or write "
            "the files again"
        ) from error


@contextmanager
def opened(memory_mb: int, ordered: bool = True) -> Iterator[Duck]:
    """A database that disappears afterwards.

    Args:
        memory_mb: beyond it DuckDB writes to the temporary folder.
        ordered: whether rows stay in the order of their files; without, DuckDB need not keep it.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-clicks-") as folder:
        duck = Duck(Path(folder), memory_mb, ordered)
        try:
            yield duck
        finally:
            duck.close()


def canonical(duck: Duck, data: Path, table: str) -> Expr:
    """Events or exposures with ``reader`` (``u:...`` or ``s:...``) and ``us`` (unix microseconds).

    Args:
        duck: where it is read.
        data: folder of canonical data.
        table: ``events`` or ``exposures``.

    Raises:
        DataError: it cannot be read, a column is missing, or a row lacks what is required.
    """
    rows = source(duck, data, table)
    missing = [name for name in _REQUIRED[table] if name not in rows.columns]
    if missing:
        raise DataError(f"{data / table} lacks the columns {', '.join(missing)}")
    absent = {name: ibis.null(kind) for name, kind in _KINDS.items() if name not in rows.columns and kind}
    rows = rows.mutate(**absent)
    reader = ibis.coalesce("u:" + rows.user_id, "s:" + rows.session_id)
    rows = rows.mutate(reader=reader, us=microseconds_of(rows.ts))
    needed = [rows[name].isnull() for name in (*_REQUIRED[table], "reader")]
    bad = duck.number(ibis.or_(*needed).cast("int64").sum())
    if bad:
        raise DataError(
            f"{bad:,} rows of {data / table} lack {', '.join(_REQUIRED[table])} or a reader; "
            f"'recsys validate {data}' lists every defect"
        )
    return rows


def believed(events: Expr) -> Expr:
    """Events that say something to others than their own reader (docs/trust.md)."""
    return events.filter(events.trust.isnull() | (events.trust > 0))


def source(duck: Duck, data: Path, table: str) -> Expr:
    """A table of canonical data as it stands; without rows where there is none.

    Raises:
        DataError: it cannot be read.
    """
    path = table_path(data, table)
    if path is None:
        return ibis.memtable(schema_of(table).empty_table())
    if path.suffix == ".jsonl":
        # checked row by row on the way, as everywhere else
        rows = [row.model_dump() for row in _ROWS[table](data)]
        return ibis.memtable(pa.Table.from_pylist(rows, schema=schema_of(table)))
    files = sorted(map(str, path.glob("*.parquet"))) if path.is_dir() else [str(path)]
    try:
        return duck.connection.read_parquet(files, union_by_name=True)
    except duckdb.Error as error:
        raise DataError(
            f"{path} cannot be read as Parquet: {str(error)[:200]}; write or copy it again"
        ) from error
