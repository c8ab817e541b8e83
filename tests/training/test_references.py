"""The ranker's floor and reference: what they can learn, where they stop, and how they are judged."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from recsys.bundle import Registry
from recsys.config import Config, build_config
from tests.conftest import Newsroom, copy_models
from tests.training.command import recsys
from training.fit import train
from training.fit_ranker import Examples, fit_ranker
from training.metrics import auc
from training.references import (
    Boosted,
    JudgedLists,
    Linear,
    both_views,
    compare,
    fit_references,
    microseconds,
    within_list,
)


def lists_of(count: int, seed: int, *, interaction: bool = False) -> Examples:
    """Lists of eight with one click: by the first feature, or by the product of the first two."""
    rng = np.random.default_rng(seed)
    found = Examples(("first", "second", "noise"))
    for number in range(count):
        matrix = rng.normal(size=(8, 3))
        matrix[rng.random(8) < 0.1, 2] = np.nan
        wish = 3.0 * matrix[:, 0] * matrix[:, 1] if interaction else 1.5 * matrix[:, 0]
        chosen = np.argmax(wish + rng.gumbel(size=8))
        found.add(float(number), rng.normal(size=8) * 0.1, matrix, np.arange(8) == chosen)
    return found


def judged_from(examples: Examples) -> JudgedLists:
    lists = JudgedLists(examples.blend, examples.matrices, examples.labels)
    lists.clusters = list(range(len(examples)))
    return lists


def mean_auc(scorer: object, examples: Examples) -> float:
    lists = zip(examples.blend, examples.matrices, examples.labels, strict=True)
    return float(np.mean([auc(scorer(b, m), labels) for b, m, labels in lists]))  # type: ignore[operator]


def test_a_plain_preference_is_found_by_the_floor_and_the_references() -> None:
    fitted, later = lists_of(120, 0), lists_of(120, 1)
    for name, scorer in fit_references(fitted, 0).items():
        assert mean_auc(scorer, later) > 0.75, name


@pytest.mark.slow
def test_only_the_full_reference_finds_an_interaction() -> None:
    fitted, later = lists_of(1500, 0, interaction=True), lists_of(300, 1, interaction=True)
    found = {name: mean_auc(scorer, later) for name, scorer in fit_references(fitted, 0).items()}
    assert found["boosted_full"] > 0.75
    assert found["boosted_full"] > found["boosted_additive"] + 0.1
    assert found["logistic_regression"] < 0.65


def test_boosting_stops_early_where_the_later_lists_have_no_preference() -> None:
    fitted = lists_of(200, 0)
    rng = np.random.default_rng(3)
    with threadpool_limits(limits=1):
        rounds = Boosted.fit(fitted, 0, None).model.n_iter_
        for at in range(150, 200):
            fitted.labels[at] = np.arange(8) == rng.integers(8)
        # a random slice would still hold lists with the preference
        assert Boosted.fit(fitted, 0, None).model.n_iter_ < rounds / 2


def test_a_feature_that_is_missing_or_the_same_throughout_is_no_matter() -> None:
    fitted = lists_of(60, 0)
    for matrix in fitted.matrices:
        matrix[:, 1], matrix[:, 2] = np.nan, 4.0
    later = lists_of(60, 1)
    with threadpool_limits(limits=1):
        for scorer in (Boosted.fit(fitted, 0, None), Boosted.fit(fitted, 0, "no_interactions")):
            assert mean_auc(scorer, later) > 0.7


def test_a_rankers_list_is_seen_from_its_mean() -> None:
    blend, matrix = np.array([1.0, 3.0]), np.array([[np.nan, 5.0], [2.0, 5.0]])
    np.testing.assert_array_equal(within_list(blend, matrix), [[-1.0, np.nan, 0.0], [1.0, 0.0, 0.0]])
    assert both_views(blend, matrix).shape == (2, 6)
    linear = Linear(np.ones(3), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(linear(blend + 100.0, matrix), [-1.0, 1.0])


def test_every_model_is_judged_on_the_same_lists_beside_the_additive_one() -> None:
    fitted, later = lists_of(500, 0), lists_of(300, 1)
    # an article that nobody knows is shown and clicked: it ranks last with everyone
    later.blend[0][later.labels[0]] = np.nan
    later.matrices[0][later.labels[0]] = np.nan
    ranker = fit_ranker(fitted, Config().ranker)
    rows = compare(
        lambda blend, matrix: blend + ranker.parts(matrix, {}).sum(axis=1),
        {"blend_alone": lambda blend, _: blend, "again": Linear.fit(fitted, 0)},
        judged_from(later),
        0,
    )
    additive, alone, again = rows
    assert [row["model"] for row in rows] == ["additive", "blend_alone", "again"]
    assert additive["auc_difference"] == 0.0
    assert additive["ci"] == [0.0, 0.0]
    assert alone["ci"][1] < -0.1
    assert alone["auc_difference"] == pytest.approx(alone["auc"] - additive["auc"])
    assert again["ci"][0] <= again["auc_difference"] <= again["ci"][1]
    assert {row["impressions"] for row in rows} == {300}
    assert all(row["microseconds_per_200"] > 0 for row in rows)


def test_time_is_taken_of_what_is_asked_for() -> None:
    calls = []

    def scorer(blend: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        calls.append((len(blend), matrix.shape))
        return blend

    assert microseconds(scorer, 11, 0, runs=20) > 0
    assert calls == [(200, (200, 11))] * 22


@pytest.mark.slow
def test_evaluate_shows_the_references_and_writes_them(
    newsroom: Newsroom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    since = newsroom.bundle.manifest["fit_until"]
    few = recsys(
        capsys, "evaluate", "--data", newsroom.data, "--models", newsroom.models, "--judge-from", since,
        "--references",
    )  # fmt: skip
    assert few.code == 1
    assert "references need 300 or more lists with clicks" in few.err
    models = copy_models(newsroom.models, tmp_path / "models")
    config = build_config({"ranker": {"min_lists": 50}}, "test")
    until = datetime.fromisoformat(since)
    trained = train(config, newsroom.data, models, created=newsroom.now + timedelta(1), fit_until=until)
    Registry(models).promote(trained.bundle.version)
    answer = recsys(
        capsys, "evaluate", "--data", newsroom.data, "--models", models, "--judge-from", since,
        "--references", "--json", tmp_path / "m.json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    values = json.loads((tmp_path / "m.json").read_text())
    rows = {(row["surface"], row["model"]): row for row in values["references"]}
    for model in ("additive", "logistic_regression", "boosted_additive", "boosted_full"):
        assert model in answer.out
        row = rows["related", model]
        assert 0.4 < row["auc"] < 1.0
        assert row["ci"][0] <= row["auc_difference"] <= row["ci"][1]
