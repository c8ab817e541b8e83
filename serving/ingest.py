"""Natural group commit: whatever queued during the last commit is the next transaction.

A request is answered only after its events are durable and the live state has counted them.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys.errors import StoreError
from recsys.schemas import Event
from recsys.store import Store

Committed = list[tuple[int, Event]]


class OverloadedError(Exception):
    """More events are waiting than the queue holds; try again shortly."""


@dataclass(slots=True)
class _Waiting:
    events: Sequence[Event]
    future: "asyncio.Future[list[int | None]]"


class GroupCommitter:
    """Writes events of many requests in shared transactions, in one thread.

    Args:
        store: where to.
        on_commit: called in the event loop with (seq, event) of what is new, before the waiting
            requests are answered.
        max_waiting: events that may wait before ``OverloadedError``.
    """

    def __init__(
        self, store: Store, on_commit: Callable[[Committed], None], max_waiting: int = 50_000
    ) -> None:
        self.commits = self.events = self.duplicates = 0
        self.last_commit_seconds = 0.0
        self._store, self._on_commit, self._max = store, on_commit, max_waiting
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._wake = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Events that are not yet durable."""
        return self._waiting

    async def submit(self, events: Sequence[Event]) -> list[int | None]:
        """Sequence numbers once everything is durable, None for what was stored before.

        Raises:
            OverloadedError: the queue is full.
            StoreError: the store refused; nothing of this call is stored.
        """
        if not events:
            return []
        future: asyncio.Future[list[int | None]] = self._loop.create_future()
        with self._wake:
            if self._closing or self._waiting + len(events) > self._max:
                raise OverloadedError
            self._queue.append(_Waiting(events, future))
            self._waiting += len(events)
            self._wake.notify()
        return await future

    async def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                batch = list(self._queue)
                self._queue.clear()
            if not batch:
                return
            self._commit(batch)
            with self._wake:
                self._waiting -= sum(len(item.events) for item in batch)

    def _commit(self, batch: list[_Waiting]) -> None:
        started = time.perf_counter()
        try:
            numbers = self._store.append_events([event for item in batch for event in item.events])
        except Exception as error:  # this thread outlives whatever a store may raise
            self._one_by_one(batch, error)
            return
        self.last_commit_seconds = time.perf_counter() - started
        self._loop.call_soon_threadsafe(self._resolve, batch, numbers)

    def _one_by_one(self, batch: list[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            self._loop.call_soon_threadsafe(self._fail, batch[0], error)
            return
        for item in batch:
            self._commit([item])

    def _fail(self, item: _Waiting, error: Exception) -> None:
        if not item.future.done():
            told = error if isinstance(error, StoreError) else StoreError(f"cannot write events: {error!r}")
            item.future.set_exception(told)

    def _resolve(self, batch: list[_Waiting], numbers: list[int | None]) -> None:
        events = [event for item in batch for event in item.events]
        fresh = [(seq, event) for seq, event in zip(numbers, events, strict=True) if seq is not None]
        self.commits += 1
        self.events += len(fresh)
        self.duplicates += len(numbers) - len(fresh)
        try:
            self._on_commit(fresh)
        finally:
            start = 0
            for item in batch:
                if not item.future.done():
                    item.future.set_result(numbers[start : start + len(item.events)])
                start += len(item.events)
