"""Examination by position is recovered where the log can tell it, and left alone where it cannot."""

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.config import ExaminationConfig
from recsys.schemas import SURFACES
from training.examination import chance_of_shuffled, learn_examination, propensities
from training.shown import Shown

LENGTH, ARTICLES = 10, 40
STEEP = 1.0 / np.arange(1.0, LENGTH + 1.0)


def log(
    examined: NDArray[np.float64], lists: int, seed: int = 0, by_worth: float = 0.0, noise: float = 1.0
) -> Shown:
    """Lists of articles of unequal worth; ``by_worth`` puts the better ones first."""
    rng = np.random.default_rng(seed)
    worth = np.minimum(0.15 * np.exp(rng.normal(0.0, 0.7, ARTICLES)), 0.9)
    keys = rng.random((lists, ARTICLES)).argsort(axis=1)[:, :LENGTH]
    order = np.argsort(-(by_worth * np.log(worth[keys]) + noise * rng.gumbel(size=keys.shape)), axis=1)
    rows = np.take_along_axis(keys, order, axis=1)
    clicked = rng.random(rows.shape) < worth[rows] * examined
    count = rows.size
    return Shown(
        np.repeat(np.arange(lists), LENGTH),
        np.full(count, SURFACES.index("related")),
        rows.ravel(),
        np.full(count, -1),
        np.tile(np.arange(1, LENGTH + 1), lists),
        np.full(count, LENGTH),
        np.full(count, np.nan),
        np.full(count, np.nan),
        clicked.ravel(),
    )


@pytest.mark.parametrize("by_worth", [0.0, 1.0])
def test_propensities_are_within_a_tenth_even_where_better_articles_stand_higher(by_worth: float) -> None:
    found = learn_examination(log(STEEP, 40_000, by_worth=by_worth), ExaminationConfig())
    values = found.examination.of("related", np.arange(1, LENGTH + 1))
    np.testing.assert_allclose(values, STEEP, rtol=0.10)
    assert "clicks are corrected" in found.notes[0]


def test_clicks_by_position_alone_would_not_do() -> None:
    shown = log(STEEP, 20_000, by_worth=2.0)
    clicks = np.bincount(shown.positions, shown.clicked)[1:]
    naive = clicks / clicks[0]
    assert np.abs(naive / STEEP - 1.0).max() > 0.3


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_lists_leave_nothing_to_correct(seed: int) -> None:
    values, note = propensities(log(np.ones(LENGTH), 5_000, seed), ExaminationConfig())
    assert values is None
    assert "nothing to correct" in note


def test_the_chance_of_shuffled_lists_is_even_when_they_are() -> None:
    chances = [chance_of_shuffled(log(np.ones(LENGTH), 400, seed)) for seed in range(60)]
    assert 0.3 < float(np.mean(chances)) < 0.7
    assert np.mean(np.array(chances) < 0.1) < 0.3


def test_an_order_by_worth_alone_is_not_taken_for_examination() -> None:
    values, note = propensities(log(np.ones(LENGTH), 20_000, by_worth=1.0), ExaminationConfig())
    assert values is None
    assert "not the position itself" in note


def test_a_thin_log_says_so() -> None:
    values, note = propensities(log(STEEP, 300), ExaminationConfig())
    assert values is None
    assert "500 are needed" in note


def test_articles_that_never_change_their_place_tell_nothing() -> None:
    shown = log(STEEP, 4_000)
    fixed = Shown(**{**{n: getattr(shown, n) for n in shown.__dataclass_fields__}, "rows": shown.positions})
    values, note = propensities(fixed, ExaminationConfig())
    assert values is None
    assert "several positions" in note


def test_correction_can_be_switched_off() -> None:
    values, _ = propensities(log(STEEP, 5_000), ExaminationConfig(correct=False))
    assert values is None
