"""Openings of the last days, counted in plain windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import recent_openings
from recsys.recent_openings import RecentOpenings

HOUR = 3600.0


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100), st.sampled_from((0.25, 1.0))), max_size=60),
    st.integers(1, 9),
    st.floats(1, 30),
)
def test_a_window_holds_what_was_opened_in_it_whatever_came_in_which_batch(
    openings: list[tuple[int, float, float]], size: int, hours: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recent_openings, "_LENGTH", 8)
        recent, again = RecentOpenings(30.0), RecentOpenings(30.0)
        for start in range(0, len(openings), size):
            rows, at, weights = (np.array(one) for one in zip(*openings[start : start + size], strict=True))
            recent.add(rows.astype(np.int32), at * HOUR, weights)
        again.restore(*recent.state().values())
    now = 90.0 * HOUR
    newest = max((at * HOUR for _, at, _ in openings), default=0.0)
    begin = max(now - hours * HOUR, newest - 30.0 * HOUR)
    expected = np.zeros(5)
    for row, at, weight in openings:
        expected[row] += weight * (begin < at * HOUR <= now)
    for one in (recent, again):
        np.testing.assert_allclose(one.counts(now, hours, 5), expected)


def test_what_is_older_than_the_last_days_takes_no_memory() -> None:
    recent = RecentOpenings(24.0)
    for day in range(6):
        recent.add(np.zeros(70_000, np.int32), np.full(70_000, day * 24 * HOUR), np.ones(70_000))
    assert len(recent.state()["recent_rows"]) == 70_000
    assert len(recent._blocks) <= 4
