"""Small worlds whose right answers are known by construction."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import Catalog
from recsys.config import Config
from recsys.embedder import text_digest
from recsys.index import ExactIndex, Neighbours, duplicate_groups
from recsys.schemas import Article, Event
from recsys.state import State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600.0
DIMENSIONS = 32


def article(name: str, *, hours_old: float = 10.0, **fields: Any) -> Article:
    """An article published ``hours_old`` before ``NOW``."""
    defaults = {"title": f"Title of {name}", "published_at": NOW - timedelta(hours=hours_old)}
    return Article(article_id=name, **{**defaults, **fields})


def event(
    name: str, article_id: str, reader: str = "r1", kind: str = "view", minutes_ago: float = 5.0, **more: Any
) -> Event:
    """An event ``minutes_ago`` before ``NOW`` of a session."""
    return Event(
        event_id=name,
        type=kind,  # type: ignore[arg-type]
        ts=NOW - timedelta(minutes=minutes_ago),
        article_id=article_id,
        session_id=reader,
        **more,
    )


def unit(*parts: float) -> NDArray[np.float32]:
    """A unit vector that begins with ``parts``."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[: len(parts)] = parts
    return vector / np.float32(np.linalg.norm(vector))


def scattered(name: str) -> NDArray[np.float32]:
    """A unit vector that follows from a name; two names are nearly orthogonal."""
    seed = int(text_digest(name, "test")[:12], 16)
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def world(
    articles: Sequence[Article],
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    config: Config | None = None,
    events: Sequence[Event] = (),
) -> State:
    """A state of these articles; an article without a given vector has a scattered one."""
    config, given = config or Config(), vectors or {}
    rows = [given.get(item.article_id, scattered(item.article_id)) for item in articles]
    matrix = np.array(rows, dtype=np.float32).reshape(-1, DIMENSIONS)
    neighbours = Neighbours.compute(matrix, config.index.neighbours)
    catalog = Catalog.of(articles, config.site.url_template)
    catalog.duplicate[: len(catalog)] = duplicate_groups(neighbours, config.index.near_duplicate_cosine)
    state = State(config, catalog, ExactIndex(matrix), neighbours)
    state.apply_events(list(events), NOW.timestamp())
    return state


def row(state: State, name: str) -> int:
    """Catalogue row of an article that is there."""
    found = state.catalog.row(name)
    assert found is not None, name
    return found
