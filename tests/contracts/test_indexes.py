"""What every vector index must do, and that the suite sees a broken one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.index import ExactIndex, VectorIndex
from tests.broken import LateFilterIndex
from tests.builders import DIMENSIONS, scattered, unit

EMPTY = np.zeros((0, DIMENSIONS), np.float32)
MAKERS: dict[str, Callable[[], VectorIndex]] = {"exact": lambda: ExactIndex(EMPTY)}


def brute(vectors: dict[int, np.ndarray], query: np.ndarray, n: int, allowed: np.ndarray) -> list[int]:
    ranked = sorted((-float(vector @ query), row) for row, vector in vectors.items() if allowed[row])
    return [row for _, row in ranked][:n]


CHANGES = st.lists(
    st.tuples(st.sampled_from("aar"), st.integers(0, 25), st.integers(0, 40)), min_size=1, max_size=50
)


@pytest.mark.parametrize("kind", MAKERS)
@given(changes=CHANGES, n=st.integers(0, 12), mask=st.integers(0, 2**26 - 1))
def test_a_search_finds_what_a_full_comparison_finds(
    kind: str, changes: list[tuple[str, int, int]], n: int, mask: int
) -> None:
    index, kept = MAKERS[kind](), dict[int, np.ndarray]()
    for action, row, seed in changes:
        if action == "a":
            kept[row] = scattered(f"{row} {seed}")
            index.add(row, kept[row])
        else:
            kept.pop(row, None)
            index.remove(row)
    allowed = np.array([bool(mask >> row & 1) for row in range(26)])
    query = scattered("query")
    rows, cosines = index.search(query, n, allowed)
    assert rows.tolist() == brute(kept, query, n, allowed)
    np.testing.assert_allclose(cosines, [kept[row] @ query for row in rows.tolist()], atol=1e-6)


def filtered_search_is_full(index: VectorIndex) -> None:
    for row in range(50):
        index.add(row, unit(1, row / 100))
    allowed = np.zeros(50, bool)
    allowed[40:] = True
    assert index.search(unit(1), 5, allowed)[0].tolist() == [40, 41, 42, 43, 44]


@pytest.mark.parametrize("kind", MAKERS)
def test_the_filter_comes_before_the_cut(kind: str) -> None:
    filtered_search_is_full(MAKERS[kind]())


def test_the_suite_sees_a_broken_index() -> None:
    with pytest.raises(AssertionError):
        filtered_search_is_full(LateFilterIndex(EMPTY))
