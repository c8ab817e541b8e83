"""Import any Parquet, CSV or JSONL tables whose columns a TOML file names."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from recsys.errors import ConfigError, UsageError
from recsys.schemas import EVENT_TYPES
from training.importing import Importer, ImportReport, Progress
from training.seen import Ordinals, id_hash
from training.sources import SourceRow, columns_of, rows_of
from training.writing import MODELS, DatasetWriter

_BATCH = 5_000
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_TIMES = frozenset(("ts", "published_at", "updated_at", "expires_at"))
_LISTS = frozenset(("tags", "authors", "sensitivity", "history"))


@dataclass(frozen=True)
class TableMap:
    """How one table is read: canonical name -> source column, and the event names of the source."""

    columns: Mapping[str, str]
    ts_unit: str | None = None
    type_values: Mapping[str, str] = field(default_factory=dict)


def read_map(path: Path) -> dict[str, TableMap]:
    """Read MAP.toml.

    Raises:
        ConfigError: no TOML, an unknown table, canonical name, unit or event type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the map {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for name in content:
        if name not in MODELS:
            raise ConfigError(f"{path}: unknown table [{name}]; allowed are {', '.join(MODELS)}")
    return {name: _table_map(path, name, dict(table)) for name, table in content.items()}


def _table_map(path: Path, table: str, values: dict[str, Any]) -> TableMap:
    unit, types = values.pop("ts_unit", None), values.pop("type_values", {})
    if unit is not None and unit not in _UNITS:
        raise ConfigError(f"{path}: [{table}] ts_unit = {unit!r}; allowed are {', '.join(_UNITS)}")
    for source, canonical in types.items():
        if canonical not in EVENT_TYPES:
            raise ConfigError(
                f"{path}: [events.type_values] {source!r} = {canonical!r}; allowed are "
                f"{', '.join(EVENT_TYPES)}"
            )
    allowed = MODELS[table].model_fields
    for name, column in values.items():
        if name not in allowed:
            raise ConfigError(
                f"{path}: [{table}] {name}: no canonical field; allowed are {', '.join(allowed)}"
            )
        if not isinstance(column, str):
            raise ConfigError(f"{path}: [{table}] {name} = {column!r}: write the name of the source column")
    return TableMap(values, unit, types)


def import_table(
    *,
    articles: Path,
    mapping: Path,
    out: Path,
    events: Path | None = None,
    exposures: Path | None = None,
    strict: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Tables into canonical data.

    Raises:
        UsageError: a file is not there, or a table without its section in the map.
        ConfigError: the map is wrong.
        DataError: nothing usable was found, or ``strict`` met a bad row.
    """
    maps = read_map(mapping)
    given = {"exposures": exposures, "events": events, "articles": articles}
    paths = {table: path for table, path in given.items() if path is not None}
    for table in paths:
        if table not in maps:
            raise UsageError(f"{mapping} has no section [{table}], but a file of {table} was given")
    with DatasetWriter(out, strict) as writer:
        importer = Importer(writer, now, progress)
        for table, path in paths.items():
            ignored = _check_columns(path, table, maps[table], mapping)
            importer.report.ignored_columns[table] = ignored
            importer.take_all(table, mapped_rows(path, table, maps[table]))
        return importer.finish()


def _check_columns(path: Path, table: str, wanted: TableMap, mapping: Path) -> list[str]:
    columns = columns_of(path)
    required = {name for name, info in MODELS[table].model_fields.items() if info.is_required()} - {
        "event_id"
    }
    missing = required - set(wanted.columns)
    if missing:
        raise ConfigError(f"{mapping}: [{table}] does not map the required {', '.join(sorted(missing))}")
    absent = [column for column in wanted.columns.values() if column not in columns]
    if absent and path.suffix != ".jsonl":
        raise ConfigError(
            f"{mapping}: [{table}] names the columns {', '.join(absent)}, which {path.name} does not have; "
            f"it has {', '.join(columns)}"
        )
    return [column for column in columns if column not in wanted.columns.values()]


def mapped_rows(path: Path, table: str, wanted: TableMap) -> Iterator[SourceRow]:
    """Source rows with canonical names; an event without id gets one from its content.

    Identical event rows get ids that differ by their ordinal, so that nothing is lost: without an id
    a repeat cannot be told from a second event.
    """
    rows, ordinals = rows_of(path), Ordinals()
    while batch := list(islice(rows, _BATCH)):
        mapped = [_mapped(row, wanted) for row in batch]
        if table == "events":
            _give_ids(path, batch, mapped, ordinals)
        yield from mapped


def _mapped(row: SourceRow, wanted: TableMap) -> SourceRow:
    if row.values is None:
        return row
    values = {}
    for name, column in wanted.columns.items():
        value = row.values.get(column)
        if value is not None and value != "":
            values[name] = _value(name, value, wanted)
    return SourceRow(row.file, row.number, values)


def _give_ids(
    path: Path, batch: Sequence[SourceRow], mapped: Sequence[SourceRow], ordinals: Ordinals
) -> None:
    nameless = [
        (row.values, target.values)
        for row, target in zip(batch, mapped, strict=True)
        if row.values is not None and target.values is not None and "event_id" not in target.values
    ]
    if not nameless:
        return
    hashes = [_content_hash(path, values) for values, _ in nameless]
    for value, ordinal, (_, target) in zip(hashes, ordinals.take(hashes), nameless, strict=True):
        target["event_id"] = f"{value:016x}-{ordinal}"


def _content_hash(path: Path, values: Mapping[str, Any]) -> int:
    text = "\0".join(f"{name}={value}" for name, value in sorted(values.items()))
    return id_hash(f"{path.stem}\0{text}")


def _value(name: str, value: Any, wanted: TableMap) -> Any:
    if name in _TIMES:
        return _time(value, wanted.ts_unit)
    if name == "type":
        return wanted.type_values.get(value, value)
    if name in _LISTS and isinstance(value, str):
        return _json(value) if value.startswith("[") else value.split("|")
    if name == "items" and isinstance(value, str):
        return _json(value)
    return str(value) if name.endswith("_id") else value


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _time(value: Any, unit: str | None) -> Any:
    if unit is None or isinstance(value, datetime):
        return value
    try:
        return datetime.fromtimestamp(float(value) * _UNITS[unit], UTC)
    except (ValueError, OverflowError, OSError):
        return str(value)
