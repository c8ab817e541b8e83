"""The committing thread, whatever a store throws at it."""

import asyncio
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
