"""Bulk embedding against the bare sentence-transformers loop with sorted batches."""

import tempfile
from pathlib import Path

from recsys.embedder import embedding_text
from tests.benchmarks.common import Figure, in_turns, ratio_of, seconds
from tests.benchmarks.worlds import NOW
from training.embed import SentenceTransformerEmbedder, embed_cached
from training.newsroom import load_newsroom


def measure(rounds: int) -> list[Figure]:
    """Texts per second of training's path, and its ratio to the bare loop."""
    texts = [embedding_text(article) for article in load_newsroom(NOW)]
    embedder = SentenceTransformerEmbedder()
    embedder.embed(texts[:32])

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return len(texts) / seconds(lambda: embed_cached(texts, embedder, Path(folder)))

    def bare() -> float:
        ordered = sorted(texts, key=len)
        run = lambda: embedder.model.encode(ordered, batch_size=32, normalize_embeddings=True)  # noqa: E731
        return len(texts) / seconds(run)

    a, b = in_turns(ours, bare, rounds)
    ratio, spread = ratio_of(a, b)
    name = f"embedding, {len(texts)} articles"
    return [Figure(name, sorted(a)[len(a) // 2], "texts/s", ratio, spread, ">= 0.95", ratio >= 0.95)]
