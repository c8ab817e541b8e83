"""Import a folder in MIND format.

Source: Wu et al., "MIND: A Large-scale Dataset for News Recommendation", ACL 2020.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys.errors import UsageError
from recsys.schemas import MAX_ID_CHARS, Exposure
from training.importing import Importer, ImportReport, Progress, drop_blank
from training.sources import SourceRow, tsv_rows
from training.writing import DatasetWriter

_NEWS = ("article_id", "section", "subsection", "title", "abstract", "url")
_BEHAVIORS = ("request_id", "user_id", "ts", "history", "impressions")
_TIME = "%m/%d/%Y %I:%M:%S %p"


def import_mind(
    folder: Path,
    out: Path,
    *,
    strict: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """``news.tsv`` and every ``behaviors*.tsv`` of a folder into canonical data.

    An impression becomes one exposure of surface ``for_you`` and one ``click`` event per click.

    Raises:
        UsageError: the folder or ``news.tsv`` is not there.
        DataError: nothing usable was found, or ``strict`` met a bad row.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give the folder that holds news.tsv")
    if not (folder / "news.tsv").is_file():
        raise UsageError(f"{folder} holds no news.tsv; MIND keeps it beside behaviors.tsv")
    with DatasetWriter(out, strict) as writer:
        importer = Importer(writer, now, progress)
        for path in sorted(folder.glob("behaviors*.tsv")):
            _take_behaviors(importer, path)
        rows = tsv_rows(folder / "news.tsv", _NEWS, 4)
        importer.take_all("articles", (_mapped(row, drop_blank) for row in rows))
        return importer.finish()


def _mapped(row: SourceRow, change: Any) -> SourceRow:
    return row if row.values is None else SourceRow(row.file, row.number, change(row.values), row.defect)


def _take_behaviors(importer: Importer, path: Path) -> None:
    clicked: dict[int, set[str]] = {}
    rows = (_exposure(row, clicked) for row in tsv_rows(path, _BEHAVIORS, 5))

    def clicks() -> Iterator[SourceRow]:
        for source, exposure in importer.take("exposures", rows):
            chosen = clicked.pop(source.number, set())
            if isinstance(exposure, Exposure):
                yield from _clicks(source, exposure, chosen)

    importer.take_all("events", clicks())


def _exposure(row: SourceRow, clicked: dict[int, set[str]]) -> SourceRow:
    if row.values is None:
        return row
    shown = [entry.rpartition("-") for entry in row.values["impressions"].split()]
    if any(not name or label not in ("0", "1") for name, _, label in shown):
        return SourceRow(row.file, row.number, None, "impressions are written ID-0 or ID-1")
    clicked[row.number] = {name for name, _, label in shown if label == "1"}
    values = {
        "request_id": row.values["request_id"],
        "surface": "for_you",
        "user_id": row.values["user_id"],
        "ts": _time(row.values["ts"]),
        "items": [{"article_id": name, "position": at} for at, (name, _, _) in enumerate(shown, 1)],
        "history": row.values["history"].split(),
    }
    return SourceRow(row.file, row.number, values)


def _time(text: str) -> datetime | str:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return text


def _clicks(source: SourceRow, exposure: Exposure, chosen: set[str]) -> Iterator[SourceRow]:
    for item in exposure.items:
        if item.article_id in chosen:
            values = {
                "event_id": f"{exposure.request_id}:{item.article_id}"[-MAX_ID_CHARS:],
                "type": "click",
                "ts": exposure.ts,
                "article_id": item.article_id,
                "user_id": exposure.user_id,
                "request_id": exposure.request_id,
                "surface": exposure.surface,
                "position": item.position,
            }
            yield SourceRow(source.file, source.number, values)
