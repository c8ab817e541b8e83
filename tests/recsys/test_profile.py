"""What readers opened lately."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config import ProfileConfig
from recsys.profile import Histories, reader_key


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 50)), max_size=60), st.integers(1, 8))
def test_the_latest_openings_are_kept_newest_first_each_once(
    openings: list[tuple[int, int]], length: int
) -> None:
    histories = Histories(ProfileConfig(history_length=length))
    latest: dict[int, int] = {}
    for row, ts in sorted(openings, key=lambda opening: opening[1]):
        histories.opened(1, row, float(ts))
        latest[row] = max(latest.get(row, ts), ts)
    rows = histories.of(1).rows.tolist()
    times = [latest[row] for row in rows]
    assert len(set(rows)) == len(rows) == min(length, len(latest))
    assert times == sorted(times, reverse=True)
    assert sorted(times, reverse=True) == sorted(latest.values(), reverse=True)[:length]


def test_a_late_arrival_finds_its_place() -> None:
    histories = Histories(ProfileConfig())
    for row, ts in ((1, 10.0), (2, 30.0), (3, 20.0)):
        histories.opened(7, row, ts)
    assert histories.of(7).rows.tolist() == [2, 3, 1]


def test_the_least_recently_active_readers_go_first() -> None:
    histories = Histories(ProfileConfig(max_readers=3))
    for reader in (1, 2, 3, 1, 4):
        histories.opened(reader, reader, 1.0)
    assert [len(histories.of(reader).rows) for reader in (1, 2, 3, 4)] == [1, 0, 1, 1]


def test_a_forgotten_reader_leaves_nothing_and_the_place_is_used_again() -> None:
    histories = Histories(ProfileConfig(max_readers=1))
    histories.opened(1, 5, 1.0)
    histories.hide(1, 9)
    histories.forget(1)
    histories.opened(2, 6, 1.0)
    assert histories.of(1).rows.tolist() == []
    assert histories.of(1).hidden == frozenset()
    assert histories.of(2).rows.tolist() == [6]


def test_histories_survive_a_restart() -> None:
    histories, again = Histories(ProfileConfig()), Histories(ProfileConfig())
    for reader in range(50):
        histories.opened(reader, reader + 1, float(reader))
    histories.hide(3, 77)
    again.restore(histories.state())
    again.opened(3, 5, 100.0)
    assert again.of(3).rows.tolist() == [5, 4]
    assert again.of(3).hidden == frozenset([77])
    assert len(again) == 50


def test_a_time_is_kept_to_a_sixteenth_of_a_second_and_a_large_row_exactly() -> None:
    """Two openings of a reader within one sixteenth stand in the order in which they came."""
    histories, row, at = Histories(ProfileConfig()), 200_000_000, 1_790_000_000.3
    histories.opened(1, row, at)
    histories.opened(1, 5, at - 0.04)
    histories.opened(1, 6, at - 0.2)
    state = histories.state()
    assert state["reader_rows"][0, :4].tolist() == [5, row, 6, -1]
    assert state["reader_ts"][0, :3] == pytest.approx([at, at, at - 0.2], abs=1 / 16)
    assert np.isneginf(state["reader_ts"][0, 3])


def test_a_trail_ends_at_the_first_long_pause() -> None:
    histories, at = Histories(ProfileConfig()), 1_790_000_000.0
    for row, ago in enumerate((7000, 6000, 3000, 2000, 0, -50)):
        histories.opened(1, row, at - ago)
    assert histories.trail(1, at, 2500).tolist() == [4, 3, 2]
    assert histories.trail(1, at, 7000).tolist() == [4, 3, 2, 1, 0]
    assert histories.trail(1, at + 100, 40).tolist() == []
    assert histories.trail(2, at, 40).tolist() == []


def test_a_reader_takes_less_than_a_kilobyte_and_no_growth_copies_what_there_is() -> None:
    """An allocation is what a request could wait for."""
    tracemalloc.start()
    histories, most = Histories(ProfileConfig(max_readers=50_000)), 0
    before, _ = tracemalloc.get_traced_memory()
    for key in range(20_000):
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        histories.opened(key * 0x9E3779B97F4A7C15 % (1 << 64), key % 7, 1e9)
        most = max(most, tracemalloc.get_traced_memory()[1] - held)
    each = (tracemalloc.get_traced_memory()[0] - before) / 20_000
    tracemalloc.stop()
    assert each < 700
    assert most < 1_000_000


def test_users_and_sessions_of_one_name_are_two_readers() -> None:
    assert reader_key("u:1") != reader_key("s:1")
