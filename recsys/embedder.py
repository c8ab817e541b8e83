"""Turn article text into unit vectors; serving does so through onnxruntime, without torch."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import file_digest
from recsys.errors import EmbedderError, MissingExtraError
from recsys.schemas import Article

EMBEDDER_FORMAT = 1


class Embedder(Protocol):
    """Text to unit vectors.

    Attributes:
        model_id: identity of the weights; vectors of different ids are never compared.
        dimensions: length of a vector.
    """

    model_id: str

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) float32 unit rows in the order of the texts."""


def embedding_text(article: Article, body_chars: int = 500) -> str:
    """Title, abstract and the start of the body, as one text; empty where the title only repeats the id.

    Example:
        >>> embedding_text(Article(article_id="a", title="Rain again", abstract="More to come."))
        'Rain again. More to come.'
    """
    body = (article.body or "")[:body_chars]
    title = "" if article.title == article.article_id else article.title
    parts = [part for part in (title, article.abstract, body) if part]
    if not parts:
        return ""
    return " ".join(part if part[-1] in ".!?…:" else f"{part}." for part in parts[:-1]) + (
        (" " if len(parts) > 1 else "") + parts[-1]
    )


def text_digest(text: str, model_id: str) -> str:
    """Key of an embedding: the text and the model that reads it."""
    return hashlib.blake2b(f"{model_id}\0{text}".encode(), digest_size=16).hexdigest()


def normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows brought to length one; zero rows stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


class OnnxEmbedder:
    """An exported sentence-transformers model under onnxruntime.

    Args:
        folder: holds ``model.onnx``, ``tokenizer.json`` and ``embedder.json``.
        threads: processors for one call.

    Raises:
        EmbedderError: a file is missing or does not have its digest.
        MissingExtraError: onnxruntime or tokenizers is not installed.
    """

    def __init__(self, folder: Path, threads: int = 1, batch_size: int = 16) -> None:
        about = _read_about(folder)
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError(error.name or "onnxruntime", "embed") from error
        self.model_id: str = about["model_id"]
        self.dimensions: int = about["dimensions"]
        self._batch = batch_size
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(about["max_tokens"])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``Embedder.embed``."""
        found = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        encoded = self._tokenizer.encode_batch(list(texts)) if texts else []
        order = sorted(range(len(texts)), key=lambda at: len(encoded[at].ids))
        for start in range(0, len(order), self._batch):
            part = order[start : start + self._batch]
            found[part] = self._run([encoded[at].ids for at in part])
        return found

    def _run(self, ids: list[list[int]]) -> NDArray[np.float32]:
        width = max(len(row) for row in ids)
        tokens = np.zeros((len(ids), width), dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.int64)
        for at, row in enumerate(ids):
            tokens[at, : len(row)], mask[at, : len(row)] = row, 1
        feeds = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        feeds = {name: value for name, value in feeds.items() if name in self._inputs}
        hidden = self._session.run(None, feeds)[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
        return normalise(pooled)


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmbedderError(f"{folder} holds no readable embedder.json: {error}; train again") from error
    if about.get("format_version") != EMBEDDER_FORMAT:
        raise EmbedderError(f"{folder} has embedder format {about.get('format_version')!r}, expected 1")
    for name, digest in about["files"].items():
        path = folder / name
        if not path.is_file() or file_digest(path) != digest:
            raise EmbedderError(f"{path} is missing or damaged (its digest is not {digest}); train again")
    return about
