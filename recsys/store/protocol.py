"""What every store does, whatever it is made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.errors import StoreError
from recsys.exposed import Exposed
from recsys.schemas import Article, Event, Exposure
from recsys.store.contents import Contents, Snapshot, StoredArticle
from recsys.store.usage import Usage


class ConflictError(StoreError):
    """Somebody else changed the thing in the meantime."""


class Erased(NamedTuple):
    """How many rows of a user were erased."""

    events: int
    exposures: int


class Store(Protocol):
    """Events, exposures, articles, vectors and rules. Thread-safe; several processes may share one."""

    def append_events(self, events: Sequence[Event]) -> list[int | None]:
        """Store events durably; a sequence number each, None for one that was stored before."""

    def events_after(self, seq: int, limit: int = 10_000) -> list[tuple[int, Event]]:
        """Events in the order of their commit."""

    def iter_events(
        self, since: datetime | None = None, until: datetime | None = None, upto: int | None = None
    ) -> Iterator[Event]:
        """Events with since <= ts < until and a number of at most ``upto``, by time, in bounded memory."""

    def last_event_seq(self) -> int:
        """The highest sequence number, 0 without events."""

    def age_events(self, before: datetime) -> int:
        """Move events of the days before ``before`` to where they take less room; gives how many.

        Nothing else changes: they are read, counted, erased and known as repeated as before. At most one
        process moves at a time; another returns 0.
        """

    def append_exposures(self, exposures: Iterable[Exposure | Exposed]) -> None:
        """Store served lists; a repeated (request_id, surface) counts once."""

    def iter_exposures(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Exposure]:
        """Served lists with since <= ts < until by time, in bounded memory; ``Kept`` where more is known."""

    def exposures_after(self, cursor: str | None, limit: int = 10_000) -> tuple[list[Exposed], str]:
        """Served lists in the order of writing, for whoever follows what others write.

        Lists that are dated more than two hours before the newest are not followed.

        Args:
            cursor: from the last call or ``exposures_end``; None begins with the oldest.
            limit: no more is looked for once so many were found.

        Returns:
            The lists, and the cursor after them.
        """

    def exposures_end(self) -> str:
        """The cursor after all that is there now."""

    def find_exposures(self, request_id: str, near: datetime | None = None) -> list[Exposed]:
        """The lists of one answer.

        Args:
            request_id: of the answer.
            near: its time, give or take an hour; looked at first.
        """

    def trim_exposures(self, since: datetime | None, most_bytes: int) -> int:
        """Drop served lists of the oldest hours; gives how many lists.

        Args:
            since: lists of earlier hours go, those of some days at a time.
            most_bytes: that all may take.
        """

    def put_articles(self, articles: Sequence[Article], at: datetime) -> list[Article]:
        """Insert or replace; returns them as stored.

        A missing ``published_at`` becomes the time of the first receipt.
        """

    def delete_article(self, article_id: str, at: datetime) -> bool:
        """Leave a tombstone; False where there was no article."""

    def get_article(self, article_id: str) -> Article | None:
        """The article as it stands."""

    def is_deleted(self, article_id: str) -> bool:
        """Whether a tombstone stands in its place."""

    def articles_after(self, seq: int, limit: int = 10_000) -> list[tuple[int, str, Article | None]]:
        """Articles changed after ``seq``, as they stand now, None for a tombstone."""

    def changes_after(self, seq: int, limit: int = 10_000) -> list[StoredArticle]:
        """The same with the time at which each change was received."""

    def article_history(self, seq: int, upto: int) -> list[StoredArticle]:
        """Every change with seq < its number <= upto that is still known, superseded ones too, in order.

        What was superseded is kept for 90 days; a number that is missing is a version that aged out.
        """

    def put_vectors(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep embeddings by text digest."""

    def get_vectors(self, digests: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The embeddings that are there."""

    def get_rules(self) -> tuple[int, list[dict[str, Any]]]:
        """Version and editors' rules; version 0 before the first."""

    def put_rules(self, rules: Sequence[Mapping[str, Any]], expected_version: int | None) -> int:
        """Replace the rules; returns the new version.

        Raises:
            ConflictError: ``expected_version`` is not the one that stands.
        """

    def get_runs(self) -> tuple[int, list[dict[str, Any]]]:
        """Version and all experiments that were ever started, in that order; version 0 before the first.

        What a run holds: ``recsys/experiments/running.py``.
        """

    def put_runs(self, runs: Sequence[Mapping[str, Any]], expected_version: int) -> list[int]:
        """Add experiments that start (``number`` 0), replace what is known of others; gives their numbers.

        All or none.

        Raises:
            ConflictError: ``expected_version`` is not the one that stands.
        """

    def forget(self, user_id: str) -> Erased:
        """Erase a user's events and exposures for good; returns how many rows."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Everything as it stands at this moment, while others go on writing."""

    def restore(self, contents: Contents) -> None:
        """Fill this store, which is empty, with everything: all of it or nothing.

        Sequence numbers and versions are kept, so whoever follows the store goes on where they were.

        Raises:
            NotEmptyError: it holds something; nothing is changed.
        """

    def data_version(self) -> int:
        """Changes when another connection committed."""

    def changes(self) -> int:
        """Changes when any process of this host committed articles, rules or experiments.

        It costs under a microsecond.
        """

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def usage(self, since: datetime) -> Usage | None:
        """Room it takes, and what came since a moment; None for a store that is no file."""

    def close(self) -> None:
        """Release files and connections."""
