"""Embedding: what is cached, what is checked, and that serving's vectors are training's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.embedder import Embedder, OnnxEmbedder, embedding_text, normalise, text_digest
from recsys.errors import EmbedderError
from recsys.schemas import Article
from tests.broken import UnsteadyEmbedder
from tests.conftest import Newsroom
from training.embed import SentenceTransformerEmbedder, VectorCache, embed_cached
from training.fit import CACHE, EMBEDDERS
from training.readers import read_articles
from training.weights import check_weights, default_folder

TEXTS = [
    "Rain again",
    "Two states sign a weapons deal worth four billion.",
    "Öl & Gas: 5 < 6",
    "x " * 900,
    "Rain again",
]


class Counting:
    """A quick embedder that remembers what it was asked."""

    model_id, dimensions = "counting", 4

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        rows = [[1.0, len(text), text.count("a"), hash_of(text)] for text in texts]
        return normalise(np.array(rows, dtype=np.float32).reshape(-1, 4))


def hash_of(text: str) -> float:
    return int(text_digest(text, "")[:4], 16) / 65536


@pytest.fixture(scope="module")
def trained_embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder()


@pytest.fixture(scope="module")
def served_embedder(newsroom: Newsroom) -> OnnxEmbedder:
    model_id = newsroom.bundle.manifest["embedder"]["model_id"]
    return OnnxEmbedder(newsroom.models / EMBEDDERS / model_id)


def unit_rows_that_do_not_depend_on_the_batch(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS)
    alone = np.vstack([embedder.embed([text]) for text in TEXTS])
    assert together.shape == (len(TEXTS), embedder.dimensions)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_array_equal(together[0], together[-1])
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_both_embedders_keep_the_contract(
    trained_embedder: SentenceTransformerEmbedder, served_embedder: OnnxEmbedder
) -> None:
    unit_rows_that_do_not_depend_on_the_batch(trained_embedder)
    unit_rows_that_do_not_depend_on_the_batch(served_embedder)


def test_the_suite_sees_a_broken_embedder() -> None:
    with pytest.raises(AssertionError):
        unit_rows_that_do_not_depend_on_the_batch(UnsteadyEmbedder())


def test_serving_embeds_as_training_does(
    trained_embedder: SentenceTransformerEmbedder, served_embedder: OnnxEmbedder
) -> None:
    assert served_embedder.model_id == trained_embedder.model_id
    np.testing.assert_allclose(served_embedder.embed(TEXTS), trained_embedder.embed(TEXTS), atol=1e-3)


def test_a_second_run_embeds_only_what_is_new(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    embed_cached(["a", "b", "a"], first, tmp_path)
    found = embed_cached(["c", "b", "a"], second, tmp_path)
    assert first.asked == ["a", "b"]
    assert second.asked == ["c"]
    assert (found.computed, found.reused) == (1, 2)
    np.testing.assert_array_equal(found.vectors, Counting().embed(["c", "b", "a"]))


def test_another_model_does_not_take_these_vectors(tmp_path: Path) -> None:
    other = Counting()
    other.model_id = "other"  # type: ignore[misc]
    embed_cached(["a"], Counting(), tmp_path)
    embed_cached(["a"], other, tmp_path)
    assert other.asked == ["a"]


def test_batches_are_sorted_by_length_and_the_order_of_the_answer_is_kept(tmp_path: Path) -> None:
    embedder, texts = Counting(), ["a" * n for n in (5, 1, 9, 3)]
    found = embed_cached(texts, embedder, tmp_path, chunk=2)
    assert [len(text) for text in embedder.asked] == [1, 3, 5, 9]
    np.testing.assert_array_equal(found.vectors, Counting().embed(texts))


def test_a_half_written_shard_is_embedded_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    embed_cached(["a", "b"], Counting(), tmp_path, chunk=1)
    shard = sorted((tmp_path / "counting").glob("*.npy"))[0]
    shard.write_bytes(shard.read_bytes()[:40])
    again = Counting()
    assert embed_cached(["a", "b"], again, tmp_path).computed == 1


SLOWLY = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.training.test_embedding import Counting
from training.embed import embed_cached
class Slow(Counting):
    def embed(self, texts):
        time.sleep(0.05)
        return super().embed(texts)
embed_cached([f"text {{i}}" for i in range(400)], Slow(), Path({cache!r}), chunk=4)
"""


def test_a_run_that_is_cut_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    code = SLOWLY.format(root=str(Path(__file__).parents[2]), cache=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code])
    folder = tmp_path / "counting"
    while process.poll() is None and len(list(folder.glob("*.keys"))) < 5:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(folder.glob("*.keys"))) * 4
    again = Counting()
    found = embed_cached([f"text {i}" for i in range(400)], again, tmp_path)
    assert 20 <= found.reused == kept < 400
    assert len(again.asked) == 400 - kept


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(EmbedderError, match="the weights were changed or damaged"):
        check_weights(tmp_path / "model.safetensors", "sha256:00")
    with pytest.raises(EmbedderError, match="sha256:00"):
        default_folder(expected="sha256:00")


def test_an_unknown_model_is_told_with_what_would_do() -> None:
    with pytest.raises(EmbedderError, match=r"(?s)'no/such-model' cannot be loaded.*give a folder"):
        SentenceTransformerEmbedder("no/such-model").embed(["a text"])


def test_vectors_that_are_cached_need_no_model(newsroom: Newsroom) -> None:
    embedder = SentenceTransformerEmbedder()
    texts = [embedding_text(article) for article in read_articles(newsroom.data)]
    found = embed_cached(texts, embedder, newsroom.models / CACHE)
    assert (found.computed, found.vectors.shape[1]) == (0, 384)
    assert "model" not in vars(embedder)


def test_any_sentence_transformers_folder_is_taken(trained_embedder: SentenceTransformerEmbedder) -> None:
    by_folder = SentenceTransformerEmbedder(str(trained_embedder.folder))
    assert by_folder.model_id == trained_embedder.model_id


def test_a_damaged_export_is_refused(
    newsroom: Newsroom, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    source = newsroom.models / EMBEDDERS / newsroom.bundle.manifest["embedder"]["model_id"]
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path / "tokenizer.json")
    with pytest.raises(EmbedderError, match=r"tokenizer\.json is missing or damaged"):
        OnnxEmbedder(tmp_path)


def test_the_text_is_title_abstract_and_the_start_of_the_body() -> None:
    article = Article(article_id="a", title="Is it so?", abstract="Yes", body="b" * 600)
    assert embedding_text(article, 10) == "Is it so? Yes. bbbbbbbbbb"
    assert embedding_text(Article(article_id="a", title="Alone")) == "Alone"


def test_the_cache_holds_what_it_was_given(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "m")
    cache.add(["d1", "d2"], np.eye(2, dtype=np.float32))
    assert "d2" in VectorCache(tmp_path, "m")
    np.testing.assert_array_equal(
        VectorCache(tmp_path, "m").get(["d2", "d1", "d2"], 2), [[0, 1], [1, 0], [0, 1]]
    )
