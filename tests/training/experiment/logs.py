"""Small logs of experiments as canonical data."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.config import Config
from recsys.experiments.definition import Experiment
from recsys.schemas import Article, Event, Exposure, ExposureItem
from training.duck import opened
from training.experiment.outcomes import Outcomes, read_log, read_outcomes
from training.writing import DatasetWriter

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=10)


def experiment(**fields: Any) -> Experiment:
    """Two sides of equal weight, judged by click-through rate; two days are the window of an outcome."""
    values: dict[str, Any] = {
        "id": "exp",
        "unit": "session",
        "surfaces": ["related"],
        "start": START,
        "end": END,
        "primary_metric": "ctr",
        "outcome_days": 2,
        "variant": [{"name": "control", "weight": 0.5}, {"name": "new", "weight": 0.5}],
    }
    return Experiment.model_validate({**values, **fields})


def at(days: float = 0.0, minutes: float = 0.0) -> datetime:
    """So long after the experiment's start."""
    return START + timedelta(days=days, minutes=minutes)


def shown(
    request_id: str, reader: str, when: datetime, items: Sequence[str] = ("a1", "a2"), **fields: Any
) -> Exposure:
    """A list; in the experiment if ``variant`` is given."""
    inside = {"experiment_id": "exp"} if "variant" in fields else {}
    values = {"surface": "related", "session_id": reader, **inside, **fields}
    places = [ExposureItem(article_id=name, position=place) for place, name in enumerate(items, 1)]
    return Exposure(request_id=request_id, ts=when, items=places, **values)


def did(name: str, kind: str, reader: str, when: datetime, article_id: str = "a1", **fields: Any) -> Event:
    """An event of a session."""
    values = {"session_id": reader, **fields}
    return Event(event_id=name, type=kind, ts=when, article_id=article_id, **values)  # type: ignore[arg-type]


def write(
    folder: Path,
    exposures: Iterable[Exposure] = (),
    events: Iterable[Event] = (),
    articles: Iterable[Article] = (),
) -> Path:
    """Canonical data as Parquet."""
    with DatasetWriter(folder) as writer:
        for name, rows in (("articles", articles), ("events", events), ("exposures", exposures)):
            for row in rows:
                writer.tables[name].add(row)
        writer.finish({})
    return folder


def outcomes(
    folder: Path,
    exposures: Iterable[Exposure],
    events: Iterable[Event] = (),
    articles: Iterable[Article] = (),
    *,
    until: datetime = END,
    definition: Experiment | None = None,
    internal: Sequence[str] = (),
) -> tuple[list[Mapping[str, Any]], Outcomes]:
    """Rows of the readers, by first exposure, and what was left out; the tables are closed."""
    data = write(folder / "data", exposures, events, articles)
    with opened(500) as duck:
        log = read_log(duck, data)
        asked = definition or experiment()
        found = read_outcomes(duck, log, asked, until, Config().clicklog, internal)
        return duck.arrow(found.table.order_by("first_at")).to_pylist(), found
