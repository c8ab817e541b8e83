"""One round of a sync: read the source, write what changed, remove what is gone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from recsys.schemas import Article
from training.sync.catalogue import Catalogue
from training.sync.entries import Entry, EntryError, Rules, article_of
from training.sync.fetch import Fetcher
from training.sync.gone import left_sitemap, look_at_pages, mark_left, may_remove
from training.sync.pages import Pages
from training.sync.source import Reading, Source
from training.sync.state import Known, StateFile

MOST_REMOVED_KEPT = 20_000


@dataclass
class Result:
    """What a round did.

    Attributes:
        new, changed, unchanged, removed: numbers of articles.
        kept_deleted: articles that stay removed, because somebody removed them from the catalogue.
        refused: a message for each entry that breaks a rule.
        unchanged_documents: feeds and sitemaps that were as before.
        documents: that were read or found unchanged.
        waiting: pages that later rounds read.
        held_back: articles that are gone from the source, and more than a round may remove.
        problems: what could not be read or done.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    kept_deleted: int = 0
    refused: list[str] = field(default_factory=list)
    documents: int = 0
    unchanged_documents: int = 0
    waiting: int = 0
    held_back: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether the catalogue is in step with the source."""
        return not self.problems and not self.held_back

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


class Sync:
    """Keeps a catalogue in step with one source.

    Args:
        source: what is read.
        catalogue: what is kept in step.
        kept: what was seen before.
        rules: how entries become articles.
        most_removed: articles that a round may remove; None for a tenth of the source, ten at least and
            never more than half.
        pages: reads what a sitemap does not say of its articles; None does not.
        look: fetcher for the pages of articles that left a feed; None does not look.
    """

    def __init__(
        self,
        source: Source,
        catalogue: Catalogue,
        kept: StateFile,
        rules: Rules,
        most_removed: int | None = None,
        pages: Pages | None = None,
        look: Fetcher | None = None,
    ) -> None:
        self._source, self._catalogue, self._kept, self._rules = source, catalogue, kept, rules
        self._most_removed, self._pages, self._look = most_removed, pages, look
        self._state = kept.load()

    def round(self, now: datetime) -> Result:
        """Bring the catalogue in step.

        Raises:
            DataError: the source cannot be read; nothing is changed.
            StoreError: the store cannot be written; the next round does it again.
        """
        self._catalogue.follow()
        self._forget_what_no_longer_holds()
        reading = self._source.read(self._state.documents)
        entries = reading.entries
        if self._pages is not None:
            entries = self._pages.set_aside(entries, self._state, self._catalogue)
            entries += self._pages.read(self._state, reading)
        result = Result(
            refused=list(reading.refused), problems=list(reading.problems), documents=len(reading.documents),
            unchanged_documents=reading.unchanged, waiting=len(self._state.waiting),
        )  # fmt: skip
        articles, digests = self._map(entries, result)
        gone = self._gone(reading)
        # claimed before they are written: a sync that dies between the two still knows what is its own
        if articles:
            self._kept.save(self._state)
        self._catalogue.put(articles, now)
        for key, digest in digests.items():
            self._state.articles[key].digest = digest
        self._remove(gone, result, now)
        self._state.documents = reading.documents
        self._state.trim()
        self._kept.save(self._state)
        return result

    def _forget_what_no_longer_holds(self) -> None:
        """Another mapping, or a store that lost its articles, asks for everything anew."""
        known = self._state.articles
        lost = [key for key, article in known.items() if not self._catalogue.knows(article.article_id)]
        for key in lost:
            del self._state.articles[key]
        if lost or self._state.options != str(self._rules):
            self._state.documents = {}
            self._state.options = str(self._rules)

    def _map(self, entries: Sequence[Entry], result: Result) -> tuple[list[Article], dict[str, str]]:
        """What has to be written, and what each entry said."""
        changed: dict[str, Article] = {}
        digests: dict[str, str] = {}
        for entry in entries:
            if entry.key in digests:
                continue
            digest = entry.digest(str(self._rules))
            try:
                article = self._map_one(entry, digest, result)
            except EntryError as error:
                result.refused.append(f"{entry.place}: {error}")
                continue
            if entry.key in self._state.articles:
                digests[entry.key] = digest
            if article is not None:
                changed[article.article_id] = article
        return list(changed.values()), digests

    def _map_one(self, entry: Entry, digest: str, result: Result) -> Article | None:
        """The article if it has to be written."""
        known = self._state.articles.get(entry.key)
        name = known.article_id if known else self._catalogue.id_of(entry.key, entry.fields.get("url"))
        if not self._catalogue.stands(name) and self._catalogue.knows(name):
            if entry.key not in self._state.removed:
                result.kept_deleted += 1
                return None
        elif known is not None and known.digest == digest:
            result.unchanged += 1
            return None
        standing = self._catalogue.get(name)
        article = article_of(entry, name, standing, self._rules)
        self._state.removed.pop(entry.key, None)
        self._state.articles[entry.key] = Known(
            article_id=name,
            url=article.url,
            dated=article.published_at.timestamp() if article.published_at else None,
            windowed=entry.windowed,
        )
        if article == standing:
            result.unchanged += 1
            return None
        result.new += standing is None
        result.changed += standing is not None
        return article

    def _gone(self, reading: Reading) -> list[str]:
        gone = [key for key in reading.deleted if key in self._state.articles]
        if self._source.kind == "sitemap":
            return gone + left_sitemap(self._state, reading)
        mark_left(self._state, reading)
        return gone + ([] if self._look is None else look_at_pages(self._state, self._look))

    def _remove(self, gone: list[str], result: Result, now: datetime) -> None:
        known = self._state.articles
        standing = [
            key for key in dict.fromkeys(gone) if self._catalogue.get(known[key].article_id) is not None
        ]
        if not may_remove(len(standing), len(known), self._most_removed):
            result.held_back = len(standing)
            return
        self._catalogue.remove([known[key].article_id for key in standing], now)
        result.removed = len(standing)
        # what others removed stays removed, also when the source brings it back
        self._state.removed |= {key: known[key].article_id for key in standing}
        for key in gone:
            known.pop(key, None)
        for key in list(self._state.removed)[:-MOST_REMOVED_KEPT]:
            del self._state.removed[key]
