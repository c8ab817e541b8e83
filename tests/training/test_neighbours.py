"""Neighbours taken over from an earlier bundle are those that computing everything gives."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.bundle import Registry
from recsys.index import Neighbours, duplicate_groups
from tests.conftest import Newsroom
from training.neighbours import find_neighbours, update
from training.readers import read_articles

Vectors = NDArray[np.float32]


def whole_numbers(rng: np.random.Generator, count: int) -> Vectors:
    """Rows whose products are exact in float32 whatever the order of sums, with many ties; some empty."""
    vectors = rng.integers(-2, 3, size=(count, 6)).astype(np.float32)
    vectors[rng.random(count) < 0.1] = 0.0
    return vectors


def changed(
    rng: np.random.Generator, ids: list[str], vectors: Vectors, shares: tuple[float, float, float]
) -> tuple[list[str], Vectors]:
    """A later catalogue: articles gone, rewritten, added in between, and now and then out of order."""
    gone, rewritten, added = shares
    kept = np.flatnonzero(rng.random(len(ids)) >= gone)
    new_ids, new = [ids[row] for row in kept], vectors[kept].copy()
    again = rng.random(len(kept)) < rewritten
    new[again] = whole_numbers(rng, int(again.sum()))
    for number in range(int(added * len(ids))):
        place = int(rng.integers(len(new_ids) + 1))
        new_ids.insert(place, f"new{number}")
        new = np.insert(new, place, whole_numbers(rng, 1)[0], axis=0)
    if len(new) > 2 and rng.random() < 0.3:
        one, other = rng.integers(len(new), size=2)
        new[[one, other]] = new[[other, one]]
        new_ids[one], new_ids[other] = new_ids[other], new_ids[one]
    return new_ids, new


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 60),
    k=st.integers(1, 12),
    shares=st.tuples(st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.5)),
)
def test_an_update_equals_computing_everything(
    seed: int, count: int, k: int, shares: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(seed)
    ids, vectors = [f"a{at}" for at in range(count)], whole_numbers(rng, count)
    new_ids, new = changed(rng, ids, vectors, shares)
    if not new_ids:
        return
    found, kept = update(ids, vectors, Neighbours.compute(vectors, k), new_ids, new, k)
    expected = Neighbours.compute(new, k)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.cosines, expected.cosines)
    np.testing.assert_array_equal(duplicate_groups(found, 4.0), duplicate_groups(expected, 4.0))
    assert kept <= len(set(ids) & set(new_ids))


def test_a_day_of_news_keeps_nearly_every_list_and_the_result_to_rounding() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(900, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"a{at}" for at in range(900)]
    found, kept = update(ids[:880], vectors[:880], Neighbours.compute(vectors[:880], 20), ids, vectors, 20)
    expected = Neighbours.compute(vectors, 20)
    assert kept == 880
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.cosines, expected.cosines, atol=1e-6)


def test_an_article_that_is_gone_leaves_no_gap() -> None:
    vectors = whole_numbers(np.random.default_rng(2), 50)
    ids = [f"a{at}" for at in range(50)]
    found, kept = update(ids, vectors, Neighbours.compute(vectors, 5), ids[1:], vectors[1:], 5)
    listed = int((Neighbours.compute(vectors, 5).rows[1:] == 0).any(axis=1).sum())
    assert kept == 49 - listed
    np.testing.assert_array_equal(found.rows, Neighbours.compute(vectors[1:], 5).rows)


@pytest.mark.parametrize("harm", ["none", "damage", "model", "width"])
def test_only_a_sound_bundle_of_the_same_model_and_width_is_used(
    newsroom: Newsroom, own_models: Path, harm: str, damage: object
) -> None:
    path = own_models / newsroom.bundle.version
    ids = [article.article_id for article in read_articles(newsroom.data)]
    vectors = np.array(newsroom.bundle.array("vectors"))[: len(ids)]
    model_id = newsroom.bundle.manifest["embedder"]["model_id"]
    if harm == "damage":
        damage(path / "neighbour_rows.npy")  # type: ignore[operator]
    k = 50 if harm == "width" else 100
    found, kept = find_neighbours(
        ids, vectors, k, Registry(own_models), "another" if harm == "model" else model_id
    )
    assert kept == (len(ids) if harm == "none" else 0)
    np.testing.assert_array_equal(found.rows, Neighbours.compute(vectors, k).rows)
