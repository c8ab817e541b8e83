"""Sums over sections are those of their articles, whatever arrives in which order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.bundle import open_bundle
from recsys.popularity import Popularity, smoothed_rate
from recsys.snapshot import read_state, write_state
from recsys.state import State
from tests.builders import NOW, article, event, world

T = NOW.timestamp()
YEARS = 4 * 365 * 24 * 60.0
SECTIONS = (None, "World", "Sport", "Food")
AUTHORS = ([], ["by 0"], ["by 1", "by 0"], ["new"])
KINDS = ("view", "click", "impression")
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(KINDS),
        st.one_of(st.floats(0, 3000), st.floats(0, YEARS)),
    ),
    max_size=30,
)


def sums_of(state: State, counter: str, level: str) -> np.ndarray:
    """The plain way: add up the articles of each group."""
    counted = getattr(state.popularity, counter)
    codes = getattr(state.catalog, level)[: len(state.catalog)]
    groups = getattr(state.catalog, f"{level}s").names
    columns = range(len(counted.half_lives))
    return np.array(
        [[counted.read(T, k)[codes == code].sum() for k in columns] for code in range(len(groups))]
    ).reshape(len(groups), len(columns))


def assert_sums_hold(state: State) -> None:
    state.regroup()
    for counter in ("openings", "impressions", "clicks"):
        counted = getattr(state.popularity, counter)
        columns = range(len(counted.half_lives))
        for level in ("section", "subsection", "author"):
            expected = sums_of(state, counter, level)
            codes = np.arange(len(expected), dtype=np.int32)
            found = np.array([counted.read_groups(T, k, level, codes) for k in columns]).T
            np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-250)
        totals = [counted.total(T, k) for k in columns]
        expected = [counted.read(T, k).sum() for k in columns]
        np.testing.assert_allclose(totals, expected, rtol=1e-9, atol=1e-250)


@settings(max_examples=60)
@given(EVENTS, st.lists(st.sampled_from(SECTIONS), min_size=4, max_size=4), st.integers(1, 4), st.data())
def test_sums_are_those_of_the_articles_also_of_late_and_moved_ones(
    events: list[tuple[int, str, str, float]], sections: list[str | None], parts: int, data: st.DataObject
) -> None:
    # articles 0-3 are there from the start, 4-7 arrive after their first events
    state = world(
        [
            article(f"a{i}", section=name, subsection="sub", authors=[f"by {i % 2}"])
            for i, name in enumerate(sections)
        ]
    )
    made = [event(f"e{i}", f"a{a}", r, k, minutes_ago=m) for i, (a, r, k, m) in enumerate(events)]
    for start in range(parts):
        state.apply_events(made[start::parts], T)
        moved = data.draw(st.integers(0, 7))
        section, authors = data.draw(st.sampled_from(SECTIONS)), data.draw(st.sampled_from(AUTHORS))
        state.apply_article(article(f"a{moved}", section=section, authors=authors), None)
        assert_sums_hold(state)


def test_an_article_that_arrives_late_brings_its_readers_to_its_section() -> None:
    state = world([article("a", section="World")])
    state.apply_events([event(f"e{i}", "late", f"r{i}") for i in range(9)], T)
    openings, day = state.popularity.openings, state.popularity.column(24.0)
    assert openings.total(T, day) == pytest.approx(9, rel=0.01)
    assert openings.read_groups(T, day, "section", np.array([0, -1], np.int32))[0] == 0.0
    assert np.isnan(openings.read_groups(T, day, "section", np.array([0, -1], np.int32))[1])
    state.apply_article(article("late", section="Sport"), None)
    world_and_sport = openings.read_groups(T, day, "section", np.array([0, 1], np.int32))
    assert world_and_sport.tolist() == pytest.approx([0.0, 9.0], rel=0.01)


def test_click_rates_of_sections_are_those_of_all_their_impressions() -> None:
    shown = [event(f"i{n}", f"w{n % 3}", f"r{n}", "impression") for n in range(900)]
    clicked = [event(f"c{n}", f"w{n % 3}", f"r{n}", "click") for n in range(90)]
    plain = [event(f"s{n}", "s", f"r{n}", "impression") for n in range(900)]
    articles = [article(f"w{i}", section="World") for i in range(3)] + [article("s", section="Sport")]
    state = world(articles, events=[*shown, *clicked, *plain])
    counts = state.popularity
    assert counts.overall_ctr(T, 168.0) == pytest.approx((90 + 2.5) / (1800 + 50), rel=1e-3)
    rates = counts.group_ctr(T, "section", np.array([0, 1, -1], np.int32), 168.0)
    overall = counts.overall_ctr(T, 168.0)
    expected = smoothed_rate(np.array([90.0, 0.0]), np.array([900.0, 900.0]), overall, 50.0)
    assert rates[:2] == pytest.approx(expected, rel=1e-3)
    assert np.isnan(rates[2])


def test_a_bundle_brings_the_sums_back_and_goes_on_counting(tmp_path: Path) -> None:
    articles = [article(f"a{i}", section="World", subsection=f"s{i}") for i in range(3)]
    events = [event(f"e{i}", f"a{i % 5}", f"r{i}", KINDS[i % 3], i * 30.0) for i in range(60)]
    state = world(articles, events=events[:40])
    facts = {"version": "v1", "created": NOW.isoformat(), "embedder": {"model_id": "m", "dimensions": 32}}
    restored = read_state(open_bundle(write_state(tmp_path / "v1", state, articles, facts).path))
    for each in (state, restored):
        each.apply_events(events[40:], T)
        each.apply_article(article("a4", section="Sport"), None)
        assert_sums_hold(each)
    for name, values in state.popularity.state().items():
        np.testing.assert_array_equal(restored.popularity.state()[name], values, err_msg=name)


def test_the_names_of_the_state_are_what_the_state_gives() -> None:
    state = world([article("a", section="World")])
    assert set(Popularity.state_names()) == set(state.popularity.state())
