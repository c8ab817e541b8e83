"""Small logs as canonical data, for tests that know what should be found in them."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

from recsys.config import Config
from recsys.schemas import Article, Event, Exposure, ExposureItem
from recsys.state import State
from tests.builders import DIMENSIONS, NOW, event, scattered
from training.clicklog import ClickLog, read_click_log
from training.fit import replay
from training.material import compared, read_material
from training.writing import DatasetWriter


def served(
    request_id: str,
    *items: str,
    reader: str = "r1",
    surface: str = "related",
    minutes_ago: float = 5.0,
    context: str | None = None,
) -> Exposure:
    """A list that a session was served ``minutes_ago`` before ``NOW``."""
    return Exposure(
        request_id=request_id,
        surface=surface,  # type: ignore[arg-type]
        ts=NOW - timedelta(minutes=minutes_ago),
        session_id=reader,
        context_article_id=context,
        items=[ExposureItem(article_id=name, position=at) for at, name in enumerate(items, 1)],
    )


def click(name: str, article_id: str, reader: str = "r1", minutes_ago: float = 4.0, **more: object) -> Event:
    """A click ``minutes_ago`` before ``NOW``."""
    return event(name, article_id, reader, "click", minutes_ago, **more)


def write(
    folder: Path,
    articles: Sequence[Article] = (),
    events: Sequence[Event] = (),
    exposures: Sequence[Exposure] = (),
) -> Path:
    """Canonical data as Parquet, rows as they are given."""
    with DatasetWriter(folder) as writer:
        for name, rows in (("articles", articles), ("events", events), ("exposures", exposures)):
            for row in rows:
                writer.tables[name].add(row)
        writer.finish({})
    return folder


def cleaned(folder: Path, events: Sequence[Event], exposures: Sequence[Exposure] = ()) -> ClickLog:
    """The log of these rows after cleaning, with the default settings."""
    write(folder, (), events, exposures)
    return read_click_log(folder, Config(), {}, now=NOW.timestamp())


def trained(
    folder: Path,
    articles: Sequence[Article],
    events: Sequence[Event] = (),
    exposures: Sequence[Exposure] = (),
    config: Config | None = None,
) -> tuple[State, str]:
    """A state as training makes it, with scattered vectors, and the notes as one text."""
    write(folder, articles, events, exposures)
    vectors = np.array([scattered(item.article_id) for item in articles], dtype=np.float32)
    settings, rows = config or Config(), vectors.reshape(-1, DIMENSIONS)
    found, _ = compared(settings, articles, rows, "scattered")
    material, notes = read_material(settings, folder, found, until=np.inf, now=NOW.timestamp())
    state = material.state(settings)
    lessons = replay(state, material.log, material.exposures, material.clicks)
    return state, "\n".join([*notes, *lessons.notes])
