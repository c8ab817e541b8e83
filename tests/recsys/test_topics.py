"""Topics: groupings by meaning, and where readers go from one group to another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.config import TopicsConfig
from recsys.topics import Topics
from tests.builders import DIMENSIONS
from training.fit_topics import fit_topics

THEMES = 4
PER_THEME = 30
SMALL = TopicsConfig(groups=(4, 8), repeats=2, articles_per_group=5)


def themed(seed: int = 0) -> NDArray[np.float32]:
    """Articles of four themes, thirty of each in turn, scattered around their theme."""
    rng = np.random.default_rng(seed)
    themes = np.eye(THEMES, DIMENSIONS, dtype=np.float32)[np.arange(THEMES * PER_THEME) % THEMES]
    rows = themes + 0.1 * rng.normal(size=(THEMES * PER_THEME, DIMENSIONS)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def pasts(seed: int = 1) -> list[NDArray[np.int32]]:
    """Readers of themes 0 and 1 together, and readers of themes 2 and 3 together."""
    rng = np.random.default_rng(seed)
    found = []
    for reader in range(120):
        theme = rng.choice((0, 1) if reader % 2 else (2, 3), size=8)
        # half of the articles of each theme are never read: they are the cold ones
        found.append((theme + THEMES * rng.integers(0, PER_THEME // 2, size=8)).astype(np.int32))
    return found


@pytest.fixture(scope="module")
def topics() -> Topics:
    return fit_topics(themed(), pasts(), SMALL, seed=3)


def test_readers_of_one_theme_are_offered_the_other_that_is_read_with_it(topics: Topics) -> None:
    cold = np.arange(THEMES * (PER_THEME - 2), THEMES * (PER_THEME - 2) + THEMES, dtype=np.int32)
    for read, near, far in ((0, 1, 2), (1, 0, 3), (2, 3, 0), (3, 2, 1)):
        past = np.array([read, read + THEMES], dtype=np.int32)
        affinity = topics.affinity(past, cold)
        assert affinity[near] > 0.2 > affinity[far]
        assert affinity[read] > affinity[far]


def test_what_nobody_read_together_says_nothing(topics: Topics) -> None:
    assert np.isnan(topics.affinity(np.zeros(0, np.int32), np.arange(4, dtype=np.int32))).all()
    blank = themed().copy()
    blank[7] = 0.0
    found = fit_topics(blank, pasts(), SMALL, seed=3).affinity(
        np.array([0], np.int32), np.array([7, 8], np.int32)
    )
    assert np.isnan(found[0])
    assert not np.isnan(found[1])


def test_a_new_article_is_placed_where_training_would_have_placed_it(topics: Topics) -> None:
    again = Topics.restore(topics.state())
    row, size = 5, len(topics.codes)
    again.place(size, themed()[row])
    np.testing.assert_array_equal(again.codes[size], topics.codes[row])
    again.place(size, None)
    assert np.isnan(again.affinity(np.array([0], np.int32), np.array([size], np.int32)))[0]
    assert len(topics.codes) == size


def test_too_little_that_was_read_makes_no_topics() -> None:
    found = fit_topics(themed(), pasts()[:1], SMALL, seed=3)
    assert len(found) == 0
    assert np.isnan(found.affinity(np.array([0], np.int32), np.array([1], np.int32))).all()
    found.place(500, themed()[0])
    assert len(fit_topics(themed(), [], SMALL, seed=3)) == 0


def test_groupings_follow_from_the_seed() -> None:
    one, same, other = (fit_topics(themed(), pasts(), SMALL, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.centroids, same.centroids)
    assert not np.array_equal(one.centroids, other.centroids)


@given(st.lists(st.integers(0, THEMES * PER_THEME - 1), min_size=1, max_size=12))
def test_the_order_of_what_was_read_does_not_matter(past: list[int]) -> None:
    topics = fit_topics_once()
    rows = np.arange(THEMES, dtype=np.int32)
    turned = topics.affinity(np.array(past[::-1], np.int32), rows)
    np.testing.assert_allclose(topics.affinity(np.array(past, np.int32), rows), turned, atol=1e-5)


_ONCE: list[Topics] = []


def fit_topics_once() -> Topics:
    if not _ONCE:
        _ONCE.append(fit_topics(themed(), pasts(), SMALL, seed=3))
    return _ONCE[0]
