"""Large synthetic bundles, written by the real writer: random clusters instead of embedded texts.

What a trained bundle has is there, so that a list goes its whole way: readers with some thirty distinct
openings, pairs that were read together, topics with their lifts, and the additive ranker's two curves.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from recsys.affinity import Affinity
from recsys.bundle import Registry
from recsys.catalog import Catalog
from recsys.config import Config
from recsys.covisitation import Covisitation
from recsys.index import ExactIndex, Neighbours, duplicate_groups
from recsys.learned import Learned
from recsys.ranker import AdditiveRanker
from recsys.recipes import Recipe
from recsys.schemas import Article
from recsys.snapshot import write_state
from recsys.state import State
from recsys.topics import Topics, centred
from tests.benchmarks.world_readers import Openings, batch_of, make_openings, reader_name, restored, trails_of

__all__ = ["CONTEXT", "DIMENSIONS", "NOW", "make_articles", "make_vectors", "published", "reader_name"]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIMENSIONS = 384
CONTEXT = "article-77"
_COUNTED = 200_000
_TAUGHT = 2_000
# as training learned them on the demo newsroom's log
_CURVES = {
    "topic_affinity": (0.184, (-0.311, -0.155, -0.053, 0.053, 0.159, 0.312)),
    "ctr_24h": (0.462, (-0.310, -0.155, -0.052, 0.052, 0.157, 0.311)),
}
_WEIGHTS = {"similarity": 0.05, "covisited": 1.18, "section": 0.07, "newness": 0.0002, "popularity": 0.45}


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


def make_topics(count: int, each: int = 60) -> np.ndarray:
    """(n,) running topic of every article; ``each`` articles have one on average."""
    return np.random.default_rng(2).integers(max(count // each, 1), size=count)


def make_vectors(count: int, each: int = 60) -> np.ndarray:
    """Unit vectors around as many centres as there are running topics."""
    topics, rng = make_topics(count, each), np.random.default_rng(6)
    centres = rng.normal(size=(max(count // each, 1), DIMENSIONS)).astype(np.float32)
    vectors = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    vectors *= 0.9
    vectors += centres[topics]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def neighbours_by_topic(vectors: np.ndarray, topics: np.ndarray, k: int) -> Neighbours:
    """The nearest within each topic alone: what no exact search can afford for a million articles."""
    rows = np.full((len(vectors), k), -1, np.int32)
    cosines = np.full((len(vectors), k), -np.inf, np.float32)
    order = np.argsort(topics, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(topics[order])) + 1):
        near = vectors[part] @ vectors[part].T
        np.fill_diagonal(near, -np.inf)
        best = np.argsort(-near, axis=1)[:, : min(k, len(part) - 1)]
        rows[part, : best.shape[1]] = part[best]
        cosines[part, : best.shape[1]] = np.take_along_axis(near, best, axis=1)
    return Neighbours(rows, cosines)


def make_state(
    count: int, readers: int = 5_000, by_topic: bool = False, config: Config | None = None
) -> tuple[State, list[Article]]:
    """A state with everything a service reads.

    Args:
        count: articles.
        readers: with some thirty openings each.
        by_topic: take neighbours from the topics instead of searching all.
        config: settings, None for the default.
    """
    each = 150 if by_topic else 60
    articles, vectors, topics = make_articles(count), make_vectors(count, each), make_topics(count, each)
    config = config or Config()
    k = config.index.neighbours
    neighbours = neighbours_by_topic(vectors, topics, k) if by_topic else Neighbours.compute(vectors, k)
    catalog = Catalog.of(articles)
    if not by_topic:
        catalog.duplicate[:count] = duplicate_groups(neighbours, config.index.near_duplicate_cosine)
    ages = np.array([NOW.timestamp() - one for one in catalog.published[:count].tolist()])
    openings = make_openings(readers, topics, ages, NOW.timestamp())
    learned = learn(config, vectors, openings, count)
    state = State(config, catalog, ExactIndex(vectors), neighbours, learned=learned)
    state.count(batch_of(openings, _COUNTED, ages))
    state.histories = restored(config, openings)
    return state, articles


def learn(config: Config, vectors: np.ndarray, openings: Openings, count: int) -> Learned:
    """Pairs and lifts from the openings by the engine's own classes; curves and weights as once learned."""
    trails = trails_of(openings, _COUNTED)
    covisitation = Covisitation(config.covisitation).fit(trails, count)
    names = tuple(_CURVES)
    scales = np.array([scale for scale, _ in _CURVES.values()])
    curves = np.array([values for _, values in _CURVES.values()])
    ranker = AdditiveRanker.of(names, np.zeros(len(names)), scales, curves)
    nothing = Learned.nothing(config)
    return replace(
        nothing,
        covisitation=covisitation,
        topics=learn_topics(config, vectors, openings),
        rankers={"for_you": ranker, "related": ranker},
        recipes={"related": Recipe(_WEIGHTS, 168.0, learned=True)},
    )


def learn_topics(config: Config, vectors: np.ndarray, openings: Openings) -> Topics:
    """Groupings around articles drawn at random, and the lifts between their groups."""
    rng = np.random.default_rng(7)
    centre = vectors[rng.integers(len(vectors), size=4_096)].mean(axis=0)
    sizes = [size for size in config.topics.groups for _ in range(config.topics.repeats)]
    drawn = [rng.choice(len(vectors), size=min(size, len(vectors)), replace=False) for size in sizes]
    groupings = [centred(vectors[rows], centre) for rows in drawn]
    blank = [np.ones((len(rows), len(rows))) for rows in groupings]
    topics = Topics.of(centre, groupings, blank).place_all(vectors)
    pasts = list(openings.by_reader(_TAUGHT))
    lifts = [
        Affinity().fit((topics.codes[past, at].astype(np.int32) for past in pasts), len(rows)).lift_
        for at, rows in enumerate(groupings)
    ]
    learned = Topics.of(centre, groupings, lifts)
    learned.codes = topics.codes
    return learned


def registry_of(folder: Path, count: int, readers: int = 5_000) -> Path:
    """Where ``published`` puts a registry."""
    return folder / f"models-{count}-{readers}"


def published(
    folder: Path,
    count: int,
    model_id: str,
    readers: int = 5_000,
    by_topic: bool = False,
    config: Config | None = None,
) -> Path:
    """A registry with one bundle in service; made once."""
    models = registry_of(folder, count, readers)
    registry = Registry(models)
    if registry.current() is None:
        state, articles = make_state(count, readers, by_topic, config)
        facts = {"version": "v1", "created": NOW.isoformat(), "events": 0, "metrics": {}}
        facts |= {"embedder": {"model_id": model_id, "dimensions": DIMENSIONS}}
        write_state(models / "v1", state, articles, facts)
        registry.promote("v1")
    return models
