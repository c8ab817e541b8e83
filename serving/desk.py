"""Articles that come, change and go while the service runs."""

import asyncio
from collections.abc import Sequence

from recsys.schemas import Article
from recsys.snapshot import find_article
from recsys.store import Store
from serving.clock import Clock
from serving.live import Live
from serving.telemetry import Telemetry
from serving.vectors import Vectors


class Desk:
    """Takes articles: durable first, then in every list they belong in, then answered.

    Args:
        store: where they are kept.
        live: the lists.
        vectors: embed them.
        clock: for times of receipt.
        telemetry: is told how long it took.
    """

    def __init__(
        self, store: Store, live: Live, vectors: Vectors, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._store, self._live, self._vectors = store, live, vectors
        self._clock, self._telemetry = clock, telemetry

    async def put(self, articles: Sequence[Article]) -> list[Article]:
        """Store articles, then let every list have them."""
        started = self._clock.now()
        vectors = await asyncio.to_thread(self._vectors.of, articles, self._live.served.state)
        known = [await self.find(a.article_id) if a.published_at is None else None for a in articles]
        articles = [
            article.model_copy(update={"published_at": before.published_at})
            if before is not None and article.published_at is None
            else article
            for article, before in zip(articles, known, strict=True)
        ]
        stored = await asyncio.to_thread(self._store.put_articles, articles, self._clock.instant())
        for article in stored:
            self._live.served.state.apply_article(article, vectors.get(article.article_id))
        self._telemetry.publish.observe(max(0.0, self._clock.now() - started))
        return stored

    async def delete(self, article_id: str) -> bool:
        """Take an article out of every list; False where there was none."""
        state = self._live.served.state
        row = state.catalog.row(article_id)
        known = row is not None and state.catalog.is_known(row)
        found = await asyncio.to_thread(self._store.delete_article, article_id, self._clock.instant())
        self._live.served.state.remove_article(article_id)
        return found or known

    async def find(self, article_id: str) -> Article | None:
        """The whole article as it stands, from the store or the bundle."""
        stored = await asyncio.to_thread(self._store.get_article, article_id)
        if stored is not None:
            return stored
        if await asyncio.to_thread(self._store.is_deleted, article_id):
            return None
        return await asyncio.to_thread(find_article, self._live.served.bundle, article_id)
