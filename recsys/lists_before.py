"""Served lists that a state must know before the clicks in them, as a log is replayed."""

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
