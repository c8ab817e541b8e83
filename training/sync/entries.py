"""What a feed or a sitemap says of one article, and how that becomes a canonical article."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from pydantic import ValidationError

from recsys.catalog import canonical_url
from recsys.errors import DataError
from recsys.schemas import Article, check_id

_TRACKING = ("utm_", "fbclid", "gclid", "mc_cid", "mc_eid", "msclkid")


class EntryError(DataError):
    """An entry that breaks a rule of the canonical format."""


@dataclass(frozen=True)
class Entry:
    """One article as its source tells it.

    Attributes:
        place: document and number, for messages.
        key: guid, id or URL: what stays the same as long as it is the same article.
        fields: canonical fields, raw; what the source does not say is absent.
        dated: when it came out, None where the source does not say.
        touched: when it was last changed, None where the source does not say.
        windowed: whether the list that it stands on only holds the newest, as a news sitemap does.
        known_as: the digest of what the source said, where the fields come from the article's page.
    """

    place: str
    key: str
    fields: Mapping[str, Any]
    dated: datetime | None = None
    touched: datetime | None = None
    windowed: bool = False
    known_as: str = ""

    def digest(self, options: str) -> str:
        """Changes when the source says something else, or the options of the mapping do."""
        if self.known_as:
            return self.known_as
        said = [self.key, dict(self.fields), self.dated, self.touched, options]
        return hashlib.blake2b(orjson.dumps(said), digest_size=12).hexdigest()


@dataclass
class Listing:
    """What one document lists.

    Attributes:
        entries: in the order of the document.
        refused: a message each for what could not be read.
        keys: of all articles that stand in it, also of those that were refused.
        children: further documents that it names.
        deleted: keys of articles that it says are gone (RFC 6721).
    """

    entries: list[Entry] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rules:
    """How entries become articles.

    Attributes:
        section: ``first`` category, first part of the ``path``, ``none``, or the categories of one
            scheme (``scheme:URI``).
        language: of all articles; None takes the source's.
        site: of all articles.
    """

    section: str = "first"
    language: str | None = None
    site: str | None = None

    def __str__(self) -> str:
        return f"{self.section}|{self.language}|{self.site}"


def article_id_of(key: str) -> str:
    """The key itself where it is an id, else a digest of it.

    Example:
        >>> article_id_of("tag:example.org,2026:1"), len(article_id_of("two words"))
        ('tag:example.org,2026:1', 34)
    """
    try:
        return check_id(key)
    except ValueError:
        return "k:" + hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def url_key(url: str) -> str:
    """What two URLs of one article have in common; unlike ``canonical_url`` it keeps ``?id=1``.

    Example:
        >>> url_key("http://www.example.org/a.php?id=1&utm_source=x#top")
        'example.org/a.php?id=1'
    """
    kept = [(name, value) for name, value in parse_qsl(urlsplit(url).query) if not name.startswith(_TRACKING)]
    return canonical_url(url) + (f"?{urlencode(kept)}" if kept else "")


def web_url(url: str | None) -> str | None:
    """The URL if a reader may follow it: never ``javascript:`` or a file.

    Raises:
        EntryError: another scheme, or not absolute.
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise EntryError(f"{url[:100]!r} is not an absolute http or https URL")
    return url


def language_of(text: str | None) -> str | None:
    """``de-AT`` and ``DE`` are ``de``: regions do not matter to lists."""
    return (text or "").strip().replace("_", "-").split("-")[0].lower() or None


def section_of(rules: Rules, url: str | None, categories: Sequence[tuple[str, str | None]]) -> str | None:
    """The section of an entry.

    Args:
        rules: which category is the section.
        url: of the article.
        categories: names, each with its scheme.
    """
    if rules.section == "path":
        parts = [part for part in urlsplit(url or "").path.split("/") if part]
        return parts[0] if len(parts) > 1 and not parts[0].isdigit() else None
    if rules.section == "first":
        return categories[0][0] if categories else None
    wanted = rules.section.removeprefix("scheme:")
    return next((name for name, scheme in categories if scheme == wanted), None)


def article_of(entry: Entry, article_id: str, standing: Article | None, rules: Rules) -> Article:
    """The article as it should stand; what the source does not say stays as it was.

    A source that only tells when an article was last changed dates it once: an edit makes nothing new.

    Raises:
        EntryError: field and rule.
    """
    fields: dict[str, Any] = {} if standing is None else standing.model_dump()
    fields |= {name: value for name, value in entry.fields.items() if value}
    fields |= {name: value for name, value in (("language", rules.language), ("site", rules.site)) if value}
    fields["article_id"] = article_id
    fields["published_at"] = entry.dated or fields.get("published_at") or entry.touched
    fields["updated_at"] = entry.touched or fields.get("updated_at")
    fields.setdefault("title", "")
    try:
        return Article.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise EntryError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error


def utc(value: datetime) -> datetime:
    """A time without zone is taken as UTC, as feed readers do."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
