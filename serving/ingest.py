"""Natural group commit: whatever queued during the last commit is the next transaction.

A request is answered only after its events are durable and the live state has counted them. The queue
belongs to the event loop and goes to the writing thread as a whole: a thread that woke for every event
would take the interpreter from the requests that are about to bring the next ones.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

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


_Outcome = tuple[list[_Waiting], list[int | None] | Exception]


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
        self._queue: list[_Waiting] = []
        self._waiting = 0
        self._work: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._is_writing = self._closing = False
        self._idle = asyncio.Event()
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
        if self._closing or self._waiting + len(events) > self._max:
            raise OverloadedError
        if not self._queue:
            # requests that are ready too come along
            self._loop.call_soon(self._hand_over)
        future: asyncio.Future[list[int | None]] = self._loop.create_future()
        self._queue.append(_Waiting(events, future))
        self._waiting += len(events)
        return await future

    async def close(self) -> None:
        """Finish what is queued, then stop."""
        self._closing = True
        if self._waiting:
            await self._idle.wait()
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        if self._queue and not self._is_writing:
            self._is_writing = True
            self._work.put(self._queue)
            self._queue = []

    def _written(self, batch: list[_Waiting]) -> None:
        self._waiting -= sum(len(item.events) for item in batch)
        self._is_writing = False
        self._hand_over()
        if self._closing and not self._waiting:
            self._idle.set()

    def _run(self) -> None:
        while (batch := self._work.get()) is not None:
            told = self._commit(batch)
            self._loop.call_soon_threadsafe(self._told, batch, told)

    def _commit(self, batch: list[_Waiting]) -> list[_Outcome]:
        """What became of a batch, part by part; never raises: this thread outlives what a store may do."""
        started = time.perf_counter()
        try:
            numbers = self._store.append_events([event for item in batch for event in item.events])
        except StoreError as error:
            # locked, full or broken: the same for each, and each would wait for it again
            return [([item], error) for item in batch]
        except Exception as error:
            if len(batch) == 1:
                return [(batch, error)]
            # one event that the store chokes on harms no other
            return [told for item in batch for told in self._commit([item])]
        self.last_commit_seconds = time.perf_counter() - started
        return [(batch, numbers)]

    def _told(self, batch: list[_Waiting], outcomes: list[_Outcome]) -> None:
        # the next batch is written while the answers of this one are
        self._written(batch)
        for part, outcome in outcomes:
            if isinstance(outcome, Exception):
                self._fail(part[0], outcome)
            else:
                self._resolve(part, outcome)

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
