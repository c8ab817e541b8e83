"""Neighbours and duplicates; what every index must do stands in tests/contracts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.index import ExactIndex, Neighbours, duplicate_groups
from tests.builders import DIMENSIONS, scattered, unit


def matrix(names: list[str]) -> np.ndarray:
    return np.array([scattered(name) for name in names], dtype=np.float32).reshape(-1, DIMENSIONS)


def brute_neighbours(vectors: np.ndarray, k: int) -> list[list[int]]:
    found = []
    for row, vector in enumerate(vectors):
        cosines = vectors @ vector
        order = [int(at) for at in np.argsort(-cosines, kind="stable") if at != row and vectors[at].any()]
        found.append(order[:k] if vector.any() else [])
    return found


@pytest.mark.parametrize(
    ("n", "k", "block"), [(1, 5, 10), (2, 5, 10), (40, 7, 9), (300, 100, 64), (300, 299, 1000)]
)
def test_neighbours_are_those_of_a_full_comparison(n: int, k: int, block: int) -> None:
    vectors = matrix([f"a{i}" for i in range(n)])
    if n > 5:
        vectors[[3, 4]] = 0
    computed = Neighbours.compute(vectors, k, block)
    expected = brute_neighbours(vectors, k)
    for row in range(n):
        assert computed.of(row)[0].tolist() == expected[row]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 6))
def test_inserting_one_by_one_gives_what_computing_at_once_gives(names: list[int], k: int) -> None:
    names = list(dict.fromkeys(names))
    vectors = matrix([f"n{name}" for name in names])
    grown = Neighbours(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32))
    index = ExactIndex(np.zeros((0, DIMENSIONS), np.float32))
    for row, vector in enumerate(vectors):
        index.add(row, vector)
        cosines = index.cosines(vector)
        grown.insert(row, cosines, index.has[: len(cosines)])
    at_once = Neighbours.compute(vectors, k)
    for row in range(len(names)):
        width = at_once.rows.shape[1]
        assert grown.of(row)[0][:width].tolist() == at_once.of(row)[0].tolist()


def test_a_changed_vector_leaves_the_lists_it_no_longer_belongs_in() -> None:
    vectors = matrix([f"a{i}" for i in range(80)])
    vectors[1] = vectors[0]
    near, index = Neighbours.compute(vectors, 50), ExactIndex(vectors)
    assert near.of(0)[0][0] == 1
    moved = -vectors[0]
    index.add(1, moved)
    near.insert(1, index.cosines(moved), index.has)
    assert 1 not in near.of(0)[0].tolist()
    replaced = np.vstack((vectors[:1], moved[None], vectors[2:]))
    assert near.of(1)[0].tolist() == brute_neighbours(replaced, 50)[1]
    for at in range(2, 80):
        assert near.of(at)[0][:49].tolist() == brute_neighbours(replaced, 50)[at][:49]


def test_near_duplicates_join_through_a_third() -> None:
    angles = (0.0, 0.3, 0.6, 1.5)
    vectors = np.array([unit(np.cos(a), np.sin(a)) for a in angles])
    groups = duplicate_groups(Neighbours.compute(vectors, 3), threshold=0.95)
    assert groups.tolist() == [0, 0, 0, -1]


def test_vectors_of_base_tail_and_replacements_are_read_alike() -> None:
    index = ExactIndex(matrix(["a", "b"]))
    index.add(5, scattered("f"))
    index.add(0, scattered("new a"))
    taken = index.take(np.array([0, 1, 3, 5]))
    np.testing.assert_array_equal(
        taken, np.array([scattered("new a"), scattered("b"), np.zeros(DIMENSIONS), scattered("f")])
    )
    assert index.has[: len(index)].tolist() == [True, True, False, False, False, True]
