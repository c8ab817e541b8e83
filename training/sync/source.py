"""Reads a source's documents: the feed, or a sitemap with all that it names."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from recsys.errors import DataError, UsageError
from training.sync.entries import Entry, Listing, Rules
from training.sync.feed import read_feed
from training.sync.fetch import Fetched, Fetcher, TemporaryError, Validators
from training.sync.sitemap import read_sitemap
from training.sync.state import Document

MAX_DOCUMENTS = 2_000
MAX_DEPTH = 4


@dataclass
class Reading:
    """One look at a source.

    Attributes:
        entries: of documents that changed.
        keys: of every article that stands in the source, also in documents that did not change.
        deleted: keys that the source says are gone.
        refused: a message for each entry that could not be read.
        documents: to remember, by URL.
        unchanged: number of documents that were as before.
        problems: documents that could not be read; what left the source is then not known.
    """

    entries: list[Entry] = field(default_factory=list)
    keys: dict[str, None] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)


class Source:
    """A feed or a sitemap.

    Args:
        kind: ``feed`` or ``sitemap``.
        place: URL, path or ``file://`` URL; only here a file may be named.
        fetcher: for what lies elsewhere.
        rules: how entries become articles.
    """

    def __init__(self, kind: str, place: str, fetcher: Fetcher, rules: Rules) -> None:
        self.kind, self._fetcher, self._rules = kind, fetcher, rules
        self._file = file_of(place)
        self.place = place if self._file is None else self._file.resolve().as_uri()

    def read(self, known: dict[str, Document]) -> Reading:
        """Look at every document.

        Args:
            known: documents as they were last read.

        Raises:
            DataError: the first document cannot be read; the others are told as problems.
        """
        reading = Reading()
        waiting = [(self.place, 0)]
        seen = {self.place}
        while waiting:
            url, depth = waiting.pop(0)
            try:
                children = self._read_one(url, known.get(url), reading)
            except DataError as error:
                if url == self.place:
                    raise
                reading.problems.append(str(error))
                # what it listed last time still counts, so that nothing is taken for removed
                reading.keys.update(dict.fromkeys(known[url].keys if url in known else ()))
                continue
            for child in children:
                if child in seen:
                    continue
                seen.add(child)
                if depth < MAX_DEPTH and len(seen) <= MAX_DOCUMENTS:
                    waiting.append((child, depth + 1))
                elif len(reading.problems) < MAX_DOCUMENTS:
                    reading.problems.append(
                        f"{child[:200]}: not read, a sitemap has at most {MAX_DEPTH} levels and "
                        f"{MAX_DOCUMENTS:,} documents here"
                    )
        return reading

    def _read_one(self, url: str, before: Document | None, reading: Reading) -> list[str]:
        fetched = self._get(url, before)
        digest = hashlib.blake2b(fetched.body or b"", digest_size=16).hexdigest()
        if before is not None and (fetched.body is None or digest == before.body_digest):
            after = before.model_copy()
            reading.unchanged += 1
        elif fetched.body is None:
            raise TemporaryError(f"{url}: the server answered 304 to a request without conditions")
        else:
            listing = self._parse(fetched, fetched.body, url)
            after = Document(body_digest=digest, keys=listing.keys, children=listing.children)
            reading.entries += listing.entries
            reading.refused += listing.refused
            reading.deleted += listing.deleted
        after.etag, after.last_modified = fetched.validators.etag, fetched.validators.last_modified
        reading.documents[url] = after
        reading.keys.update(dict.fromkeys(after.keys))
        return after.children

    def _parse(self, fetched: Fetched, body: bytes, url: str) -> Listing:
        if self.kind == "feed":
            return read_feed(body, fetched.url, fetched.content_type, self._rules)
        return read_sitemap(body, url, self._rules)

    def _get(self, url: str, before: Document | None) -> Fetched:
        if self._file is not None and url == self.place:
            return Fetched(url, 200, self._fetcher.read_file(self._file))
        known = None if before is None else Validators(before.etag, before.last_modified)
        return self._fetcher.get(url, known)


def file_of(place: str) -> Path | None:
    """The file of a path or a ``file://`` URL; None for what lies elsewhere."""
    if place.startswith(("http://", "https://")):
        return None
    if place.startswith("file://"):
        parts = urlsplit(place)
        if parts.netloc not in ("", "localhost"):
            raise UsageError(f"{place!r} names a host; a file URL has three slashes: file:///folder/feed.xml")
        return Path(unquote(parts.path))
    if "://" in place:
        raise UsageError(f"{place!r}: a source is an http or https URL, a file:// URL or a path")
    return Path(place)
