"""Weights of lists are recovered where they are known, and a short log teaches nothing."""

from pathlib import Path

import numpy as np
import pytest

from recsys.config import Config
from tests.conftest import Newsroom
from training.evaluate import evaluate
from training.fit_lists import Gathering, fit_recipe
from training.readers import read_articles, read_events
from training.writing import DatasetWriter


def chosen_by(weights: list[float], half_life: int, sets: int = 1500) -> Gathering:
    """Choices among 30 candidates by softmax of known weights; popularity counts at one half-life."""
    gathering = Gathering("related", Config())
    rng = np.random.default_rng(3)
    for _ in range(sets):
        columns = rng.random((30, len(gathering.names)))
        counts = rng.random((30, len(gathering.half_lives)))
        scores = columns @ np.array(weights[:-1]) + weights[-1] * counts[:, half_life]
        chances = np.exp(scores - scores.max())
        gathering.add(columns, counts, int(rng.choice(30, p=chances / chances.sum())))
    return gathering


def test_known_weights_and_half_life_are_recovered() -> None:
    truth = [2.0, 4.0, 0.0, 1.0, 3.0]
    gathering = chosen_by(truth, half_life=2)
    recipe = fit_recipe(gathering, total=sum(truth))
    assert recipe.half_life_hours == gathering.half_lives[2]
    found = [recipe.weights[name] for name in (*gathering.names, "popularity")]
    np.testing.assert_allclose(found, truth, atol=0.35)


def test_weights_are_never_negative() -> None:
    recipe = fit_recipe(chosen_by([-3.0, 2.0, 0.0, 0.0, 1.0], half_life=0, sets=400), total=3.0)
    assert all(value >= 0.0 for value in recipe.weights.values())
    assert sum(recipe.weights.values()) == pytest.approx(3.0, abs=0.01)


def test_lists_are_judged_without_any_exposure(newsroom: Newsroom, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with DatasetWriter(folder) as writer:
        for article in read_articles(newsroom.data):
            writer.tables["articles"].add(article)
        for event in read_events(newsroom.data):
            writer.tables["events"].add(event)
        writer.finish({})
    result = evaluate(newsroom.bundle, folder, newsroom.models, list_reads=25)
    values = result.as_dict()
    assert values["rankings"] == {}
    for judged in values["lists"]["next_article"].values():
        assert 0 < judged["reads"] <= 25
        for name in ("funnel", "item_knn", "session_knn", "implicit_item_item", "random", "newest"):
            row = judged["models"][name]
            assert row["ci"]["hr@20"][0] <= row["hr@20"] <= row["ci"]["hr@20"][1]
        assert judged["funnel_against"]["funnel_without_diversity"]["hr@20"] is not None
