"""Everything a store holds, as rows: what a backup is made of, and what fills an empty store."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.errors import UsageError
from recsys.schemas import Article, Event, Exposure

TABLES = ("articles", "events", "experiments", "exposures", "rules", "vectors")


class NotEmptyError(UsageError):
    """A store that should be filled holds something already."""


class StoredArticle(NamedTuple):
    """An article or, with None, the tombstone that stands in its place.

    Attributes:
        seq: place in the order of changes.
        article_id: also of a tombstone.
        at: when the last change was received.
        article: as it stands.
    """

    seq: int
    article_id: str
    at: datetime
    article: Article | None


class Contents(Protocol):
    """The rows of every table, each in an order that follows from the rows alone, in bounded memory."""

    def articles(self) -> Iterator[StoredArticle]:
        """Articles and tombstones in the order of their last change."""

    def events(self) -> Iterator[tuple[int, Event]]:
        """Events with their sequence numbers, in that order."""

    def exposures(self) -> Iterator[Exposure]:
        """Served lists by time, then request id, then surface (ids by their UTF-8 bytes)."""

    def rules(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Every version of the editors' rules, the oldest first."""

    def experiments(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Experiments by number, each with the version at which it changed last."""

    def vectors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Embeddings by text digest, in the order of the digests."""


class Snapshot(Contents, Protocol):
    """A store at one moment: what is written later is not in it, whoever writes."""

    def counts(self) -> dict[str, int]:
        """Number of rows by table, one entry for each of ``TABLES``."""

    def events_by_time(self, since: datetime | None = None) -> Iterator[Event]:
        """Events with since <= ts by time, ties in the order of their commit."""

    def exposures(self, since: datetime | None = None) -> Iterator[Exposure]:
        """As in ``Contents``, those with since <= ts."""
