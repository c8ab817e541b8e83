"""Metrics against scikit-learn and against fixtures worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from training.metrics import auc, cluster_bootstrap, impression_metrics, mrr, ndcg, ranks_of_clicks

RNG = np.random.default_rng(0)


@st.composite
def impressions(draw: st.DrawFn, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    values = st.integers(0, 5).map(float) if ties else st.floats(-1e3, 1e3, allow_subnormal=False)
    scores = draw(st.lists(values, min_size=n, max_size=n, unique=not ties))
    clicked = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda c: any(c) and not all(c)))
    return np.array(scores, dtype=float), np.array(clicked)


@given(impressions(ties=True))
def test_auc_equals_scikit_learn_also_with_ties(made: tuple[np.ndarray, np.ndarray]) -> None:
    scores, clicked = made
    assert auc(scores, clicked) == pytest.approx(roc_auc_score(clicked, scores), abs=1e-9)


@given(impressions(ties=False), st.sampled_from([5, 10]))
def test_ndcg_equals_scikit_learn(made: tuple[np.ndarray, np.ndarray], k: int) -> None:
    scores, clicked = made
    expected = ndcg_score(clicked[None].astype(float), scores[None], k=k)
    assert ndcg(ranks_of_clicks(scores, clicked, RNG), k) == pytest.approx(expected, abs=1e-9)


def test_a_fixture_worked_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    clicked = np.array([False, True, False, False, True])
    found = impression_metrics(scores, clicked, RNG)
    gained = 1 / np.log2(3) + 1 / np.log2(6)
    ideal = 1 + 1 / np.log2(3)
    assert found == pytest.approx((2 / 6, (1 / 2 + 1 / 5) / 2, gained / ideal, gained / ideal), abs=1e-9)


def test_mrr_divides_by_the_clicks_as_mind_does() -> None:
    assert mrr(np.array([1.0, 4.0])) == pytest.approx((1 + 0.25) / 2)


def test_what_cannot_be_scored_ranks_last() -> None:
    found = impression_metrics(np.array([np.nan, -9.0]), np.array([True, False]), RNG)
    assert found[:2] == (0.0, 0.5)


@pytest.mark.parametrize("clicked", [[True, True], [False, False]])
def test_impressions_without_a_contrast_are_not_judged(clicked: list[bool]) -> None:
    assert np.isnan(impression_metrics(np.array([1.0, 2.0]), np.array(clicked), RNG)).all()


def test_ties_are_broken_by_the_seed_and_without_favour() -> None:
    rng = np.random.default_rng(1)
    clicked = np.array([True, False, False, False])
    ranks = [ranks_of_clicks(np.zeros(4), clicked, rng)[0] for _ in range(4000)]
    assert np.mean(ranks) == pytest.approx(2.5, abs=0.1)


def test_the_interval_resamples_readers_and_not_impressions() -> None:
    rng = np.random.default_rng(2)
    of_reader = rng.normal(size=100)
    clusters = np.repeat(np.arange(100), 20)
    values = np.repeat(of_reader, 20)[:, None]
    low, high = cluster_bootstrap(values, clusters, seed=0)
    expected = 2 * 1.96 * of_reader.std() / 10
    assert float(high[0] - low[0]) == pytest.approx(expected, rel=0.1)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        readers = rng.normal(0.6, 0.2, size=60)
        values = np.repeat(readers, 3)[:, None] + rng.normal(0, 0.1, size=(180, 1))
        low, high = cluster_bootstrap(values, np.repeat(np.arange(60), 3), seed=trial, resamples=1000)
        covered += bool(low[0] <= 0.6 <= high[0])
    assert 0.90 <= covered / 200 <= 0.98


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(0.6, 0.2, size=300)
    pair = np.column_stack((base + 0.01, base))
    low, high = cluster_bootstrap(pair, np.arange(300), 0, lambda means: means[:, :1] - means[:, 1:])
    assert (float(low[0]), float(high[0])) == pytest.approx((0.01, 0.01))
