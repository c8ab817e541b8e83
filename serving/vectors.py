"""Vectors of new and changed articles: from the store's cache, or computed and kept there."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.embedder import OnnxEmbedder, embedding_text, text_digest
from recsys.errors import RecsysError
from recsys.schemas import Article
from recsys.state import State
from recsys.store import Store

log = logging.getLogger("recsys.serving")


class Vectors:
    """The embedder of the bundle in service, and the vectors that the store keeps.

    Args:
        folder: of the exported embedders, one folder a model.
        store: where vectors are kept by the digest of their text.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._embedder: OnnxEmbedder | None = None

    def use(self, model_id: str) -> None:
        """Embed with this model from now on; without it articles are served and not embedded."""
        if self._embedder is not None and self._embedder.model_id == model_id:
            return
        try:
            self._embedder = OnnxEmbedder(self._folder / model_id)
        except RecsysError as error:
            self._embedder = None
            log.warning("embedder_absent", extra={"reason": str(error)})

    def of(self, articles: Sequence[Article], state: State) -> dict[str, NDArray[np.float32]]:
        """Vectors (d,) by article id, of the articles that the model reads and that have text."""
        embedder = self._embedder
        lexicon, body_chars = state.index.lexical.lexicon, state.config.embedding.body_chars
        articles = [article for article in articles if lexicon.reads(article.language)]
        if embedder is None or not articles:
            return {}
        written = {article.article_id: embedding_text(article, body_chars) for article in articles}
        texts = {name: text for name, text in written.items() if text}
        digests = {name: text_digest(text, embedder.model_id) for name, text in texts.items()}
        known = self._store.get_vectors(list(digests.values()))
        missing = [name for name, digest in digests.items() if digest not in known]
        if missing:
            computed = embedder.embed([texts[name] for name in missing])
            fresh = {digests[name]: vector for name, vector in zip(missing, computed, strict=True)}
            self._store.put_vectors(fresh)
            known |= fresh
        return {name: known[digest] for name, digest in digests.items()}
