"""Tables of nested JSON values whose shape is not known beforehand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Cell:
    """Where a value stands, and the interval that belongs to it.

    Attributes:
        path: of the value.
        interval: path of its interval, None without: of ``NAME`` under ``ci``, or of ``NAME_ci``.
    """

    path: Path
    interval: Path | None = None


@dataclass(frozen=True)
class Block:
    """A titled table.

    Attributes:
        title: words of the path.
        columns: names of the value columns; the first column holds the rows' names.
        rows: (name, cells; None where a row lacks the column).
        notes: sentences that stand under the same key.
    """

    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[Cell | None]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def blocks(values: Any, path: Path) -> list[Block]:
    """Tables in which every scalar and every pair of numbers below ``values`` stands once.

    A mapping of mappings is a table with a row each; what lies deeper has a table of its own; a list of
    mappings is a table whose rows are named by their first text. Texts alone are notes.
    """
    if not values:
        return []
    if isinstance(values, Mapping):
        return list(_of_mapping(values, path))
    if isinstance(values, Sequence) and not isinstance(values, str):
        return list(_of_sequence(values, path))
    return [Block(_title(path), notes=[str(values)])]


def _of_mapping(values: Mapping[str, Any], path: Path) -> Iterator[Block]:
    if _is_row(values):
        yield _table([(" ".join(map(str, path[-1:])), values, path)], path)
        return
    rows = [(name, part, (*path, name)) for name, part in values.items() if _is_row(part)]
    notes = [str(part) for part in values.values() if isinstance(part, str)]
    notes += [str(line) for part in values.values() if _is_texts(part) for line in part]
    plain = {name: part for name, part in values.items() if _is_value(part) and not isinstance(part, str)}
    if plain:
        rows.insert(0, ("all", plain, path))
    if rows or notes:
        yield _table(rows, path, notes)
    for name, part in values.items():
        if not (_is_row(part) or _is_value(part) or _is_texts(part)):
            yield from blocks(part, (*path, name))


def _of_sequence(values: Sequence[Any], path: Path) -> Iterator[Block]:
    if _is_texts(values):
        yield Block(_title(path), notes=[str(line) for line in values])
        return
    rows = []
    for at, part in enumerate(values):
        if isinstance(part, Mapping):
            name = next((value for value in part.values() if isinstance(value, str)), str(at + 1))
            rest = {key: value for key, value in part.items() if value is not name}
            rows.append((name, rest, (*path, at)))
        else:
            rows.append((str(at + 1), {"value": part}, (*path, at)))
    yield _table(rows, path)


def _table(
    rows: Sequence[tuple[str, Mapping[str, Any], Path]], path: Path, notes: Sequence[str] = ()
) -> Block:
    flat = [(name, dict(_cells(part, where)), where) for name, part, where in rows]
    columns = list(dict.fromkeys(column for _, cells, _ in flat for column in cells))
    table = [(name, [cells.get(column) for column in columns]) for name, cells, _ in flat]
    return Block(_title(path), columns, table, list(notes))


def _cells(part: Mapping[str, Any], where: Path) -> Iterator[tuple[str, Cell]]:
    """Column and place of each value; those of a mapping within are named by both keys."""
    found: dict[str, tuple[Path, Any]] = {}
    for key, value in part.items():
        if _is_value(value):
            found[key] = where if "value" in part and len(part) == 1 else (*where, key), value
        elif isinstance(value, Mapping):
            found |= {
                f"{column} {key}": ((*where, key, column), value[column])
                for column, _ in _cells(value, (*where, key))
            }
    intervals = {
        name: f"{name}{end}"
        for name, (_, value) in found.items()
        for end in (" ci", "_ci")
        if f"{name}{end}" in found and _holds(found[f"{name}{end}"][1], value)
    }
    for name, (path, _) in found.items():
        if name not in intervals.values():
            yield name, Cell(path, found[intervals[name]][0] if name in intervals else None)


def _holds(interval: Any, value: Any) -> bool:
    """Whether an interval may be that of a value: it is unknown, or the value lies within."""
    if not _is_pair(interval) or not isinstance(value, int | float):
        return False
    low, high = interval
    return low is None or high is None or low <= value <= high


def _is_value(value: Any) -> bool:
    return value is None or isinstance(value, int | float | str) or _is_pair(value)


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(part is None or isinstance(part, int | float) for part in value)
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(part, str) for part in value)


def _is_row(value: Any) -> bool:
    """A mapping of values, or of values and mappings of values."""
    return (
        isinstance(value, Mapping)
        and any(_is_value(part) for part in value.values())
        and all(
            _is_value(part) or (isinstance(part, Mapping) and all(map(_is_value, part.values())))
            for part in value.values()
        )
    )


def _title(path: Path) -> str:
    return ": ".join(str(step).replace("_", " ") for step in path[1:] or path)


def number(value: Any, sign: bool = False) -> str:
    """A value as it stands in a table.

    Example:
        >>> number(0.63348), number(12345), number([0.1, None]), number(None), number(25.25)
        ('0.6335', '12,345', '0.1000 to -', '-', '25.2')
    """
    if isinstance(value, list | tuple) and len(value) == 2 and not any(isinstance(v, str) for v in value):
        return (
            "-" if value[0] is value[1] is None else f"{number(value[0], sign)} to {number(value[1], sign)}"
        )
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        plus = "+" if sign else ""
        return f"{value:{plus},.4f}" if abs(value) < 10 else f"{value:{plus},.1f}"
    return str(value)
