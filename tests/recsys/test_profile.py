"""What readers opened lately."""

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
    histories = Histories(ProfileConfig(), readers=1)
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


def test_users_and_sessions_of_one_name_are_two_readers() -> None:
    assert reader_key("u:1") != reader_key("s:1")
