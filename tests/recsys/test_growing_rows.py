"""Tables from a bundle that get more rows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config import CovisitationConfig
from recsys.covisitation import Covisitation
from recsys.growing_rows import GrowingRows
from recsys.index import Neighbours

K = 3


@given(
    st.integers(0, 5),
    st.lists(
        st.tuples(st.integers(1, 400), st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True))
    ),
)
def test_it_is_a_plain_table_wherever_a_row_lies(begun: int, steps: list[tuple[int, list[int]]]) -> None:
    plain = np.arange(begun * K, dtype=np.int32).reshape(begun, K)
    table = GrowingRows(plain.copy(), -1)
    for number, (size, chosen) in enumerate(steps):
        table.reserve(size)
        grown = np.full((max(size, len(plain)), K), -1, np.int32)
        grown[: len(plain)] = plain
        plain, rows = grown, np.array([at for at in chosen if at < len(grown)], np.intp)
        values = np.arange(len(rows) * K, dtype=np.int32).reshape(-1, K) + 1000 * number
        table.put(rows, values)
        plain[rows] = values
        columns = rows % K
        for part, own, mine in table.parted(rows):
            table.part(part)[own, columns[mine]] = 7
        plain[rows, columns] = 7
        table.line(0)[1] = plain[0, 1] = number
        asked = np.arange(len(plain))[::-2]
        np.testing.assert_array_equal(table.take(asked), plain[asked])
        np.testing.assert_array_equal(table.take(asked, slice(2)), plain[asked, :2])
        np.testing.assert_array_equal(table.take(asked, -1), plain[asked, -1])
        np.testing.assert_array_equal(table.take(rows, columns), plain[rows, columns])
        np.testing.assert_array_equal(table.whole(), plain)
        np.testing.assert_array_equal(np.concatenate([part for _, part in table.parts()]), plain)


def test_a_copy_of_everything_cannot_be_written_to_by_mistake() -> None:
    table = GrowingRows(np.zeros((2, K)), 0.0)
    table.whole()[1] = 5.0
    assert table.line(1).tolist() == [5.0] * K
    table.reserve(3)
    with pytest.raises(ValueError, match="read-only"):
        table.whole()[1] = 6.0


def test_the_first_new_article_of_a_large_catalogue_copies_none_of_its_lists() -> None:
    """Room and place for it, and a reader who opens it, in less than a tenth of what the tables take."""
    size, width = 20_000, 100
    near = Neighbours(np.full((size, width), -1, np.int32), np.full((size, width), -np.inf, np.float32))
    pairs = Covisitation(CovisitationConfig(neighbours=width))
    pairs.restore(
        np.full((size, width), -1, np.int32), np.zeros((size, width), np.float32), np.zeros(size), np.zeros(2)
    )
    cosines = np.zeros(size + 1, np.float32)
    cosines[:50] = 0.9
    has = np.zeros(size + 1, bool)
    has[:50] = True
    tracemalloc.start()
    near.insert(size, cosines, has)
    pairs.opened(np.array([1, 2], np.int32), size, 1e9)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < size * width * 8 / 10
    assert sorted(near.of(size)[0].tolist()) == list(range(50))
    assert near.of(3)[0].tolist() == [size]
    assert sorted(pairs.of(size)[0].tolist()) == [1, 2]
