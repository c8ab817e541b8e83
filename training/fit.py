"""Train: embed, compute neighbours, replay the log through the online classes, write a bundle."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle, Registry
from recsys.catalog import Catalog
from recsys.config import Config, Weights
from recsys.embedder import embedding_text
from recsys.errors import DataError, EmbedderError
from recsys.features import check_names
from recsys.index import ExactIndex, Neighbours, duplicate_groups
from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES, Article, Exposure
from recsys.snapshot import write_state
from recsys.state import State
from training.attribution import Labels
from training.clicklog import read_click_log
from training.embed import Embedded, SentenceTransformerEmbedder, embed_cached
from training.fit_metrics import FitMetrics
from training.learn import Lessons, Watch, learn
from training.onnx_export import export_onnx
from training.readers import EventLog, read_articles

Say = Callable[[str], None]
_IMPRESSION = EVENT_TYPES.index("impression")
_LIBRARIES = ("numpy", "pyarrow", "sentence-transformers", "torch", "onnxruntime", "scikit-learn")
_EVENTS_AT_ONCE = 500_000
EMBEDDERS = "embedders"
CACHE = "cache/embeddings"


@dataclass(frozen=True)
class Trained:
    """A written bundle and what it cost."""

    bundle: Bundle
    embedded: Embedded
    notes: list[str]


def train(
    config: Config,
    data: Path,
    models: Path,
    *,
    created: datetime,
    fit_until: datetime | None = None,
    say: Say = lambda _: None,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train on canonical data and write a bundle; it is not yet in service.

    Args:
        config: everything that may be chosen.
        data: folder of canonical data.
        models: the registry; embeddings are cached in it.
        created: time that names the bundle.
        fit_until: later events and exposures are not used.
        say: told each step.
        progress: (done, to do) of texts to embed.

    Raises:
        ConfigError, DataError, EmbedderError, BundleError.
    """
    check_names(config.ranker.features)
    articles = list(read_articles(data))
    if not articles:
        raise DataError(f"{data} holds no article; a bundle needs at least one")
    until = np.inf if fit_until is None else fit_until.timestamp()
    notes: list[str] = []
    say(f"{len(articles):,} articles; loading the embedding model {config.embedding.model!r}")
    embedder = SentenceTransformerEmbedder(config.embedding.model, config.embedding.batch_size)
    embedded = embed_articles(articles, embedder, models / CACHE, config, progress)
    say(f"embedded {embedded.computed:,} texts, {embedded.reused:,} came from the cache")
    try:
        export_onnx(embedder, models / EMBEDDERS / embedder.model_id)
    except EmbedderError as error:
        notes.append(f"no export for serving: {error}")
    state = build_state(config, articles, embedded.vectors, say)
    watch = FitMetrics({article.article_id: article for article in articles})
    log, told = fit_log(state, data, until=until, now=created.timestamp(), say=say, watch=watch)
    notes += told
    say(f"counted {len(log):,} events of {len(state.histories):,} readers")
    registry = Registry(models)
    name = registry.new_version(created)
    manifest = _manifest(name, created, config, embedder, log, fit_until, notes)
    manifest["metrics"] |= watch.as_dict()
    bundle = write_state(models / name, state, articles, manifest)
    return Trained(bundle, embedded, notes)


def embed_articles(
    articles: Sequence[Article],
    embedder: SentenceTransformerEmbedder,
    cache: Path,
    config: Config,
    progress: Callable[[int, int], None] | None = None,
) -> Embedded:
    """Vectors of articles, in their order."""
    texts = [embedding_text(article, config.embedding.body_chars) for article in articles]
    return embed_cached(texts, embedder, cache, progress)


def build_state(
    config: Config, articles: Sequence[Article], vectors: NDArray[np.float32], say: Say = lambda _: None
) -> State:
    """A state with articles, neighbours and near-duplicates, without events."""
    say(f"finding {config.index.neighbours} neighbours of each article")
    neighbours = Neighbours.compute(vectors, config.index.neighbours)
    catalog = Catalog.of(articles, config.site.url_template)
    if len(catalog) != len(articles):
        raise DataError("an article id stands twice in the data; 'recsys validate' names it")
    catalog.duplicate[: len(catalog)] = duplicate_groups(neighbours, config.index.near_duplicate_cosine)
    return State(config, catalog, ExactIndex(vectors), neighbours)


def fit_log(
    state: State,
    data: Path,
    *,
    until: float,
    now: float,
    say: Say = lambda _: None,
    watch: Watch | None = None,
) -> tuple[EventLog, list[str]]:
    """Clean the log of canonical data, run it through a state, learn from it.

    Args:
        state: with articles, without events; it is changed.
        data: canonical data.
        until: unix seconds; nothing later is used.
        now: unix seconds; what is dated more than a day later is left out.
        say: told each step.
        watch: told of lists and rankers.

    Returns:
        The cleaned log, and what a person should know.
    """
    published = dict(zip(state.catalog.ids, state.catalog.published.tolist(), strict=False))
    cleaned = read_click_log(data, state.config, published, until=until, now=now)
    lessons = replay(state, cleaned.log, cleaned.exposures, cleaned.labels, say, watch)
    return cleaned.log, [*cleaned.notes, *lessons.notes]


def replay(
    state: State,
    log: EventLog,
    exposures: Sequence[Exposure],
    clicks: Labels,
    say: Say = lambda _: None,
    watch: Watch | None = None,
) -> Lessons:
    """Run a log through the online classes: pasts that it gives without times, then what happened."""
    for exposure in exposures:
        _remember(state, exposure)
    lessons = learn(state, log, exposures, clicks, say, watch)
    state.learned = lessons.learned
    return lessons


def _remember(state: State, exposure: Exposure) -> None:
    """A past that the log gives without times: one second apart, before the exposure."""
    key, ts = reader_key(exposure.reader), exposure.ts.timestamp()
    past = exposure.history[-state.config.profile.history_length :]
    for age, article_id in enumerate(reversed(past), 1):
        state.histories.opened(key, state.catalog.refer(article_id), ts - 86_400.0 - age)


def _manifest(
    name: str,
    created: datetime,
    config: Config,
    embedder: SentenceTransformerEmbedder,
    log: EventLog,
    fit_until: datetime | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    window: list[str | None] = [None, None]
    if len(log):
        window = [datetime.fromtimestamp(ts, UTC).isoformat() for ts in (log.ts[0], log.ts[-1])]
    return {
        "version": name,
        "created": created.isoformat(),
        "embedder": {"model_id": embedder.model_id, "dimensions": embedder.dimensions},
        "data_window": window,
        "fit_until": None if fit_until is None else fit_until.isoformat(),
        "events": len(log),
        "feature_names": [*Weights.model_fields, *config.ranker.features],
        "metrics": {},
        "libraries": {"python": platform.python_version(), **_versions()},
        "notes": list(notes),
    }


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "absent"
    return found
