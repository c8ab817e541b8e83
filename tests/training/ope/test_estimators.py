"""Estimates against a second, plain implementation and against what is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.ope.worlds import World
from training.ope.clicks import ClickModel, crossed
from training.ope.estimators import (
    ESTIMATORS,
    clustered_error,
    default_cap,
    difference,
    estimate,
    served,
    weights_of,
)
from training.ope.lists import NOBODY, Floats, LoggedLists, Options, Predicted


def random_lists(seed: int, n: int = 60, k: int = 4) -> tuple[LoggedLists, Predicted]:
    """Arrays without meaning, some lists shorter than others."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, k + 1, n)
    shown = np.arange(k) < lengths[:, None]

    def chances() -> Floats:
        return np.where(shown, rng.uniform(0.05, 1.0, (n, k)), 1.0)

    articles = np.where(shown, rng.integers(0, 9, (n, k)), NOBODY)
    options = Options(rng.integers(0, 9, (n, k, 3)), rng.dirichlet(np.ones(3), (n, k)) * shown[:, :, None])
    lists = LoggedLists(
        rng.integers(0, 20, n),
        articles,
        (rng.random((n, k)) < 0.3) * shown.astype(float),
        chances(),
        chances(),
        options,
        chances(),
        chances(),
        options,
        articles,
    )
    return lists, crossed(lists, 9)


def plainly(lists: LoggedLists, name: str, predicted: Predicted, cap: float) -> float:
    """The estimate, list by list and place by place, from the formulas of the papers."""
    kind, form = name.split("-")
    n, k = lists.articles.shape
    lengths = [int((row != NOBODY).sum()) for row in lists.articles]
    weight: dict[tuple[int, int], float] = {}
    for i in range(n):
        prefix = 1.0
        whole = 1.0
        for j in range(k):
            whole *= float(lists.target[i, j]) / float(lists.logged[i, j])
        for j in range(lengths[i]):
            prefix *= float(lists.target[i, j]) / float(lists.logged[i, j])
            if kind == "item":
                assert lists.target_at is not None and lists.logged_at is not None  # noqa: PT018
                raw = float(lists.target_at[i, j]) / float(lists.logged_at[i, j])
            else:
                raw = prefix if kind == "cascade" else whole
            weight[i, j] = min(raw, cap)
    total = 0.0
    if form == "snips":
        for j in range(k):
            there = [i for i in range(n) if j < lengths[i]]
            mass = sum(weight[i, j] for i in there)
            if mass > 0:
                earned = sum(weight[i, j] * float(lists.rewards[i, j]) for i in there)
                total += earned / mass * len(there) / n
        return total
    for i in range(n):
        for j in range(lengths[i]):
            total += weight[i, j] * float(lists.rewards[i, j])
            if form == "dr" and kind == "cascade":
                above = weight[i, j - 1] if j else 1.0
                later = float(predicted.later[i, j])
                total += above * (float(predicted.next[i, j]) + later)
                total -= weight[i, j] * (float(predicted.shown[i, j]) + later)
            elif form == "dr":
                total -= weight[i, j] * float(predicted.shown[i, j])
        if form == "dr" and kind != "cascade":
            total += sum(float(said) for said in predicted.at[i])
    return total / n


@pytest.mark.parametrize("name", ESTIMATORS)
@given(seed=st.integers(0, 10_000), cap=st.sampled_from([2.0, 10.0, float("inf")]))
@settings(max_examples=25)
def test_a_second_implementation_says_the_same(name: str, seed: int, cap: float) -> None:
    lists, predicted = random_lists(seed)
    found = estimate(lists, name, predicted, cap)
    assert found.value == pytest.approx(plainly(lists, name, predicted, cap), rel=1e-9, abs=1e-9)
    assert found.values.mean() == pytest.approx(found.value, abs=1e-9)


def test_one_place_without_readers_in_common_is_the_textbook() -> None:
    lists, _ = random_lists(3, k=1)
    lists = LoggedLists(**{**vars(lists), "readers": np.arange(60)})
    assert lists.logged_at is not None
    assert lists.target_at is not None
    weights, rewards = (lists.target_at / lists.logged_at)[:, 0], lists.rewards[:, 0]
    assert estimate(lists, "item-ips").value == pytest.approx(np.mean(weights * rewards), abs=1e-12)
    assert estimate(lists, "item-ips").error == pytest.approx(
        np.std(weights * rewards, ddof=1) / np.sqrt(60), rel=1e-12
    )
    normal = estimate(lists, "item-snips")
    assert normal.value == pytest.approx((weights * rewards).sum() / weights.sum(), rel=1e-12)
    residuals = weights * (rewards - normal.value) / weights.mean()
    assert normal.error == pytest.approx(np.std(residuals, ddof=1) / np.sqrt(60), rel=1e-12)


def test_lists_of_one_reader_are_not_independent() -> None:
    values = np.repeat([0.0, 1.0, 0.0, 1.0], 25)
    plain, _ = clustered_error(values, np.arange(100))
    ours, freedom = clustered_error(values, np.repeat([0, 1, 2, 3], 25))
    assert freedom == 3
    assert ours == pytest.approx(np.std([0, 1, 0, 1], ddof=1) / 2)
    assert ours > 5 * plain
    assert clustered_error(values, np.zeros(100, int)) == (float("inf"), 0)


def test_a_policy_judged_by_its_own_log_earns_what_it_earned() -> None:
    lists = World("wide").logged(np.random.default_rng(1), 300, 2)
    same = LoggedLists(**{**vars(lists), "target": lists.logged, "target_at": lists.logged_at})
    for name in ("item-ips", "item-snips", "cascade-ips", "cascade-snips", "list-ips", "list-snips"):
        found = estimate(same, name)
        assert found.value == pytest.approx(served(same).value, rel=1e-12)
        assert difference(found, served(same), same.readers).error == pytest.approx(0.0, abs=1e-12)


def test_higher_weights_than_the_cap_are_cut_to_it() -> None:
    lists, _ = random_lists(5)
    assert weights_of(lists, "cascade").max() > 3.0
    assert weights_of(lists, "cascade", 3.0).max() == 3.0
    assert default_cap(10_000) == 100.0


def test_the_model_of_clicks_knows_places_and_articles_and_never_the_readers_own() -> None:
    articles = np.array([[0, 1], [0, 1], [1, 0], [0, NOBODY]])
    rewards = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    model = ClickModel.fit(articles, rewards, 3)
    assert model.places.tolist() == [0.75, 0.0]
    assert model.factors.tolist() == pytest.approx([(3 + 3) / (2.25 + 3), 3 / (0.75 + 3), 1.0, 0.0])
    lists, before = random_lists(7)
    own = lists.readers == lists.readers[0]
    changed = LoggedLists(**{**vars(lists), "rewards": np.where(own[:, None], 5.0, lists.rewards)})
    after = crossed(changed, 9)
    assert np.array_equal(before.shown[own], after.shown[own])
    assert not np.array_equal(before.shown[~own], after.shown[~own])
