"""What stands in the store, followed as a service follows it."""

from collections.abc import Sequence
from datetime import datetime

from recsys.schemas import Article
from recsys.store import Store
from training.sync.entries import article_id_of, url_key

_BATCH = 500


class Catalogue:
    """Ids and URLs of a store's articles, and the changes that a sync makes.

    Args:
        store: of the running service; its own writer does the work.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._seq = store, 0
        self._stands: dict[str, bool] = {}
        self._by_url: dict[str, str] = {}

    def follow(self) -> None:
        """Take in what changed since the last call."""
        while changes := self._store.articles_after(self._seq):
            for seq, article_id, article in changes:
                self._seq = seq
                self._stands[article_id] = article is not None
                if article is not None and article.url:
                    self._by_url[url_key(article.url)] = article_id

    def knows(self, article_id: str) -> bool:
        """Whether it stands there, or did before it was removed."""
        return article_id in self._stands

    def stands(self, article_id: str) -> bool:
        """Whether it is there."""
        return self._stands.get(article_id, False)

    def id_of(self, key: str, url: str | None) -> str:
        """The id of an article: that of the same key, else of the same URL, else a new one."""
        own = article_id_of(key)
        if own in self._stands or url is None:
            return own
        return self._by_url.get(url_key(url), own)

    def get(self, article_id: str) -> Article | None:
        """The article as it stands."""
        return self._store.get_article(article_id)

    def put(self, articles: Sequence[Article], at: datetime) -> None:
        """Insert or replace."""
        for start in range(0, len(articles), _BATCH):
            self._store.put_articles(articles[start : start + _BATCH], at)

    def remove(self, article_ids: Sequence[str], at: datetime) -> None:
        """Remove; lists are without them on the next request."""
        for article_id in article_ids:
            self._store.delete_article(article_id, at)
