"""Vectors of new and changed articles: from the store's cache, or computed and kept there."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.embedder import OnnxEmbedder, embedding_text, text_digest
from recsys.errors import EmbedderError, RecsysError
from recsys.schemas import Article
from recsys.store import Store
from serving.served import Served

log = logging.getLogger("recsys.serving")
_MODELS_KEPT = 2


class Known(NamedTuple):
    """What the store has of some articles.

    Attributes:
        vectors: (d,) by article id.
        missing: articles that the model reads, that have text, and no vector yet.
    """

    vectors: dict[str, NDArray[np.float32]]
    missing: list[Article]


class Vectors:
    """The embedders of the bundles in use, and the vectors that the store keeps. Thread-safe.

    Args:
        folder: of the exported embedders, one folder a model.
        store: where vectors are kept by the digest of their text.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._embedders: dict[str, OnnxEmbedder] = {}
        self._lock = threading.Lock()

    def embedder(self, model_id: str) -> OnnxEmbedder:
        """The embedder of a model; loaded at first use.

        Raises:
            EmbedderError, MissingExtraError: it is not there, damaged or cannot be loaded.
        """
        with self._lock:
            if model_id not in self._embedders:
                try:
                    found = OnnxEmbedder(self._folder / model_id)
                except RecsysError:
                    raise
                except Exception as error:  # onnxruntime has errors of its own for a file it cannot run
                    raise EmbedderError(f"the embedder {model_id} cannot be loaded: {error!r}") from error
                while len(self._embedders) >= _MODELS_KEPT:
                    del self._embedders[next(iter(self._embedders))]
                self._embedders[model_id] = found
            return self._embedders[model_id]

    def prepare(self, served: Served) -> None:
        """Load the embedder of a bundle ahead; without it articles are served and not embedded.

        Raises:
            EmbedderError: it makes vectors of another length than the bundle's.
        """
        try:
            found = self.embedder(served.model_id)
        except RecsysError as error:
            log.warning("embedder_absent", extra={"reason": str(error)})
            return
        wanted = served.state.index.dimensions
        if found.dimensions != wanted:
            raise EmbedderError(
                f"the embedder {served.model_id} makes vectors of {found.dimensions} numbers, those of the "
                f"bundle {served.version} have {wanted}: it was made with another embedding model"
            )

    def known(self, articles: Sequence[Article], served: Served) -> Known:
        """The vectors that the store has; an article without text, or of another language, needs none."""
        digests = _digests(articles, served)
        kept = self._store.get_vectors(list(digests.values()))
        vectors = {name: kept[digest] for name, digest in digests.items() if digest in kept}
        missing = [a for a in articles if a.article_id in digests and a.article_id not in vectors]
        return Known(vectors, missing)

    def compute(self, articles: Sequence[Article], served: Served) -> dict[str, NDArray[np.float32]]:
        """Embed articles in one call and keep the vectors, by article id.

        Raises:
            EmbedderError: the embedder is not there or failed.
            StoreError: they cannot be kept.
        """
        embedder = self.embedder(served.model_id)
        body_chars = served.state.config.embedding.body_chars
        try:
            computed = embedder.embed([embedding_text(article, body_chars) for article in articles])
        except Exception as error:  # a text must not stop the service, whatever onnxruntime makes of it
            raise EmbedderError(f"cannot embed {len(articles)} articles: {error!r}") from error
        digests = _digests(articles, served)
        found = {article.article_id: vector for article, vector in zip(articles, computed, strict=True)}
        self._store.put_vectors({digests[name]: vector for name, vector in found.items()})
        return found


def _digests(articles: Sequence[Article], served: Served) -> dict[str, str]:
    state = served.state
    lexicon, body_chars = state.index.lexical.lexicon, state.config.embedding.body_chars
    texts = {a.article_id: embedding_text(a, body_chars) for a in articles if lexicon.reads(a.language)}
    return {name: text_digest(text, served.model_id) for name, text in texts.items() if text}
