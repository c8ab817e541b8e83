"""Served lists that a state must know before the clicks in them: own, other workers', earlier ones."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from recsys.schemas import Exposure
from recsys.state import State
from recsys.store import Store

_EARLIER = timedelta(hours=1)


class ListsBefore:
    """Lists of the store, remembered as far as events were replayed.

    Args:
        state: remembers them; where it does not want them, the store is not asked.
        store: holds them.
        since: of the first event, None for all.
    """

    def __init__(self, state: State, store: Store, since: datetime | None) -> None:
        self._state = state
        begin = None if since is None else since - _EARLIER
        self._lists: Iterator[Exposure] = iter(())
        if state.expected is not None:
            self._lists = store.iter_exposures(begin)
        self._next = next(self._lists, None)

    def upto(self, ts: datetime | None) -> None:
        """Remember the lists that were served until ``ts``, None for all."""
        while self._next is not None and (ts is None or self._next.ts <= ts):
            self._state.remember_list(self._next)
            self._next = next(self._lists, None)


class ListsOfOthers:
    """Lists that other workers write, remembered as they come.

    Args:
        store: that they write to.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cursor: str | None = None

    async def catch_up(self, state: State) -> None:
        """Remember what was written since the last call, the first time nothing."""
        if state.expected is None:
            self._cursor = None
        elif self._cursor is None:
            self._cursor = await asyncio.to_thread(self._store.exposures_end)
        else:
            found, self._cursor = await asyncio.to_thread(self._store.exposures_after, self._cursor)
            for shown in found:
                state.remember_list(shown)
