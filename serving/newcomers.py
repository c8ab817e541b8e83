"""Articles that were put, changed or removed, on their way from the store into the lists.

Whoever wrote them, they come through the store in the order of its numbers, so that every worker
holds the same. Embedding and comparing run in a thread; only putting in place runs in the event loop.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from recsys.arrivals import Arrivals, apply_all, at_once
from recsys.errors import EmbedderError, RecsysError, StoreError
from recsys.schemas import Article
from recsys.state import State
from recsys.store import Store, StoredArticle
from serving.clock import Clock
from serving.served import Served
from serving.telemetry import Telemetry
from serving.vectors import Vectors

log = logging.getLogger("recsys.serving")
# more than these at once are listed first and embedded afterwards
EMBEDDED_FIRST = 16
_CHUNK = 8
_READ_AT_ONCE = 500
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
Pairs = list[tuple[Article, NDArray[np.float32] | None]]


class Newcomers:
    """Brings changed articles of the store into a state.

    Args:
        store: followed.
        vectors: embed what is new.
        clock: the service's.
        telemetry: is told how long articles took, and what failed.

    Attributes:
        lock: whoever applies articles, or exchanges the bundle in service, holds it.
    """

    def __init__(self, store: Store, vectors: Vectors, clock: Clock, telemetry: Telemetry) -> None:
        self._store, self._vectors = store, vectors
        self._clock, self._telemetry = clock, telemetry
        self.lock = asyncio.Lock()
        self._from_the_end = os.getpid() % 2 == 1
        self._chunk, self._pause, self._retry_at = _CHUNK, _SHORTEST_PAUSE, 0.0

    @property
    def is_failing(self) -> bool:
        """Whether the embedder failed at its last attempt."""
        return self._pause > _SHORTEST_PAUSE

    def fill(self, served: Served) -> None:
        """All changes of the store into a state that is not in service yet; what is missing is embedded."""
        while changes := self._store.changes_after(served.article_seq):
            articles = [change.article for change in changes if change.article is not None]
            found, missing = self._vectors.known(articles, served)
            for start in range(0, len(missing), EMBEDDED_FIRST):
                part = missing[start : start + EMBEDDED_FIRST]
                try:
                    found |= self._vectors.compute(part, served)
                except RecsysError as error:
                    self._failed(error)
                    self._wait(served, changes, {article.article_id for article in missing[start:]})
                    break
            pairs, gone = _sorted_out(served, changes, found)
            apply_all(served.state, pairs)
            for article_id in gone:
                served.state.remove_article(article_id)
            served.article_seq = changes[-1].seq

    async def catch_up(self, served: Served) -> None:
        """Everything that the store holds into a state; the lock is held."""
        while changes := await asyncio.to_thread(
            self._store.changes_after, served.article_seq, _READ_AT_ONCE
        ):
            articles = [change.article for change in changes if change.article is not None]
            found, missing = await asyncio.to_thread(self._vectors.known, articles, served)
            if 0 < len(missing) <= EMBEDDED_FIRST:
                found |= await self._embedded(missing, served)
                missing = [article for article in missing if article.article_id not in found]
            self._wait(served, changes, {article.article_id for article in missing})
            await self._take(served, changes, found)

    async def embed_waiting(self, served: Served) -> None:
        """Embed a few of the articles that wait; the lock is held."""
        if not served.waiting or self._clock.now() < self._retry_at:
            return
        # workers of one service begin at different ends, and find the other's vectors in the store
        names = reversed(served.waiting) if self._from_the_end else iter(served.waiting)
        part = [served.waiting[name] for name in islice(names, self._chunk)]
        articles = [change.article for change in part if change.article is not None]
        found, missing = await asyncio.to_thread(self._vectors.known, articles, served)
        if missing:
            found |= await self._embedded(missing, served)
        done = [change for change in part if change.article_id in found]
        pairs: Pairs = [(c.article, found[c.article_id]) for c in done if c.article is not None]
        await self._apply(served.state, pairs)
        for change in done:
            del served.waiting[change.article_id]
            self._observe(change)

    async def _embedded(self, articles: Sequence[Article], served: Served) -> dict[str, NDArray[np.float32]]:
        try:
            found = await asyncio.to_thread(self._vectors.compute, articles, served)
        except (EmbedderError, StoreError) as error:
            self._failed(error)
            # one article may be at fault: the next attempts go one by one, this one comes last
            self._chunk = 1
            names = {article.article_id for article in articles}
            tried = {name: change for name, change in served.waiting.items() if name in names}
            others = {name: change for name, change in served.waiting.items() if name not in names}
            served.waiting.clear()
            for part in (tried, others) if self._from_the_end else (others, tried):
                served.waiting.update(part)
            return {}
        self._chunk, self._pause = _CHUNK, _SHORTEST_PAUSE
        return found

    def _failed(self, error: Exception) -> None:
        self._telemetry.embedding_failures.inc()
        log.warning("embedding_failed", extra={"reason": str(error), "again_in_s": self._pause})
        self._retry_at = self._clock.now() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _wait(self, served: Served, changes: Sequence[StoredArticle], names: set[str]) -> None:
        for change in changes:
            served.waiting.pop(change.article_id, None)
            if change.article_id in names:
                served.waiting[change.article_id] = change

    async def _take(
        self,
        served: Served,
        changes: Sequence[StoredArticle],
        vectors: dict[str, NDArray[np.float32]],
    ) -> None:
        """Changes into the state, in their order, a few at a time."""
        step = min(at_once(served.state), EMBEDDED_FIRST)
        for start in range(0, len(changes), step):
            part = changes[start : start + step]
            pairs, gone = _sorted_out(served, part, vectors)
            for article_id in gone:
                served.state.remove_article(article_id)
            await self._apply(served.state, pairs)
            served.article_seq = part[-1].seq
            for change in part:
                if change.article_id not in served.waiting:
                    self._observe(change)

    async def _apply(self, state: State, pairs: Pairs) -> None:
        if not pairs:
            return
        arrivals = Arrivals(state, pairs)
        await asyncio.to_thread(arrivals.compare)
        for number in range(len(pairs)):
            arrivals.apply(number, await asyncio.to_thread(arrivals.plan, number))

    def _observe(self, change: StoredArticle) -> None:
        self._telemetry.publish.observe(max(0.0, self._clock.now() - change.at.timestamp()))


def _sorted_out(
    served: Served, changes: Sequence[StoredArticle], vectors: dict[str, NDArray[np.float32]]
) -> tuple[Pairs, list[str]]:
    """Articles with their vectors, and the ids of removed ones."""
    state = served.state
    pairs: Pairs = []
    for change in changes:
        if change.article is None:
            continue
        vector = vectors.get(change.article_id)
        row = state.catalog.row(change.article_id)
        if change.article_id in served.waiting and row is not None and row < len(state.index):
            # the vector of its earlier text says more than none
            vector = state.index.take(np.array([row]))[0] if state.index.has[row] else None
        pairs.append((change.article, vector))
    return pairs, [change.article_id for change in changes if change.article is None]
