"""Train: embed, compute neighbours, replay the log through the online classes, write a bundle."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from recsys.bundle import Bundle, Registry
from recsys.config import Config, Weights
from recsys.embedder import embedding_text
from recsys.errors import DataError, EmbedderError
from recsys.features import check_names
from recsys.lexical import Lexicon
from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES, Article, Exposure
from recsys.snapshot import write_state
from recsys.state import State
from training.attribution import Labels
from training.embed import Embedded, SentenceTransformerEmbedder, embed_cached
from training.fit_metrics import FitMetrics
from training.gate import Verdict, hold_back, taught
from training.languages import declared_languages, notes_on_languages
from training.learn import Lessons, OfList, Watch, learn
from training.material import Material, compared, read_material
from training.onnx_export import export_onnx
from training.readers import EventLog, read_articles
from training.tuning import FOLDER as TUNING
from training.tuning import Tuned, tune

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
    verdict: Verdict
    tuned: Tuned | None = None


def train(
    config: Config,
    data: Path,
    models: Path,
    *,
    created: datetime,
    fit_until: datetime | None = None,
    trials: int = 0,
    say: Say = lambda _: None,
    progress: Callable[[int, int], None] | None = None,
    tried: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train on canonical data and write a bundle; it is not yet in service.

    Args:
        config: everything that may be chosen.
        data: folder of canonical data.
        models: the registry; embeddings are cached in it.
        created: time that names the bundle.
        fit_until: later events and exposures are not used.
        trials: of settings to be searched (``recsys.config.TuneConfig``); 0 takes them as they are.
        say: told each step.
        progress: (done, to do) of texts to embed.
        tried: (done, to do) of trials.

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
    registry = Registry(models)
    say(f"finding {config.index.neighbours} neighbours of each article")
    found, kept = compared(config, articles, embedded.vectors, embedder.model_id, registry)
    say(f"neighbours of {kept:,} articles came from an earlier bundle")
    material, told = read_material(config, data, found, until=until, now=created.timestamp())
    notes += told
    tuned = None
    if trials:
        known = taught(config, material, registry)
        tuned = tune(config, known, replay, trials, models / TUNING, say, tried)
        config = tuned.config
    verdict = hold_back(config, material, registry, replay, say)
    state, log = material.state(config), material.log
    notes += notes_on_languages(state)
    watch = FitMetrics({article.article_id: article for article in articles})
    lessons = replay(state, log, material.exposures, material.clicks, say, watch)
    notes += lessons.notes
    say(f"counted {len(log):,} events of {len(state.histories):,} readers")
    name = registry.new_version(created)
    manifest = _manifest(name, created, config, material, fit_until, notes)
    manifest["metrics"] |= {"gate": verdict.as_dict(), **watch.as_dict()}
    if tuned is not None:
        manifest["metrics"]["tuning"] = tuned.facts
    bundle = write_state(models / name, state, articles, manifest)
    return Trained(bundle, embedded, notes, verdict, tuned)


def embed_articles(
    articles: Sequence[Article],
    embedder: SentenceTransformerEmbedder,
    cache: Path,
    config: Config,
    progress: Callable[[int, int], None] | None = None,
) -> Embedded:
    """Vectors of articles, in their order; zeros in a language that the model does not read."""
    reads = Lexicon(declared_languages(config.embedding)).reads
    texts = [
        embedding_text(article, config.embedding.body_chars) if reads(article.language) else ""
        for article in articles
    ]
    return embed_cached(texts, embedder, cache, progress)


def replay(
    state: State,
    log: EventLog,
    exposures: Sequence[Exposure],
    clicks: Labels,
    say: Say = lambda _: None,
    watch: Watch | None = None,
    each: OfList | None = None,
) -> Lessons:
    """Run a log through the online classes: pasts that it gives without times, then what happened."""
    for exposure in exposures:
        _remember(state, exposure)
    lessons = learn(state, log, exposures, clicks, say, watch, each)
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
    material: Material,
    fit_until: datetime | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    window: list[str | None] = [None, None]
    log = material.log
    if len(log):
        window = [datetime.fromtimestamp(ts, UTC).isoformat() for ts in (log.ts[0], log.ts[-1])]
    return {
        "version": name,
        "created": created.isoformat(),
        "embedder": {
            "model_id": material.model_id,
            "dimensions": material.vectors.shape[1],
            "languages": list(declared_languages(config.embedding)),
        },
        "data_window": window,
        "fit_until": None if fit_until is None else fit_until.isoformat(),
        "events": len(log),
        "impressions_logged": bool((log.types == _IMPRESSION).any()),
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
