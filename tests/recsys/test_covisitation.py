"""What is read together: the online counts equal the batch, decay, reach a second step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config import CovisitationConfig
from recsys.covisitation import Covisitation, Trails
from tests.builders import HOUR, NOW, article, event, world

DAY = 24.0 * HOUR
ALL = np.arange(3)


def trails(pasts: list[list[int]], config: CovisitationConfig, step: float = DAY) -> Trails:
    """Readers open one article a step; all readers at the same times."""
    rows = np.array([row for past in pasts for row in past], dtype=np.int32)
    ts = np.concatenate([step * np.arange(len(past)) for past in pasts])
    visits = np.repeat(np.arange(len(pasts)), [len(past) for past in pasts])
    latest = float(ts.max())
    return Trails(rows, visits, np.exp2((ts - latest) / (config.half_life_days * DAY)), latest)


@given(st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=6, unique=True), min_size=1, max_size=6))
def test_openings_as_they_come_count_like_the_whole_log(pasts: list[list[int]]) -> None:
    config = CovisitationConfig()
    whole = Covisitation(config).fit(trails(pasts, config), 9)
    live = Covisitation(config)
    live.landmark_ = whole.landmark_
    for at in range(max(map(len, pasts))):
        for past in pasts:
            if at < len(past):
                live.opened(np.array(past[:at][::-1], np.int32), past[at], DAY * at)
    for row in {row for past in pasts for row in past}:
        rows, found = whole.of(row)
        again, similarities = live.of(row)
        np.testing.assert_allclose(similarities, found, rtol=1e-5)
        assert set(again.tolist()) == set(rows.tolist())


def test_a_pair_weighs_half_after_a_half_life() -> None:
    model = Covisitation(CovisitationConfig(shrinkage=0.0, half_life_days=30.0))
    past = np.array([0], np.int32)
    model.opened(past, 1, 0.0)
    assert model.scores_of(past, ALL)[1] == pytest.approx(1.0)
    model.opened(past, 2, 30 * DAY)
    assert model.scores_of(past, ALL)[1:] == pytest.approx([0.5, 1.0])


def test_ten_years_of_openings_stay_finite_and_ranked() -> None:
    model = Covisitation(CovisitationConfig(half_life_days=1.0))
    for day in range(3650):
        model.opened(np.array([0], np.int32), 1 + day % 3, day * DAY)
    scores = model.scores_of(np.array([0], np.int32), np.arange(4))
    assert np.isfinite(scores).all()
    # the last day opened article 1 + 3649 % 3 = 2
    assert scores.argmax() == 2


def test_a_second_step_reaches_what_no_reader_opened_together() -> None:
    config = CovisitationConfig()
    model = Covisitation(config).fit(trails([[0, 1], [1, 2]], config), 3)
    past = np.array([0], np.int32)
    assert model.scores_of(past, ALL)[2] == 0.0
    assert model.reached_with(past, ALL)[2] > 0.0
    assert model.reached_with(past, ALL)[1] > model.reached_with(past, ALL)[2]
    straight = Covisitation(CovisitationConfig(walk=0.0)).fit(trails([[0, 1], [1, 2]], config), 3)
    assert straight.reached_with(past, ALL)[2] == 0.0


def test_full_places_keep_the_pairs_that_are_read_most() -> None:
    model = Covisitation(CovisitationConfig(neighbours=2))
    for row in (1, 1, 1, 2, 2, 3):
        model.opened(np.array([0], np.int32), row, 0.0)
    assert 1 in model.of(0)[0]
    assert len(model.of(0)[0]) == 2


def test_a_served_state_learns_pairs_from_openings_and_a_repeat_counts_once() -> None:
    names = ("a", "b", "c")
    state = world([article(name) for name in names])
    state.follows_pairs = True
    openings = [event(f"{k}", name, minutes_ago=30 - k) for k, name in enumerate(("a", "b", "b", "a"))]
    state.apply_events(openings, NOW.timestamp())
    rows, similarities = state.learned.covisitation.of(0)
    assert rows.tolist() == [1]
    # one pair, shrunk by one half, over one opening and the one that is added
    assert similarities[0] == pytest.approx(1.0 / 1.5 / 2.0, rel=1e-3)
