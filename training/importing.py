"""The engine of every import: check, de-duplicate, write, count."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsys.errors import DataError
from recsys.schemas import MAX_ID_CHARS, Article, Event, Exposure, Row
from training.seen import SeenIds, id_hash
from training.sources import SourceRow
from training.writing import MODELS, DatasetWriter

Progress = Callable[[int], None]
_BATCH = 5_000
_FUTURE = timedelta(days=1)
_ID_FIELD: dict[type[Row], str] = {Article: "article_id", Event: "event_id", Exposure: "request_id"}


@dataclass(slots=True)
class TableCount:
    """What became of the rows of one table."""

    read: int = 0
    written: int = 0
    refused: int = 0
    duplicates: int = 0
    renamed: int = 0


@dataclass(slots=True)
class ImportReport:
    """Counts by table, source columns that were not mapped, and references without article."""

    articles: TableCount = field(default_factory=TableCount)
    events: TableCount = field(default_factory=TableCount)
    exposures: TableCount = field(default_factory=TableCount)
    ignored_columns: dict[str, list[str]] = field(default_factory=dict)
    unknown_articles: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def first_defect(error: ValidationError) -> tuple[str, str, Any]:
    """Field, rule and value of the first thing that is wrong with a row."""
    item = error.errors()[0]
    place = ".".join(str(step) for step in item["loc"]) or "row"
    rule = "unknown field" if item["type"] == "extra_forbidden" else item["msg"]
    return place, rule.removeprefix("Value error, "), item["input"]


class Importer:
    """Takes rows of all tables, in the order exposures, events, articles.

    Articles come last, because a missing ``published_at`` is the earliest exposure or event.

    Args:
        writer: where accepted rows and refusals go.
        now: rows dated more than a day later are refused.
        progress: called with the number of rows read so far.
    """

    def __init__(self, writer: DatasetWriter, now: datetime | None, progress: Progress | None = None) -> None:
        self.report = ImportReport()
        self._writer, self._progress = writer, progress
        self._latest = None if now is None else now + _FUTURE
        self._seen = {name: SeenIds() for name in MODELS}
        self._first: dict[str, datetime] = {}
        self._aliases: dict[str, list[int]] = {}
        self._rows = 0

    def take(self, table: str, sources: Iterable[SourceRow]) -> Iterator[tuple[SourceRow, Row | None]]:
        """Import rows of a table; yields each accepted row as written, None where skipped.

        The iterator must be used up.
        """
        rows = iter(sources)
        while batch := list(islice(rows, _BATCH)):
            checked = [(source, self._check(table, source)) for source in batch]
            hashes = [id_hash(_key(row)) for _, row in checked if row is not None]
            hits = iter(zip(hashes, self._seen[table].find(hashes), strict=True))
            for source, row in checked:
                if row is None:
                    yield source, None
                else:
                    yield source, self._admit(table, source, row, *next(hits))
            self._rows += len(batch)
            if self._progress is not None:
                self._progress(self._rows)

    def take_all(self, table: str, sources: Iterable[SourceRow]) -> None:
        """Import rows of a table."""
        for _ in self.take(table, sources):
            pass

    def finish(self) -> ImportReport:
        """Complete the output.

        Raises:
            DataError: not one article or event was accepted.
        """
        report = self.report
        if report.articles.written + report.events.written + report.exposures.written == 0:
            raise DataError(
                "not one row was accepted; the first refusals: "
                + "; ".join(
                    f"{r['file']} row {r['row']}: {r['rule']}" for r in self._writer.refusals.examples[:3]
                )
            )
        report.refusals = self._writer.refusals.examples
        report.unknown_articles = len(self._first)
        self._writer.finish(report.as_dict())
        return report

    def _count(self, table: str) -> TableCount:
        found: TableCount = getattr(self.report, table)
        return found

    def _check(self, table: str, source: SourceRow) -> Row | None:
        self._count(table).read += 1
        if source.values is None:
            self._refuse(table, source, "row", source.defect or "unreadable", None)
            return None
        try:
            row = MODELS[table].model_validate(source.values)
        except ValidationError as error:
            self._refuse(table, source, *first_defect(error))
            return None
        if isinstance(row, Event | Exposure) and self._latest is not None and row.ts > self._latest:
            rule = f"the time lies after {self._latest:%Y-%m-%dT%H:%M:%SZ}, a day after now"
            self._refuse(table, source, "ts", rule, row.ts.isoformat())
            return None
        return row

    def _refuse(self, table: str, source: SourceRow, field: str, rule: str, value: Any) -> None:
        self._count(table).refused += 1
        self._writer.refusals.add(source.file, source.number, field, rule, value)

    def _admit(self, table: str, source: SourceRow, row: Row, value: int, hit: int) -> Row | None:
        count, seen = self._count(table), self._seen[table]
        if hit < 0:
            # the same id may have come earlier in this batch
            hit = seen.since_find(value)
        original = _key(row) if hit >= 0 else ""
        attempt = 0
        while hit >= 0:
            known = [
                self._read_back(table, at) for at in (hit, *self._aliases.get(f"{table}/{original}", ()))
            ]
            if _key(known[0]) != _key(row):
                break
            if any(_repeats(row, earlier) for earlier in known):
                count.duplicates += 1
                return None
            row = _renamed(row, source.file, attempt)
            attempt += 1
            value = id_hash(_key(row))
            hit = self._lookup(table, value)
        row = self._dated(row)
        number = self._writer.tables[table].add(row)
        if attempt:
            count.renamed += 1
            self._aliases.setdefault(f"{table}/{original}", []).append(number)
        seen.add(value, number)
        count.written += 1
        return row

    def _lookup(self, table: str, value: int) -> int:
        """One hash, out of turn: what was added in this batch stays known."""
        seen = self._seen[table]
        return max(seen.since_find(value), seen.find_one(value))

    def _read_back(self, table: str, number: int) -> Row:
        return MODELS[table].model_construct(**self._writer.tables[table].read_back(number))

    def _dated(self, row: Row) -> Row:
        if isinstance(row, Article):
            first = self._first.pop(row.article_id, None)
            if row.published_at is None and first is not None:
                return row.model_copy(update={"published_at": first})
        elif isinstance(row, Event):
            self._appeared(row.article_id, row.ts)
        elif isinstance(row, Exposure):
            for item in row.items:
                self._appeared(item.article_id, row.ts)
        return row

    def _appeared(self, article_id: str, ts: datetime) -> None:
        first = self._first.get(article_id)
        if first is None or ts < first:
            self._first[article_id] = ts


def _key(row: Row) -> str:
    if isinstance(row, Article):
        return row.article_id
    if isinstance(row, Event):
        return row.event_id
    if isinstance(row, Exposure):
        return f"{row.surface}/{row.request_id}"
    raise TypeError(type(row).__name__)


def _plain(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.model_dump().items() if value not in (None, [], False)}


def _repeats(row: Row, earlier: Row) -> bool:
    """Whether ``row`` says nothing that ``earlier`` does not say, under whatever id it was kept."""
    new, old = _plain(row), earlier.model_dump(warnings=False)
    new.pop(_ID_FIELD[type(row)])
    if isinstance(row, Article) and row.published_at is None:
        old.pop("published_at", None)
    return all(_within(value, old.get(name)) for name, value in new.items())


def _within(value: Any, known: Any) -> bool:
    if isinstance(value, list) and isinstance(known, list):
        return {_member(item) for item in value} <= {_member(item) for item in known}
    return bool(value == known)


def _member(item: Any) -> Any:
    return item["article_id"] if isinstance(item, dict) else item


def _renamed(row: Row, file: str, attempt: int) -> Row:
    name = _ID_FIELD[type(row)]
    prefix = Path(file).stem + (f"~{attempt + 1}" if attempt else "")
    old = str(getattr(row, name))
    old = old if not attempt else old.split(":", 1)[-1]
    return row.model_copy(update={name: f"{prefix}:{old}"[-MAX_ID_CHARS:]})


def drop_blank(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without None and empty text, which tables use for missing."""
    return {name: value for name, value in values.items() if value is not None and value != ""}
