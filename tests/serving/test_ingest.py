"""The committing thread, whatever a store throws at it."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from recsys.errors import StoreError
from recsys.schemas import Event
from recsys.store.sqlite import SqliteStore
from serving.ingest import Committed, GroupCommitter, OverloadedError
from tests.builders import event


class Choking(SqliteStore):
    """A store that fails in a way nobody foresaw on one event."""

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        if any(item.event_id == "poison" for item in events):
            raise OverflowError("a number too large for the file")
        return super().append_events(events)


async def submit_three(store: SqliteStore) -> tuple[list[object], list[str]]:
    told: list[str] = []

    def note(committed: Committed) -> None:
        told.extend(item.event_id for _, item in committed)

    committer = GroupCommitter(store, note)
    calls = [committer.submit([event(name, "a", "r")]) for name in ("before", "poison", "after")]
    results = await asyncio.gather(*calls, return_exceptions=True)
    results.append(await committer.submit([event("later", "a", "r")]))
    await committer.close()
    return results, told


def test_an_event_that_a_store_chokes_on_harms_no_other_and_stops_nothing(tmp_path: Path) -> None:
    store = Choking(str(tmp_path / "s.db"))
    results, told = asyncio.run(submit_three(store))
    assert [results[0], results[2], results[3]] == [[1], [2], [3]]
    assert isinstance(results[1], StoreError)
    assert told == ["before", "after", "later"]
    store.close()


def test_an_event_twice_in_one_commit_has_one_number(tmp_path: Path) -> None:
    async def twice(store: SqliteStore) -> list[list[int | None]]:
        committer = GroupCommitter(store, lambda _: None)
        found = await asyncio.gather(*[committer.submit([event("same", "a", "r")]) for _ in range(3)])
        await committer.close()
        return found

    store = SqliteStore(str(tmp_path / "s.db"))
    assert sorted(asyncio.run(twice(store)), key=str) == [[1], [None], [None]]
    store.close()


def test_a_closed_committer_takes_nothing(tmp_path: Path) -> None:
    async def late(store: SqliteStore) -> None:
        committer = GroupCommitter(store, lambda _: None)
        await committer.close()
        await committer.submit([event("late", "a", "r")])

    store = SqliteStore(str(tmp_path / "s.db"))
    with pytest.raises(OverloadedError):
        asyncio.run(late(store))
    assert store.last_event_seq() == 0
    store.close()


class Slow(SqliteStore):
    """A store that takes its time."""

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        time.sleep(0.2)
        return super().append_events(events)


def test_a_slow_store_holds_up_only_who_waits_for_it_and_its_queue_is_bounded(tmp_path: Path) -> None:
    async def crowd(store: SqliteStore) -> tuple[int, list[object]]:
        committer, turns = GroupCommitter(store, lambda _: None, max_waiting=50), 0
        calls = [asyncio.create_task(committer.submit([event(f"e{n}", "a", "r")])) for n in range(60)]
        while not all(call.done() for call in calls):
            await asyncio.sleep(0.001)
            turns += 1
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert committer.waiting == 0
        await committer.close()
        return turns, list(results)

    store = Slow(str(tmp_path / "s.db"))
    turns, results = asyncio.run(crowd(store))
    assert turns > 20
    assert sum(isinstance(result, OverloadedError) for result in results) == 10
    assert store.last_event_seq() == 50
    store.close()


class Locked(SqliteStore):
    """A store that somebody else has locked."""

    tries = 0

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        self.tries += 1
        raise StoreError("database is locked")


def test_a_locked_store_is_asked_once_for_all_who_wait(tmp_path: Path) -> None:
    async def crowd(store: SqliteStore) -> list[object]:
        committer = GroupCommitter(store, lambda _: None)
        calls = [committer.submit([event(f"e{n}", "a", "r")]) for n in range(30)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        await committer.close()
        return list(results)

    store = Locked(str(tmp_path / "s.db"))
    assert all(isinstance(result, StoreError) for result in asyncio.run(crowd(store)))
    assert store.tries == 1
    store.close()
