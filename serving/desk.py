"""Articles that come, change and go while the service runs."""

import asyncio
from collections.abc import Sequence

from recsys.schemas import Article
from recsys.snapshot import find_article
from recsys.store import Store
from serving.clock import Clock
from serving.live import Live


class Desk:
    """Takes articles: durable first, then in every list they belong in, then answered.

    Args:
        store: where they are kept.
        live: the lists.
        clock: for times of receipt.
    """

    def __init__(self, store: Store, live: Live, clock: Clock) -> None:
        self._store, self._live, self._clock = store, live, clock

    async def put(self, articles: Sequence[Article]) -> list[Article]:
        """Store articles, then let every list have them.

        Where the embedder fails they are listed all the same, and in lists by topic once it works again.
        """
        received = self._clock.instant()
        articles = [await self._dated(article) for article in articles]
        stored = await asyncio.to_thread(self._store.put_articles, articles, received)
        await self._live.take_articles({article.article_id for article in stored})
        return stored

    async def _dated(self, article: Article) -> Article:
        """An article without a date keeps the one it had."""
        if article.published_at is not None:
            return article
        before = await self.find(article.article_id)
        if before is None or before.published_at is None:
            return article
        return article.model_copy(update={"published_at": before.published_at})

    async def delete(self, article_id: str) -> bool:
        """Take an article out of every list; False where there was none."""
        known = self._is_known(article_id)
        found = await asyncio.to_thread(self._store.delete_article, article_id, self._clock.instant())
        await self._live.take_articles(set())
        return found or known

    async def find(self, article_id: str) -> Article | None:
        """The whole article as it stands, from the store or the bundle."""
        stored = await asyncio.to_thread(self._store.get_article, article_id)
        if stored is not None:
            return stored
        # what the catalogue does not know need not be looked for in the bundle's files
        if not self._is_known(article_id) or await asyncio.to_thread(self._store.is_deleted, article_id):
            return None
        return await asyncio.to_thread(find_article, self._live.served.bundle, article_id)

    def _is_known(self, article_id: str) -> bool:
        catalog = self._live.served.state.catalog
        row = catalog.row(article_id)
        return row is not None and catalog.is_known(row)
