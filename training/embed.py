"""Bulk embedding with sentence-transformers, cached by text digest and resumable."""

import hashlib
import importlib.util
import io
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import file_digest
from recsys.embedder import Embedder, text_digest
from recsys.errors import EmbedderError, MissingExtraError
from training.weights import default_folder

Progress = Callable[[int, int], None]


class SentenceTransformerEmbedder:
    """Any sentence-transformers model by folder or name.

    Args:
        model: ``default``, a folder, or a name that sentence-transformers can load.
        batch_size: texts a batch; batches are sorted by length.

    Raises:
        EmbedderError: the model cannot be loaded (when a text is embedded).
        MissingExtraError: sentence-transformers is not installed.
    """

    def __init__(self, model: str = "default", batch_size: int = 32) -> None:
        self.folder = default_folder() if model == "default" else Path(model)
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtraError("sentence-transformers", "train")
        self._place = str(self.folder) if model == "default" else model
        self.batch_size = batch_size
        self.model_id = _identity(self.folder, model)

    @cached_property
    def model(self) -> Any:
        """The loaded model; loading takes seconds, and a training whose vectors are cached needs none."""
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(error.name or "sentence-transformers", "train") from error
        try:
            with redirect_stderr(io.StringIO()):
                return SentenceTransformer(self._place, device="cpu")
        except Exception as error:
            # the library raises whatever its loaders raise; the person needs one message
            raise EmbedderError(
                f"the embedding model {self._place!r} cannot be loaded: {str(error)[:300]}; give a folder "
                "that holds a sentence-transformers model, or a name that is in the local cache"
            ) from error

    @cached_property
    def dimensions(self) -> int:
        """Length of a vector."""
        return _dimensions(self.model)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``Embedder.embed``."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        vectors = self.model.encode(
            list(texts), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


def _dimensions(model: Any) -> int:
    # the method was renamed in sentence-transformers 5.6
    renamed = getattr(model, "get_embedding_dimension", None)
    return int(renamed() if renamed else model.get_sentence_embedding_dimension())


def _identity(folder: Path, model: str) -> str:
    weights = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
    if not weights:
        return f"name-{hashlib.blake2b(model.encode(), digest_size=8).hexdigest()}"
    digests = "".join(file_digest(path) for path in weights)
    return f"st-{hashlib.blake2b(digests.encode(), digest_size=8).hexdigest()}"


@dataclass(frozen=True)
class Embedded:
    """Vectors in the order of the texts, and what they cost.

    Attributes:
        vectors: (n, d) float32 unit rows.
        computed: texts that were embedded now.
        reused: texts whose vector was in the cache (or repeated within the call).
    """

    vectors: NDArray[np.float32]
    computed: int
    reused: int


class VectorCache:
    """Vectors by text digest in shards of ``.npy`` and key files; a half-written shard is ignored.

    Args:
        folder: one folder per cache; each model has its own sub-folder.
        model_id: of the embedder.
    """

    def __init__(self, folder: Path, model_id: str) -> None:
        self.folder = folder / model_id
        self.folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[str, tuple[int, int]] = {}
        self._shards: list[NDArray[np.float32]] = []
        for keys in sorted(self.folder.glob("*.keys")):
            self._read(keys)

    def _read(self, keys: Path) -> None:
        names = keys.read_text(encoding="ascii").split()
        try:
            shard = np.load(keys.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return
        if len(shard) == len(names):
            self._keep(names, shard)

    def _keep(self, names: Sequence[str], shard: NDArray[np.float32]) -> None:
        self._shards.append(shard)
        self._places.update((name, (len(self._shards) - 1, at)) for at, name in enumerate(names))

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors kept, None while there are none."""
        return self._shards[0].shape[1] if self._shards else None

    def __contains__(self, digest: str) -> bool:
        return digest in self._places

    def add(self, digests: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep one shard; the keys appear last, so a cut-off never leaves a readable half."""
        name = hashlib.blake2b("".join(digests).encode(), digest_size=12).hexdigest()
        target = self.folder / f"{name}.npy"
        aside = self.folder / f".{name}.{os.getpid()}"
        with aside.open("wb") as out:
            np.save(out, vectors, allow_pickle=False)
        aside.replace(target)
        aside.write_text("\n".join(digests), encoding="ascii")
        aside.replace(target.with_suffix(".keys"))
        self._keep(digests, vectors)

    def get(self, digests: Sequence[str], dimensions: int) -> NDArray[np.float32]:
        """(n, d) vectors of digests that are all in the cache."""
        found = np.empty((len(digests), dimensions), dtype=np.float32)
        places = np.array([self._places[digest] for digest in digests], dtype=np.int64).reshape(-1, 2)
        for shard in np.unique(places[:, 0]).tolist():
            at = np.flatnonzero(places[:, 0] == shard)
            found[at] = self._shards[shard][places[at, 1]]
        return found


def embed_cached(
    texts: Sequence[str],
    embedder: Embedder,
    cache: Path,
    progress: Progress | None = None,
    chunk: int = 1024,
) -> Embedded:
    """Embed what the cache lacks, then give all vectors.

    Args:
        texts: in any order; repeats are embedded once, an empty one has a vector of zeros.
        embedder: identified by its ``model_id`` in the cache.
        cache: folder.
        progress: called with (done, to do) after every chunk.
        chunk: texts per shard; a run that is cut off loses at most one.
    """
    written = np.array([bool(text) for text in texts], dtype=bool)
    texts = [text for text in texts if text]
    digests = [text_digest(text, embedder.model_id) for text in texts]
    store = VectorCache(cache, embedder.model_id)
    missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in store}
    todo = sorted(missing.items(), key=lambda item: (len(item[1]), item[0]))
    for start in range(0, len(todo), chunk):
        part = todo[start : start + chunk]
        store.add([digest for digest, _ in part], embedder.embed([text for _, text in part]))
        if progress is not None:
            progress(start + len(part), len(todo))
    dimensions = store.dimensions or embedder.dimensions
    vectors = np.zeros((len(written), dimensions), dtype=np.float32)
    vectors[written] = store.get(digests, dimensions)
    return Embedded(vectors, len(todo), len(texts) - len(todo))
