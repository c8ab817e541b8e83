"""Sitemaps, their indexes and the news extension, as entries (sitemaps.org)."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element

from recsys.errors import DataError
from training.sync.entries import Entry, EntryError, Listing, Rules, language_of, section_of, utc, web_url
from training.sync.safe_xml import read_xml

_PART_OF_A_DATE = re.compile(r"\d{4}(-\d{2})?")


class SitemapError(DataError):
    """The document is no sitemap."""


def read_sitemap(body: bytes, url: str, rules: Rules) -> Listing:
    """What a sitemap or a sitemap index lists.

    Args:
        body: the document.
        url: where it came from, for messages.
        rules: how entries become articles.

    Raises:
        SitemapError: no sitemap.
        XmlRefusedError: XML that declares entities.
    """
    root = read_xml(body, url)
    kind = None if root is None else _name(root)
    if root is None or kind not in ("urlset", "sitemapindex"):
        raise SitemapError(
            f"{url}: this is {'no well-formed XML' if kind is None else f'<{kind}>'}, not a sitemap; "
            "give the address of the sitemap itself, as robots.txt names it"
        )
    listing = Listing()
    for number, item in enumerate(root, 1):
        said = _texts(item)
        if _name(item) == "sitemap" and kind == "sitemapindex":
            listing.children.append(said.get("loc", ""))
        elif _name(item) == "url" and kind == "urlset":
            _add(listing, said, f"{url}, url {number}", rules)
    return listing


def _name(element: Element) -> str:
    """The name without its namespace: sitemaps with a slightly wrong one are common."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _texts(item: Element) -> dict[str, str]:
    """Text of the elements below, ``news:title`` as ``news.title``; the first of each name counts."""
    found: dict[str, str] = {}
    for path, element in _below(item, ""):
        found.setdefault(path, (element.text or "").strip())
    return found


def _below(item: Element, path: str) -> Iterator[tuple[str, Element]]:
    for child in item:
        here = f"{path}.{_name(child)}" if path else _name(child)
        yield here, child
        if path.count(".") < 2:
            yield from _below(child, here)


def _add(listing: Listing, said: dict[str, str], place: str, rules: Rules) -> None:
    key = said.get("loc", "")
    if key:
        listing.keys.append(key)
    try:
        if not key:
            raise EntryError("it has no loc")
        entry = Entry(
            place,
            key,
            _fields(said, rules),
            _time(said, "news.publication_date"),
            _time(said, "lastmod"),
            windowed="news" in said,
        )
    except EntryError as error:
        listing.refused.append(f"{place}: {error}")
    else:
        listing.entries.append(entry)


def _fields(said: dict[str, str], rules: Rules) -> dict[str, Any]:
    words = [word.strip() for word in said.get("news.keywords", "").split(",") if word.strip()]
    url = web_url(said["loc"])
    return {
        "title": said.get("news.title"),
        "url": url,
        "section": section_of(rules, url, [(word, None) for word in words]),
        "tags": list(dict.fromkeys(words)),
        "language": language_of(said.get("news.publication.language")),
        "image_url": web_url(said.get("image.loc")),
    }


def _time(said: dict[str, str], name: str) -> datetime | None:
    """A W3C date or time.

    Raises:
        EntryError: there is one, and it cannot be read.
    """
    text = said.get(name)
    if not text:
        return None
    whole = text
    if _PART_OF_A_DATE.fullmatch(text):
        whole = f"{text}-01-01"[:10] if len(text) == 4 else f"{text}-01"
    try:
        return utc(datetime.fromisoformat(whole))
    except (ValueError, OverflowError) as error:
        raise EntryError(f"{name}: {text[:60]!r} is not a time such as 2026-01-31T08:00:00Z") from error
