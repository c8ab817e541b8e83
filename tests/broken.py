"""Doubles that are wrong on purpose: each contract suite must be seen red against one of them."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from recsys.index import ExactIndex
from recsys.schemas import Article, Event
from recsys.store.sqlite import SqliteStore


class ForgetfulStore(SqliteStore):
    """Acknowledges repeated events again, and loses deletions."""

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        """Wrong: every event is called new."""
        return [seq if seq is not None else 1 for seq in super().append_events(events)]

    def delete_article(self, article_id: str, at: datetime) -> bool:
        """Wrong: nothing is deleted."""
        return True

    def put_articles(self, articles: Sequence[Article], at: datetime) -> list[Article]:
        """Wrong: the first receipt is not kept as the date of an undated article."""
        super().put_articles(articles, at)
        return list(articles)


class LateFilterIndex(ExactIndex):
    """Filters after the cut, so that filtered searches come back short."""

    def search(
        self, query: NDArray[np.float32], n: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Wrong: the best n first, the filter afterwards."""
        rows, cosines = super().search(query, n)
        kept = np.ones(len(rows), bool) if allowed is None else allowed[rows]
        return rows[kept], cosines[kept]


class UnsteadyEmbedder:
    """Vectors that are no unit vectors and depend on the batch."""

    model_id = "broken"
    dimensions = 8

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Wrong: length and neighbours in the batch leak into the vector."""
        return np.array([[len(text) + at] * 8 for at, text in enumerate(texts)], dtype=np.float32).reshape(
            -1, 8
        )
