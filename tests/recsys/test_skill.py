"""Skill on shown lists: known answers, and nothing found where nothing is."""

import math

import numpy as np
import pytest

from recsys.skill import Tally


def test_a_click_is_worth_the_share_of_the_list_below_it() -> None:
    tally = Tally(["a", "b"])
    tally.add([[0.9, 0.5, 0.1], [0.1, 0.5, 0.5]], [0], np.ones(3), "r1")
    tally.add([[0.9, 0.5, 0.1], [0.1, 0.5, 0.5]], [1], np.ones(3), "r2")
    assert tally.skill("a").value == pytest.approx((1.0 + 0.5) / 2 - 0.5)
    assert tally.skill("b").value == pytest.approx((0.0 + 0.75) / 2 - 0.5)
    assert tally.difference("a", "b").value == pytest.approx(0.375)
    assert (tally.lists, tally.clicks) == (2, 2)


def test_what_says_nothing_is_not_counted() -> None:
    tally = Tally(["a"])
    tally.add([[0.9]], [0], np.ones(1), "r")
    tally.add([[0.9, 0.1]], [], np.ones(2), "r")
    tally.add([[0.9, math.nan]], [0], np.ones(2), "r")
    assert tally.lists == 0
    assert math.isnan(tally.skill("a").value)


def shown(rng: np.random.Generator, taste: float, lists: int = 4000) -> Tally:
    """Lists ordered by score; a click needs a look, which the top gets, and a liking.

    Args:
        rng: of everything.
        taste: by how much the liking follows the score.
        lists: how many.
    """
    examination = 1.0 / np.arange(1, 11)
    tally = Tally(["score", "evenly"])
    for number in range(lists):
        scores = np.sort(rng.random(10))[::-1]
        liked = rng.random(10) < 0.2 + taste * (scores - 0.5)
        clicked = np.flatnonzero(liked & (rng.random(10) < examination)).tolist()
        tally.add([scores.tolist(), [0.0] * 10], clicked, examination, f"r{number % 300}")
    return tally


def test_looking_at_the_top_only_is_not_taken_for_skill() -> None:
    found = shown(np.random.default_rng(1), taste=0.0).skill("score")
    assert found.low < 0.0 < found.high
    assert found.high - found.low < 0.1


def test_a_liking_that_follows_the_scores_is_found_and_ties_have_none() -> None:
    tally = shown(np.random.default_rng(2), taste=0.38)
    assert tally.skill("score").low > 0.05
    assert tally.skill("evenly").value == pytest.approx(0.0)
    assert tally.difference("score", "evenly").value == pytest.approx(tally.skill("score").value)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(60):
        found = shown(np.random.default_rng(seed), taste=0.0, lists=300).skill("score")
        inside += found.low <= 0.0 <= found.high
    assert inside >= 50
