"""The catalogue in columns: what the funnel needs of each article, by row number.

A row also exists for an id that was only referred to (by an event that came before its article);
it is counted but not servable until the article arrives.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from recsys.openness import OpenArticles
from recsys.orders import Changes, RowOrder, by_recency
from recsys.schemas import Article

UNKNOWN = -1
_COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "published": (np.float64, np.nan),
    "expires": (np.float64, np.inf),
    "servable": (np.bool_, 0),
    "section": (np.int32, UNKNOWN),
    "subsection": (np.int32, UNKNOWN),
    "author": (np.int32, UNKNOWN),
    "language": (np.int32, UNKNOWN),
    "site": (np.int32, UNKNOWN),
    "content_type": (np.int32, UNKNOWN),
    "story": (np.int32, UNKNOWN),
    "duplicate": (np.int32, UNKNOWN),
    "priority": (np.float64, np.nan),
}


_VOCABULARIES = ("sections", "subsections", "authors", "languages", "sites", "content_types", "stories")


class Vocabulary:
    """Names and their codes; an unknown name is -1."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, name: str | None) -> int:
        """Code of ``name`` or -1; never adds."""
        return UNKNOWN if name is None else self._codes.get(name, UNKNOWN)

    def add(self, name: str | None) -> int:
        """Code of ``name``, new where needed; None is -1."""
        if name is None:
            return UNKNOWN
        code = self._codes.setdefault(name, len(self.names))
        if code == len(self.names):
            self.names.append(name)
        return code


def epoch(value: datetime | None, missing: float) -> float:
    """Unix seconds of an aware datetime."""
    return missing if value is None else value.timestamp()


class Catalog:
    """Growing columnar table of articles.

    Columns are arrays of ``len(self)``: ``published`` and ``expires`` in unix seconds (NaN unknown,
    inf never), ``servable`` (known and not hidden), integer codes of section, subsection (within its
    section), author (the first), language, site, content type and story (-1 none),
    ``duplicate`` (group of near-duplicates, the lowest row of the group, -1 none), ``priority`` 0-1
    (NaN none).
    """

    published: NDArray[np.float64]
    expires: NDArray[np.float64]
    servable: NDArray[np.bool_]
    section: NDArray[np.int32]
    subsection: NDArray[np.int32]
    author: NDArray[np.int32]
    language: NDArray[np.int32]
    site: NDArray[np.int32]
    content_type: NDArray[np.int32]
    story: NDArray[np.int32]
    duplicate: NDArray[np.int32]
    priority: NDArray[np.float64]

    def __init__(self, url_template: str | None = None) -> None:
        self.ids: list[str] = []
        self.cards: list[bytes | None] = []
        self.sensitivity: dict[int, frozenset[str]] = {}
        self.tags: dict[int, frozenset[str]] = {}
        self.sections, self.languages, self.sites = Vocabulary(), Vocabulary(), Vocabulary()
        self.subsections, self.content_types, self.stories = Vocabulary(), Vocabulary(), Vocabulary()
        self.authors = Vocabulary()
        self.version = 0
        self._row_of: dict[str, int] = {}
        self._row_of_url: dict[str, int] = {}
        self._url_template = url_template
        self._capacity = 0
        self._newest, self._priorities, self._changes = RowOrder(), RowOrder(), Changes()
        self._open = OpenArticles()
        self._grow(64)

    @classmethod
    def of(cls, articles: Iterable[Article], url_template: str | None = None) -> "Catalog":
        """A catalogue of these articles, in their order."""
        catalog = cls(url_template)
        for article in articles:
            catalog.put(article)
        return catalog

    def __len__(self) -> int:
        return len(self.ids)

    def _grow(self, capacity: int) -> None:
        for name, (kind, missing) in _COLUMNS.items():
            column = np.full(capacity, missing, dtype=kind)
            if self._capacity:
                column[: self._capacity] = getattr(self, name)
            setattr(self, name, column)
        self._capacity = capacity

    def row(self, article_id: str) -> int | None:
        """Row of an id, or None; also rows that are only referred to."""
        return self._row_of.get(article_id)

    def row_by_url(self, url: str) -> int | None:
        """Row of a canonical URL, or None."""
        return self._row_of_url.get(canonical_url(url))

    def refer(self, article_id: str) -> int:
        """Row of an id, made where it is new."""
        row = self._row_of.get(article_id)
        if row is None:
            row = self._row_of[article_id] = len(self.ids)
            self.ids.append(article_id)
            self.cards.append(None)
            if row >= self._capacity:
                self._grow(max(64, int(self._capacity * 1.5)))
        return row

    def is_known(self, row: int) -> bool:
        """Whether the article itself is here, not only references to it."""
        return self.cards[row] is not None

    def put(self, article: Article) -> int:
        """Insert or replace an article; returns its row."""
        row = self.refer(article.article_id)
        self.published[row] = epoch(article.published_at, np.nan)
        self.expires[row] = epoch(article.expires_at, np.inf)
        self.servable[row] = not article.is_hidden
        self.section[row] = self.sections.add(article.section)
        self.subsection[row] = self.subsections.add(_within(article.section, article.subsection))
        self.author[row] = self.authors.add(article.authors[0] if article.authors else None)
        self.language[row] = self.languages.add(article.language)
        self.site[row] = self.sites.add(article.site)
        self.content_type[row] = self.content_types.add(article.content_type)
        self.story[row] = self.stories.add(article.story_id)
        self.priority[row] = np.nan if article.editor_priority is None else article.editor_priority
        self.sensitivity.pop(row, None)
        if article.sensitivity:
            self.sensitivity[row] = frozenset(article.sensitivity)
        self.tags.pop(row, None)
        if article.tags:
            self.tags[row] = frozenset(article.tags)
        self.cards[row] = self._card(article)
        if article.url:
            self._row_of_url[canonical_url(article.url)] = row
        self._changes.note(row, self.published[row].item(), self.expires[row].item())
        self._changed(row)
        return row

    def _changed(self, row: int) -> None:
        self._newest.changed(row)
        self._open.changed(row)
        self._priorities.changed(row)
        self.version += 1

    def withdraw(self, article_id: str, article: Article | None) -> None:
        """Take over at once what keeps an article out of lists; everything else waits for ``put``.

        Args:
            article_id: whose.
            article: as it stands now, None where it was deleted. Times of publication and expiry are taken
                over either way, ``is_hidden`` only if it hides.
        """
        row = self._row_of.get(article_id)
        if row is None:
            return
        servable = bool(self.servable[row]) and article is not None and not article.is_hidden
        published, expires = float(self.published[row]), float(self.expires[row])
        if article is not None:
            published = epoch(article.published_at, np.nan)
            expires = epoch(article.expires_at, np.inf)
        new, old = np.array((published, expires)), np.array((self.published[row], self.expires[row]))
        if servable == self.servable[row] and np.array_equal(new, old, equal_nan=True):
            return
        self.servable[row], self.published[row], self.expires[row] = servable, published, expires
        self._changes.note(row, published, expires)
        self._changed(row)

    def remove(self, article_id: str) -> int | None:
        """Take an article out of service; its counts stay in case it returns."""
        row = self._row_of.get(article_id)
        if row is not None:
            self.servable[row] = False
            self.cards[row] = None
            self._changed(row)
        return row

    def _card(self, article: Article) -> bytes:
        url = article.url
        if url is None and self._url_template:
            url = self._url_template.replace("{article_id}", article.article_id)
        published = article.published_at
        return orjson.dumps(
            {
                "title": article.title,
                "url": url,
                "section": article.section,
                "image_url": article.image_url,
                "published_at": published and published.isoformat().replace("+00:00", "Z"),
            }
        )

    def state(self) -> tuple[dict[str, object], dict[str, object]]:
        """Columns for a table (lists and arrays of ``len(self)``) and vocabularies for JSON."""
        urls = [""] * len(self)
        for url, row in self._row_of_url.items():
            urls[row] = url
        columns: dict[str, object] = {"article_id": self.ids, "card": self.cards, "url": urls}
        columns["tags"] = [sorted(self.tags.get(row, ())) for row in range(len(self))]
        columns |= {name: getattr(self, name)[: len(self)] for name in _COLUMNS}
        names: dict[str, object] = {name: getattr(self, name).names for name in _VOCABULARIES}
        names["sensitivity"] = {str(row): sorted(labels) for row, labels in self.sensitivity.items()}
        return columns, names

    @staticmethod
    def columns() -> tuple[str, ...]:
        """Names of the numeric columns that ``state`` gives."""
        return tuple(_COLUMNS)

    @classmethod
    def restore(
        cls,
        columns: Mapping[str, Any],
        names: Mapping[str, Any],
        url_template: str | None = None,
    ) -> "Catalog":
        """A catalogue from what ``state`` gave; lists as lists, numeric columns as arrays."""
        catalog = cls(url_template)
        catalog.ids, catalog.cards = list(columns["article_id"]), list(columns["card"])
        catalog._row_of = {article_id: row for row, article_id in enumerate(catalog.ids)}
        catalog._row_of_url = {url: row for row, url in enumerate(columns["url"]) if url}
        catalog._grow(len(catalog.ids) + len(catalog.ids) // 16 + 64)
        for name in set(_COLUMNS) & columns.keys():
            getattr(catalog, name)[: len(catalog.ids)] = columns[name]
        for name in _VOCABULARIES:
            vocabulary = getattr(catalog, name)
            for value in names.get(name, ()):
                vocabulary.add(value)
        catalog.sensitivity = {int(row): frozenset(labels) for row, labels in names["sensitivity"].items()}
        catalog.tags = {row: frozenset(tags) for row, tags in enumerate(columns["tags"]) if tags}
        catalog.version = 1
        return catalog

    def groups(self) -> tuple[dict[str, NDArray[np.int32]], dict[str, int]]:
        """Codes of section, subsection and author of each row, and how many of each there are."""
        names = {"section": self.sections, "subsection": self.subsections, "author": self.authors}
        codes = {level: getattr(self, level)[: len(self)] for level in names}
        return codes, {level: len(vocabulary.names) for level, vocabulary in names.items()}

    def undated(self) -> "Catalog":
        """The same articles with unknown times of publication and no expiry."""
        columns, names = self.state()
        nothing = {"published": np.full(len(self), np.nan), "expires": np.full(len(self), np.inf)}
        return Catalog.restore(columns | nothing, names, self._url_template)

    def open_at(self, now: float, language: int = UNKNOWN, site: int | None = None) -> NDArray[np.bool_]:
        """(n,) which articles may stand in lists at all: servable, published, not expired.

        The array is kept until something changes and must not be written to.

        Args:
            now: unix seconds.
            language: code that a known language must equal, -1 for any.
            site: code that a known site must equal, None for any.
        """
        size = len(self)
        when = (self.servable[:size], self.published[:size], self.expires[:size])
        return self._open.at(now, when, self.language[:size], self.site[:size], (language, site))

    def newest(self) -> NDArray[np.int32]:
        """Servable rows by publication, newest first, unknown last; ties by id."""
        return self._newest.rows(self._recency_key, self._is_servable, self._all_by_recency)

    def by_priority(self) -> NDArray[np.int32]:
        """Servable rows that carry an editor priority, highest first."""
        return self._priorities.rows(self._priority_key, self._has_priority, self._all_by_priority)

    def next_change(self, now: float) -> float:
        """The earliest time after ``now`` (unix seconds) at which an article is published or expires.

        Until then no article comes or goes unless it is put or removed; inf where none is ahead.
        """
        return self._changes.after(now, self._comes_or_goes, self._ahead)

    def _is_servable(self, row: int) -> bool:
        return bool(self.servable[row])

    def _has_priority(self, row: int) -> bool:
        return bool(self.servable[row]) and not np.isnan(self.priority[row])

    def _recency_key(self, row: int) -> tuple[float, str]:
        published = self.published[row]
        return (np.inf if np.isnan(published) else -published, self.ids[row])

    def _priority_key(self, row: int) -> tuple[float, float, str]:
        return (-self.priority[row], *self._recency_key(row))

    def _all_by_recency(self) -> NDArray[np.int32]:
        rows = np.flatnonzero(self.servable[: len(self)]).astype(np.int32)
        return by_recency(rows, self.published[rows], self.ids)

    def _all_by_priority(self) -> NDArray[np.int32]:
        newest = self.newest()
        ranked = newest[~np.isnan(self.priority[newest])]
        return np.asarray(ranked[np.argsort(-self.priority[ranked], kind="stable")])

    def _comes_or_goes(self, time: float, row: int) -> bool:
        return bool(self.servable[row]) and time in (self.published[row], self.expires[row])

    def _ahead(self, now: float) -> list[tuple[float, int]]:
        found = []
        for column in (self.published[: len(self)], self.expires[: len(self)]):
            rows = np.flatnonzero((column > now) & (column < np.inf) & self.servable[: len(self)])
            found += list(zip(column[rows].tolist(), rows.tolist(), strict=True))
        return found

    def id_ranks(self, rows: NDArray[np.int32]) -> NDArray[np.intp]:
        """(n,) order of these rows by id, for breaking ties."""
        ids = [self.ids[row] for row in rows.tolist()]
        ranks = np.empty(len(ids), dtype=np.intp)
        ranks[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
        return ranks


def _within(section: str | None, subsection: str | None) -> str | None:
    """A subsection's name with its section's: "results" of sport are not those of politics."""
    return None if subsection is None else f"{section or ''}/{subsection}"


def canonical_url(url: str) -> str:
    """A URL without scheme, fragment, query, ``www.`` and trailing slash, host in lower case.

    Example:
        >>> canonical_url("https://www.Example.org/a/?utm_source=x#top")
        'example.org/a'
    """
    rest = url.split("#", 1)[0].split("?", 1)[0].strip()
    rest = rest.split("://", 1)[-1].removeprefix("//")
    host, slash, path = rest.partition("/")
    return host.lower().removeprefix("www.") + (slash + path).rstrip("/")
