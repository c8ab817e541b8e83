"""Lists that other workers serve, and clicks of which this one may count."""

import asyncio
from collections.abc import Sequence

from recsys.state import State
from recsys.store import Store


class ListsOfOthers:
    """Lists that other workers write, remembered as they come.

    Args:
        store: that they write to.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cursor: str | None = None

    async def catch_up(self, states: Sequence[State]) -> None:
        """Remember what was written since the last call, the first time nothing."""
        states = [state for state in states if state.expected is not None]
        if not states:
            self._cursor = None
        elif self._cursor is None:
            self._cursor = await asyncio.to_thread(self._store.exposures_end)
        else:
            found, self._cursor = await asyncio.to_thread(self._store.exposures_after, self._cursor)
            for shown in found:
                for state in states:
                    state.remember_list(shown)
