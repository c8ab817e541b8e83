"""Large synthetic bundles, written by the real writer: random clusters instead of embedded texts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from recsys.bundle import Registry
from recsys.catalog import Catalog
from recsys.config import Config
from recsys.counters import HOUR
from recsys.index import ExactIndex, Neighbours, duplicate_groups
from recsys.popularity import EventBatch
from recsys.profile import reader_key
from recsys.schemas import Article
from recsys.snapshot import write_state
from recsys.state import State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIMENSIONS = 384


def make_articles(count: int) -> list[Article]:
    """Articles of the last sixty days in twenty sections."""
    rng = np.random.default_rng(1)
    hours = rng.random(count) * 60 * 24
    return [
        Article(
            article_id=f"article-{at}",
            title=f"Something happened in place {at} and people there talk about it",
            abstract="A report of two sentences. It tells what is known so far.",
            section=f"Section {at % 20}",
            published_at=NOW - timedelta(hours=float(hours[at])),
            url=f"https://www.example.org/news/{at}",
            editor_priority=round(float(rng.random()), 2),
        )
        for at in range(count)
    ]


def make_vectors(count: int) -> np.ndarray:
    """Unit vectors around as many centres as a newsroom has running topics."""
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(max(count // 60, 1), DIMENSIONS)).astype(np.float32)
    vectors = centres[rng.integers(len(centres), size=count)] + 0.9 * rng.normal(size=(count, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_events(count: int, articles: int, readers: int) -> EventBatch:
    """Views of three days; few articles take most of them."""
    rng = np.random.default_rng(3)
    rows = np.minimum(rng.zipf(1.2, size=count) - 1, articles - 1).astype(np.int32)
    keys = np.array([reader_key(f"s:reader-{at}") for at in range(readers)], dtype=np.uint64)
    ts = np.sort(NOW.timestamp() - rng.random(count) * 72 * HOUR)
    nothing = np.full(count, np.nan)
    return EventBatch(np.zeros(count, np.uint8), rows, keys[rng.integers(readers, size=count)], ts, nothing)


def make_state(count: int, events: int = 60_000, readers: int = 5_000) -> tuple[State, list[Article]]:
    """A state with everything a service reads."""
    articles, vectors, config = make_articles(count), make_vectors(count), Config()
    neighbours = Neighbours.compute(vectors, config.index.neighbours)
    catalog = Catalog.of(articles)
    catalog.duplicate[:count] = duplicate_groups(neighbours, config.index.near_duplicate_cosine)
    state = State(config, catalog, ExactIndex(vectors), neighbours)
    state.apply_batch(make_events(events, count, readers))
    return state, articles


def published(folder: Path, count: int, model_id: str) -> Path:
    """A registry with one bundle in service; made once."""
    models = folder / f"models-{count}"
    registry = Registry(models)
    if registry.current() is None:
        state, articles = make_state(count)
        facts = {"version": "v1", "created": NOW.isoformat(), "events": 0, "metrics": {}}
        facts |= {"embedder": {"model_id": model_id, "dimensions": DIMENSIONS}}
        write_state(models / "v1", state, articles, facts)
        registry.promote("v1")
    return models
