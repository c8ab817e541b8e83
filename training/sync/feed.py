"""RSS 0.9x-2.0, RSS 1.0 and Atom, read by feedparser, as entries."""

import calendar
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import feedparser

from recsys.errors import DataError
from training.sync.entries import Entry, EntryError, Listing, Rules, language_of, section_of, web_url
from training.sync.safe_xml import read_xml

_TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


class FeedError(DataError):
    """The document is no feed."""


def read_feed(body: bytes, url: str, content_type: str, rules: Rules) -> Listing:
    """What a feed lists.

    Args:
        body: the document.
        url: where it came from; relative links are resolved against it.
        content_type: of the answer, for the encoding.
        rules: how entries become articles.

    Raises:
        FeedError: no feed.
        XmlRefusedError: XML that declares entities.
    """
    root = read_xml(body, url)
    # links of a file are relative to the site that the feed names
    told = {"content-location": url if url.startswith("http") else "", "content-type": content_type}
    headers = {name: value for name, value in told.items() if value}
    # a string would be opened as an address or a file; the text is cleaned by the schemas
    found = feedparser.parse(io.BytesIO(body.strip()), response_headers=headers, sanitize_html=False)
    if not found.version:
        raise FeedError(f"{url}: this is neither RSS nor Atom; give the address of the feed itself")
    listing = Listing()
    if root is not None:
        listing.deleted = [gone.get("ref", "") for gone in root.iter(_TOMBSTONE)]
    home = urljoin(url, found.feed.get("link") or "")
    for number, raw in enumerate(found.entries, 1):
        _add(listing, raw, f"{url}, entry {number}", home, found.feed.get("language"), rules)
    return listing


def _add(
    listing: Listing, raw: Mapping[str, Any], place: str, home: str, language: str | None, rules: Rules
) -> None:
    name, said = (raw.get("id") or "").strip(), (raw.get("link") or "").strip()
    # an id that is no address stands in for a missing link
    link = urljoin(home, said) if said and (said != name or said.startswith("http")) else None
    key = name or link or ""
    if key:
        listing.keys.append(key)
    try:
        if not key:
            raise EntryError("it has neither guid, id nor link, so it cannot be known again")
        entry = Entry(
            place,
            key,
            _fields(raw, web_url(link), home, language, rules),
            _time(raw, "published"),
            _time(raw, "updated"),
        )
    except EntryError as error:
        listing.refused.append(f"{place}: {error}")
    else:
        listing.entries.append(entry)


def _fields(
    raw: Mapping[str, Any], link: str | None, home: str, language: str | None, rules: Rules
) -> dict[str, Any]:
    categories = [
        (tag.get("label") or tag.get("term") or "", tag.get("scheme")) for tag in raw.get("tags", ())
    ]
    categories = [(name, scheme) for name, scheme in categories if name.strip()]
    # without a description of its own, feedparser gives the content as the summary too
    bodies = [part.get("value") for part in raw.get("content", ()) if part.get("value")]
    abstract = raw.get("summary")
    return {
        "title": raw.get("title"),
        "abstract": None if abstract in bodies else abstract,
        "body": bodies[0] if bodies else None,
        "url": link,
        "section": section_of(rules, link, categories),
        "tags": list(dict.fromkeys(name for name, _ in categories)),
        "authors": _authors(raw),
        "language": language_of(_own_language(raw) or language),
        "image_url": _image(raw, home),
    }


def _own_language(raw: Mapping[str, Any]) -> str | None:
    detail = raw.get("title_detail") or {}
    return raw.get("language") or detail.get("language")


def _authors(raw: Mapping[str, Any]) -> list[str]:
    named = [author.get("name") for author in raw.get("authors", ())]
    return list(dict.fromkeys(name for name in named if name))


def _image(raw: Mapping[str, Any], home: str) -> str | None:
    """The first picture among what the entry carries, the large before the small."""
    media = [part for part in raw.get("media_content", ()) if _is_picture(part)]
    enclosed = [part for part in raw.get("enclosures", ()) if _is_picture(part)]
    places: Sequence[str | None] = [
        *(part.get("url") for part in media),
        *(part.get("href") for part in enclosed),
        *(part.get("url") for part in raw.get("media_thumbnail", ())),
    ]
    for place in places:
        if place:
            return web_url(urljoin(home, place))
    return None


def _is_picture(part: Mapping[str, Any]) -> bool:
    return part.get("medium") == "image" or str(part.get("type", "")).startswith("image/")


def _time(raw: Mapping[str, Any], name: str) -> datetime | None:
    """A time of an entry.

    Raises:
        EntryError: there is one, and it cannot be read.
    """
    if name not in raw:
        return None
    parsed = raw.get(f"{name}_parsed") if f"{name}_parsed" in raw else None
    if parsed is None:
        raise EntryError(f"{name}: {str(raw[name])[:60]!r} is not a time as RSS or Atom write it")
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise EntryError(f"{name}: {str(raw[name])[:60]!r} lies outside the years 1 to 9999") from error
