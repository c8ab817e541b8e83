"""A state as a bundle and back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys.bundle import VECTORS_OF, Bundle, write_bundle
from recsys.catalog import Catalog
from recsys.config import Config, build_config
from recsys.errors import BundleError
from recsys.expected import ExpectedClicks
from recsys.features import FEATURE_NAMES
from recsys.index import ExactIndex, Neighbours
from recsys.learned import Learned
from recsys.lexical_index import ARRAYS, LEXICON, LexicalIndex
from recsys.popularity import Popularity
from recsys.profile import Histories
from recsys.schemas import Article
from recsys.state import State

ARTICLES = "articles.parquet"
CATALOG = "catalog.parquet"
_ROWS_AT_ONCE = 4096


def write_state(
    target: Path, state: State, articles: Sequence[Article], manifest: Mapping[str, Any]
) -> Bundle:
    """Write a state with its articles as a bundle.

    Args:
        target: folder of the new bundle.
        state: its rows 0..n-1 are ``articles`` in order; later rows are only referred to.
        articles: n articles.
        manifest: version, created, data window, metrics and so on.
    """
    state.regroup()
    counts = {f"count_{name}": array for name, array in state.popularity.state().items()}
    everyone = {f"history_{name}": array for name, array in state.histories.state().items()}
    rows = np.arange(len(state.catalog))
    arrays = {
        **state.learned.arrays(),
        **state.index.lexical.arrays(),
        "vectors": state.index.take(rows),
        "neighbour_rows": state.neighbours.rows,
        "neighbour_cosines": state.neighbours.cosines,
        **counts,
        **everyone,
    }
    columns, names = state.catalog.state()
    full = {
        **manifest,
        "vocabularies": names,
        "config": state.config.public_dict(),
        "config_digest": state.config.digest(),
        "watermark": state.popularity.watermark if np.isfinite(state.popularity.watermark) else None,
        "articles": len(articles),
    }

    def write_files(folder: Path) -> None:
        pq.write_table(pa.table(columns), folder / CATALOG, compression="zstd")
        _write_articles(folder, articles)
        if model_id := manifest.get("embedder", {}).get("model_id"):
            made = {"model_id": model_id, "dimensions": state.index.dimensions}
            (folder / VECTORS_OF).write_text(json.dumps(made), encoding="utf-8")
        state.learned.write_files(folder)
        state.index.lexical.write_files(folder)

    return write_bundle(target, full, arrays, write_files)


def _write_articles(folder: Path, articles: Sequence[Article]) -> None:
    schema = pa.schema([("article_id", pa.string()), ("json", pa.string())])
    with pq.ParquetWriter(folder / ARTICLES, schema, compression="zstd") as writer:
        for start in range(0, len(articles), _ROWS_AT_ONCE):
            part = articles[start : start + _ROWS_AT_ONCE]
            columns = [[a.article_id for a in part], [a.model_dump_json(exclude_defaults=True) for a in part]]
            writer.write_table(pa.table(columns, schema=schema))


def find_article(bundle: Bundle, article_id: str) -> Article | None:
    """One article of a bundle, read from disk."""
    found = pq.read_table(bundle.path / ARTICLES, columns=["json"], filters=[("article_id", "=", article_id)])
    texts = found.column(0).to_pylist()
    return Article.model_validate_json(texts[0]) if texts else None


def read_articles(bundle: Bundle) -> Iterator[Article]:
    """The articles of a bundle, in row order."""
    try:
        for batch in pq.ParquetFile(bundle.path / ARTICLES).iter_batches(_ROWS_AT_ONCE, columns=["json"]):
            for text in batch.column(0).to_pylist():
                yield Article.model_validate_json(text)
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{bundle.path / ARTICLES} cannot be read: {error}") from error


def read_state(bundle: Bundle, overrides: Config | None = None) -> State:
    """The state of a verified bundle.

    Args:
        bundle: from ``open_bundle``.
        overrides: a configuration that replaces the bundle's own for serving choices; half-lives of
            the counters stay those of the bundle.
    """
    config = build_config(bundle.manifest["config"], f"{bundle.path}/manifest.json")
    if overrides is not None:
        config = _serving_config(config, overrides)
    catalog = _catalog(bundle, config)
    index = ExactIndex(bundle.array("vectors", mapped=True), read_lexical(bundle))
    neighbours = Neighbours(
        bundle.array("neighbour_rows", mapped=True), bundle.array("neighbour_cosines", mapped=True)
    )
    counts, histories = _popularity(bundle, config, catalog), _histories(bundle, config)
    state = State(
        config, catalog, index, neighbours, counts, histories, Learned.read(bundle, config, FEATURE_NAMES)
    )
    state.follows_pairs = True
    if not bundle.manifest.get("impressions_logged", True):
        per_click = config.popularity.impressions_per_click
        state.expected = ExpectedClicks(per_click, state.learned.examination)
    _check_sizes(bundle, state)
    return state


def read_lexical(bundle: Bundle) -> LexicalIndex:
    """TF-IDF vectors of a bundle; none in one that was written before there were any."""
    if LEXICON not in bundle.manifest["files"]:
        return LexicalIndex()
    try:
        about = json.loads((bundle.path / LEXICON).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle.path / LEXICON} cannot be read: {error}") from error
    return LexicalIndex.restore(about, {name: bundle.array(f"lexical_{name}") for name in ARRAYS})


def _catalog(bundle: Bundle, config: Config) -> Catalog:
    try:
        table = pq.read_table(bundle.path / CATALOG)
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{bundle.path / CATALOG} cannot be read: {error}") from error
    texts = ("article_id", "card", "url", "tags")
    # a bundle that was written before authors were told apart has none: their articles are as others
    missing = sorted({*texts, *Catalog.columns()} - {"author"} - set(table.column_names))
    if missing:
        raise BundleError(
            f"{bundle.path / CATALOG} lacks {', '.join(missing)}: another version of this program wrote it; "
            "train again with this one"
        )
    columns = {
        name: _listed(table.column(name)) if name in texts else table.column(name).to_numpy()
        for name in table.column_names
    }
    return Catalog.restore(columns, bundle.manifest["vocabularies"], config.site.url_template)


def _listed(column: pa.ChunkedArray) -> list[Any]:
    """Values as Python objects, a part at a time: one long call would hold up all other threads."""
    found: list[Any] = []
    for start in range(0, len(column), _ROWS_AT_ONCE // 4):
        found += column.slice(start, _ROWS_AT_ONCE // 4).to_pylist()
    return found


def _serving_config(trained: Config, wanted: Config) -> Config:
    kept = {"popularity": trained.popularity, "embedding": trained.embedding, "index": trained.index}
    merged = wanted.model_copy(update=kept)
    return build_config(merged.model_dump(), "the configuration with the bundle's half-lives")


def _popularity(bundle: Bundle, config: Config, catalog: Catalog) -> Popularity:
    # a bundle that was written before there was trust has no weights: each opening counts 1
    names = [name for name in Popularity.state_names() if f"count_{name}.npy" in bundle.manifest["files"]]
    arrays: dict[str, NDArray[Any]] = {name: bundle.array(f"count_{name}") for name in names}
    arrays.setdefault("recent_weights", np.ones(len(arrays["recent_rows"]), np.float32))
    counts = Popularity(config.popularity)
    watermark = bundle.manifest["watermark"]
    counts.restore(arrays, float("-inf") if watermark is None else float(watermark), *catalog.groups())
    return counts


def _histories(bundle: Bundle, config: Config) -> Histories:
    names = ("reader_keys", "reader_rows", "reader_ts", "hidden_keys", "hidden_rows")
    histories = Histories(config.profile)
    histories.restore({name: bundle.array(f"history_{name}") for name in names})
    return histories


def _check_sizes(bundle: Bundle, state: State) -> None:
    sizes = {
        "articles": len(state.catalog),
        "vectors": len(bundle.array("vectors", mapped=True)),
        "counters": len(bundle.array("count_openings_masses")),
    }
    if len(set(sizes.values())) != 1:
        raise BundleError(f"bundle {bundle.version}: its parts do not belong together: {sizes}")
