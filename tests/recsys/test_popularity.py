"""The laws of decayed counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.config import Config, PopularityConfig
from recsys.counters import HOUR, DecayedCounter
from recsys.features import click_rate
from recsys.popularity import Popularity
from tests.builders import NOW, article, event, row, world

T0 = NOW.timestamp()
TEN_YEARS = 10 * 365.25 * 24 * HOUR


def counted(
    times: list[float], rows: list[int], half_lives: tuple[float, ...] = (1.0, 24.0)
) -> DecayedCounter:
    counter = DecayedCounter(half_lives, 4)
    counter.add(np.array(rows), np.array(times, dtype=float), np.ones(len(times)))
    return counter


@pytest.mark.parametrize("hours", [1.0, 24.0])
def test_a_half_life_halves(hours: float) -> None:
    counter = counted([T0], [0], (hours,))
    assert counter.read(T0 + hours * HOUR, 0)[0] == pytest.approx(0.5, rel=1e-12)
    assert counter.read(T0 + 3 * hours * HOUR, 0)[0] == pytest.approx(0.125, rel=1e-12)


EVENTS = st.lists(st.tuples(st.floats(0, 40 * 24 * HOUR), st.integers(0, 3)), min_size=1, max_size=40)


@given(EVENTS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_order_nor_batching_matters(
    events: list[tuple[float, int]], random: object, parts: int
) -> None:
    shuffled = events[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = counted([T0 + t for t, _ in events], [r for _, r in events])
    other = DecayedCounter((1.0, 24.0), 4)
    for start in range(parts):
        piece = shuffled[start::parts]
        if piece:
            other.add(
                np.array([r for _, r in piece]), np.array([T0 + t for t, _ in piece]), np.ones(len(piece))
            )
    now = T0 + 40 * 24 * HOUR
    for column in (0, 1):
        np.testing.assert_allclose(one.read(now, column), other.read(now, column), rtol=1e-9)


@given(EVENTS)
def test_the_mass_is_the_sum_that_the_formula_says(events: list[tuple[float, int]]) -> None:
    counter, now = counted([T0 + t for t, _ in events], [r for _, r in events]), T0 + 41 * 24 * HOUR
    for at in range(4):
        expected = sum(2.0 ** (-(now - T0 - t) / (24 * HOUR)) for t, r in events if r == at)
        assert counter.read(now, 1)[at] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30)
@given(st.lists(st.floats(0, TEN_YEARS), min_size=2, max_size=60))
def test_ten_years_at_one_hour_neither_overflow_nor_lose_the_present(times: list[float]) -> None:
    counter = DecayedCounter((1.0,), 2)
    for t in times:
        counter.add(np.array([0]), np.array([T0 + t]), np.ones(1))
    end = T0 + TEN_YEARS
    counter.add(np.array([1]), np.array([end]), np.ones(1))
    masses = counter.read(end, 0)
    assert np.all(np.isfinite(masses))
    assert masses[1] == pytest.approx(1.0, rel=1e-12)


def test_a_restored_counter_goes_on_where_the_other_stopped() -> None:
    one, other = counted([T0], [1]), DecayedCounter((1.0, 24.0))
    other.restore(**one.state())
    for counter in (one, other):
        counter.add(np.array([1]), np.array([T0 + HOUR]), np.ones(1))
    np.testing.assert_array_equal(one.masses, other.masses)


def test_distinct_readers_count_and_reloads_do_not() -> None:
    events = [event(f"e{i}", "loud", "fan", minutes_ago=i) for i in range(500)]
    events += [event(f"q{i}", "quiet", f"r{i}") for i in range(3)]
    state = world([article("loud"), article("quiet")], events=events)
    masses = state.popularity.openings.read(T0, state.popularity.column(24.0))
    assert masses[row(state, "quiet")] == pytest.approx(3, rel=0.01)
    assert masses[row(state, "loud")] < 1.01


def test_a_view_and_the_click_before_it_are_one_opening() -> None:
    state = world([article("a")], events=[event("c", "a", kind="click"), event("v", "a", kind="view")])
    assert state.popularity.openings.read(T0, 4)[0] == pytest.approx(1.0, rel=0.01)


def test_the_click_rate_is_drawn_to_the_prior_and_follows_evidence() -> None:
    shown = [event(f"i{n}", "good", f"r{n}", kind="impression") for n in range(1000)]
    clicked = [event(f"c{n}", "good", f"r{n}", kind="click") for n in range(300)]
    state = world([article("good"), article("unseen")], events=shown + clicked)
    config, rates = state.config.popularity, state.popularity.ctr(T0, np.array([0, 1]))
    assert rates[1] == pytest.approx(config.ctr_prior)
    assert rates[0] == pytest.approx((300 + 2.5) / (1000 + 50), rel=0.01)
    assert click_rate(state, np.array([1]), T0)[0] == pytest.approx(0.5)


def test_views_never_raise_the_click_rate() -> None:
    shown = [event(f"i{n}", "a", f"r{n}", kind="impression") for n in range(100)]
    views = [event(f"v{n}", "a", f"x{n}", kind="view") for n in range(100)]
    with_views, without = world([article("a")], events=shown + views), world([article("a")], events=shown)
    assert with_views.popularity.ctr(T0, np.array([0])) == without.popularity.ctr(T0, np.array([0]))


def test_rising_is_the_increase_and_not_the_level() -> None:
    steady = [event(f"s{n}", "steady", f"r{n}", minutes_ago=n * 4.0) for n in range(1000)]
    sudden = [event(f"n{n}", "sudden", f"r{n}", minutes_ago=n * 1.5) for n in range(40)]
    state = world([article("steady"), article("sudden")], events=steady + sudden)
    popular = state.popularity.openings.read(T0, state.popularity.column(24.0))
    rising = state.popularity.rising(T0)
    assert popular[0] > popular[1]
    assert rising[1] > 2 * rising[0]


def test_popular_by_decay_window_and_increase_are_what_a_hand_computes() -> None:
    """Readers an hour ago and a day ago: masses, plain counts, and readers per hour above the day's rate."""
    fresh = [event(f"f{n}", "fresh", f"r{n}", minutes_ago=60.0) for n in range(8)]
    old = [event(f"o{n}", "old", f"r{n}", minutes_ago=24 * 60.0) for n in range(12)]
    state = world([article("fresh"), article("old")], events=fresh + old)
    counts = state.popularity
    assert counts.openings.read(T0, counts.column(4.0)).tolist() == pytest.approx([8 * 2**-0.25, 12 * 2**-6])
    assert counts.recent.counts(T0, 24.0, 2).tolist() == [8.0, 0.0]
    assert counts.recent.counts(T0, 25.0, 2).tolist() == [8.0, 12.0]
    rates = np.log(2) * np.array([8 * (2**-1 - 2 ** (-1 / 24) / 24), 12 * (2**-24 - 2**-1 / 24)])
    assert counts.rising(T0).tolist() == pytest.approx(np.maximum(rates, 0.0).tolist())
    state.apply_events([event(f"n{n}", "old", f"new{n}", minutes_ago=0.0) for n in range(20)], T0)
    assert np.argmax(counts.rising(T0)) == row(state, "old")


def test_read_minutes_are_capped_and_shares_weigh_as_configured() -> None:
    events = [event("r", "long", kind="read", value=1e9), event("s", "shared", kind="share")]
    state = world([article("long"), article("shared")], events=events)
    masses = state.popularity.engagement.read(T0, 0)
    assert masses[0] == pytest.approx(state.config.popularity.read_minutes_cap, rel=0.01)
    assert masses[1] == pytest.approx(state.config.popularity.share_weight, rel=0.01)


def test_the_top_is_right_after_every_batch() -> None:
    rng = np.random.default_rng(3)
    counts = Popularity(PopularityConfig(), 50)
    state = world([article(f"a{i}") for i in range(50)], config=Config())
    counts = state.popularity
    for step in range(8):
        events = [
            event(f"{step}-{n}", f"a{rng.integers(50)}", f"r{n}", minutes_ago=60.0 - step) for n in range(30)
        ]
        state.apply_events(events, T0)
        for column, top in enumerate(counts.tops):
            masses = counts.openings.masses[:, column]
            assert masses[top.rows()].tolist() == sorted(masses[masses > 0], reverse=True)
