"""What a sync remembers between rounds, in one JSON file beside the store."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys.errors import DataError, UsageError

FORMAT = 1
MOST_LEFT = 20_000


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=False)


class Document(_Kept):
    """A feed, a sitemap or an index as it was last read.

    Attributes:
        etag, last_modified: what the server said of that version.
        body_digest: of its bytes, for servers that say nothing.
        keys: of the articles that it listed.
        children: documents that it named.
    """

    etag: str | None = None
    last_modified: str | None = None
    body_digest: str = ""
    keys: list[str] = []
    children: list[str] = []


class Known(_Kept):
    """An article that this source brought, by its key.

    Attributes:
        article_id: in the catalogue.
        digest: of what the source said when it was last applied; empty before.
        url: of its page.
        dated: unix seconds at which it came out.
        windowed: whether it stood on a list of the newest only.
        left: whether it no longer stands in a feed.
        missing: how many looks in a row found no page.
    """

    article_id: str
    digest: str = ""
    url: str | None = None
    dated: float | None = None
    windowed: bool = False
    left: bool = False
    missing: int = 0


class Waiting(_Kept):
    """An entry whose page is still to be read.

    Attributes:
        place: in its sitemap, for messages.
        url: of the page.
        touched: unix seconds of its last change, as the sitemap says.
        digest: of what the sitemap said.
    """

    place: str
    url: str
    touched: float | None = None
    digest: str


class SyncState(_Kept):
    """Everything that is remembered of one source.

    Attributes:
        options: of the mapping; others read everything anew.
        documents: by URL.
        articles: by key, in the order of their arrival.
        removed: articles that this sync removed, ids by key; they come back when the source brings them.
        waiting: entries whose pages are still to be read, by key.
        no_article: digests of entries whose page is none of an article, by key.
        next_look: place in the round of looks at pages that left the feed.
    """

    format: int = FORMAT
    source: str
    options: str = ""
    documents: dict[str, Document] = {}
    articles: dict[str, Known] = {}
    removed: dict[str, str] = {}
    waiting: dict[str, Waiting] = {}
    no_article: dict[str, str] = {}
    next_look: int = 0

    def trim(self) -> None:
        """Forget the oldest of the articles that left a feed, which would only grow."""
        left = [key for key, known in self.articles.items() if known.left]
        for key in left[: max(0, len(left) - MOST_LEFT)]:
            del self.articles[key]


class StateFile:
    """Where the state of a source is kept.

    Args:
        folder: of the states of a store.
        kind: ``feed`` or ``sitemap``.
        source: as the command got it.
    """

    def __init__(self, folder: Path, kind: str, source: str) -> None:
        name = hashlib.blake2b(f"{kind} {source}".encode(), digest_size=12).hexdigest()
        self.path, self._source, self._saved = folder / f"{name}.json", source, b""

    def load(self) -> SyncState:
        """The state, empty before the first round.

        Raises:
            DataError: the file is damaged.
        """
        try:
            state = SyncState.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return SyncState(source=self._source)
        except (OSError, ValidationError) as error:
            raise DataError(
                f"cannot read what was synced before, {self.path}: {str(error).splitlines()[0]}; move the "
                "file away to compare everything anew (what left the source meanwhile is then not removed)"
            ) from error
        if state.format != FORMAT or state.source != self._source:
            raise DataError(f"{self.path} belongs to another source or version; move the file away")
        return state

    def save(self, state: SyncState) -> None:
        """Replace the file at once, if anything changed.

        Raises:
            DataError: it cannot be written.
        """
        content = state.model_dump_json(exclude_defaults=True).encode()
        if content == self._saved:
            return
        aside = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            aside.replace(self.path)
        except OSError as error:
            hint = "check disk and rights"
            raise DataError(f"cannot keep what was synced in {self.path}: {error}; {hint}") from error
        self._saved = content

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held by one process at a time.

        Raises:
            UsageError: another sync of this source runs on this store.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_suffix(".lock").open("wb")
        except OSError as error:
            raise UsageError(f"cannot keep the state of a sync in {self.path.parent}: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(f"another sync of {self._source} into this store is running") from error
            yield
