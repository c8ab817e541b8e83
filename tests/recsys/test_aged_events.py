"""Events that have left the SQLite file for daily Parquet: nothing but their place has changed."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recsys.schemas import Event
from recsys.store.sqlite import SqliteStore
from tests.builders import NOW, article, event
from tests.contracts.contents import CONTENTS_CHECKS
from tests.contracts.stores import CHECKS

ROOT = Path(__file__).parents[2]
Seen = dict[str, object]


def made(count: int = 300, days: float = 6.0) -> list[Event]:
    """Events of some days in an order of their own, every third of a user."""
    return [
        event(f"e{at}", f"a{at % 7}", minutes_ago=1440.0 * days * (at * 131 % count) / count, value=at / 7)
        if at % 3
        else event(f"e{at}", "a", minutes_ago=1440.0 * days * (at * 131 % count) / count).model_copy(
            update={"user_id": f"u{at % 2}", "trust": 0.1, "position": 3}
        )
        for at in range(count)
    ]


def seen(store: SqliteStore) -> Seen:
    """All that can be read of events."""
    since, until = NOW - timedelta(days=3.3), NOW - timedelta(days=1.2)
    with store.snapshot() as snapshot:
        return {
            "by time": list(store.iter_events()),
            "a span": list(store.iter_events(since, until, 200)),
            "by number": store.events_after(0),
            "some": store.events_after(40, 30),
            "snapshot": list(snapshot.events()),
            "snapshot by time": list(snapshot.events_by_time(since)),
            "count": snapshot.counts()["events"],
            "last": store.last_event_seq(),
        }


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(str(tmp_path / "s.db"))
    store.append_events(made())
    return store


def rows_left(store: SqliteStore) -> int:
    return int(store._read("SELECT count(*) FROM events")[0][0])


def test_what_is_read_is_the_same_and_the_file_is_smaller(store: SqliteStore, tmp_path: Path) -> None:
    before = seen(store)
    moved = store.age_events(NOW - timedelta(days=2))
    assert moved == 300 - rows_left(store) > 150
    assert seen(store) == before
    files = sorted((tmp_path / "s.db.events").glob("*.parquet"))
    assert [path.name for path in files] == [f"2026-02-{day}.parquet" for day in (23, 24, 25, 26)]
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in files) == moved
    assert store.age_events(NOW - timedelta(days=2)) == 0
    assert store.age_events(NOW + timedelta(days=2)) == 300 - moved
    assert (rows_left(store), seen(store)) == (0, before)
    (seq,) = store.append_events([event("new", "a")])
    assert seq == 301
    assert [found.event_id for _, found in store.events_after(300)] == ["new"]


def test_an_event_that_is_sent_again_is_a_duplicate_wherever_the_first_is(store: SqliteStore) -> None:
    store.age_events(NOW - timedelta(days=2))
    late = event("late", "a", minutes_ago=1440.0 * 5)
    numbers = store.append_events([*made(), late, late, event("new", "b")])
    assert [number is None for number in numbers] == [*[True] * 300, False, True, False]
    store.age_events(NOW - timedelta(days=2))
    assert store.append_events([late, event("new", "b")]) == [None, None]
    assert store.age_events(NOW - timedelta(days=2)) == 0


def test_late_events_join_the_file_of_their_day(store: SqliteStore, tmp_path: Path) -> None:
    store.age_events(NOW - timedelta(days=2))
    store.append_events([event(f"late{at}", "a", minutes_ago=1440.0 * 4 + at) for at in range(5)])
    before = seen(store)
    assert store.age_events(NOW - timedelta(days=2)) == 5
    assert seen(store) == before
    assert len(list((tmp_path / "s.db.events").glob("*.parquet"))) == 4


def test_a_forgotten_user_is_in_no_file_and_a_snapshot_keeps_its_moment(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.age_events(NOW - timedelta(days=2))
    with store.snapshot() as snapshot:
        assert store.forget("u1").events == 50
        assert len(list(snapshot.events())) == 300
    assert {found.user_id for found in store.iter_events()} == {None, "u0"}
    assert store.forget("u1").events == 0
    held = [path for path in (tmp_path / "s.db.events").rglob("*") if path.suffix == ".parquet"]
    assert not [path for path in held if "u1" in pq.read_table(path).column("user_id").to_pylist()]
    assert len(seen(store)["by number"]) == 250  # type: ignore[arg-type]


class AgingStore(SqliteStore):
    """Moves every event at once."""

    def append_events(self, events: object) -> list[int | None]:
        """As a store that moves nothing."""
        found = super().append_events(events)  # type: ignore[arg-type]
        self.age_events(NOW + timedelta(days=1000))
        return found

    def restore(self, contents: object) -> None:
        """As a store that moves nothing."""
        super().restore(contents)  # type: ignore[arg-type]
        self.age_events(NOW + timedelta(days=1000))


@pytest.mark.parametrize("check", CHECKS + CONTENTS_CHECKS, ids=lambda check: check.__name__)
def test_a_store_whose_events_have_all_left_keeps_the_contract(
    check: Callable[[SqliteStore], None], tmp_path: Path
) -> None:
    store = AgingStore(str(tmp_path / "s.db"))
    check(store)
    store.close()


def test_one_process_moves_at_a_time(store: SqliteStore, tmp_path: Path) -> None:
    other = SqliteStore(str(tmp_path / "s.db"))
    with other._aged.moving() as mine:
        assert mine
        assert store.age_events(NOW) == 0
    assert store.age_events(NOW) > 0


MOVER = """
import os, sys
from datetime import timedelta
from recsys.store import sqlite_events
from recsys.store.sqlite import SqliteStore
from tests.builders import NOW
store, left = SqliteStore(sys.argv[1]), int(sys.argv[2])
sqlite_events._MOVED_AT_ONCE = 40
def trace(frame, what, _):
    global left
    if not frame.f_code.co_filename.endswith(("aged.py", "sqlite_events.py", "sqlite.py")):
        return None
    left -= what == "line"
    if left <= 0:
        os.kill(os.getpid(), 9)
    return trace
sys.settrace(trace)
if sys.argv[3] == "move":
    store.age_events(NOW - timedelta(days=2))
else:
    store.forget("nobody" if sys.argv[3] == "forget" else "u1")
"""


def moved_to_pieces(store: SqliteStore, tmp_path: Path, lines: list[int]) -> None:
    before = seen(store)
    for at in lines:
        command = [sys.executable, "-c", MOVER, str(tmp_path / "s.db"), str(at), "move"]
        done = subprocess.run(command, cwd=ROOT, check=False)
        assert done.returncode in (0, -signal.SIGKILL)
        assert seen(store) == before
        assert store.append_events(made()) == [None] * 300
    store.age_events(NOW - timedelta(days=2))
    assert seen(store) == before
    names = {part[0] for part in store._read("SELECT file FROM aged")}
    assert {path.name for path in (tmp_path / "s.db.events").glob("*.parquet")} == names


def test_a_mover_that_is_killed_loses_and_doubles_nothing(store: SqliteStore, tmp_path: Path) -> None:
    moved_to_pieces(store, tmp_path, [40, 55, 70, 90])


@pytest.mark.slow
def test_a_mover_that_is_killed_at_any_line_loses_and_doubles_nothing(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.put_articles([article("a")], NOW)
    moved_to_pieces(store, tmp_path, list(range(1, 400, 4)))
