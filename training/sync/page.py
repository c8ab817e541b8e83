"""What the page of an article says of itself, for sitemaps that only give its address."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from training.sync.entries import EntryError, Rules, language_of, section_of, utc, web_url

_READ_BYTES = 1_000_000
_CHARSET = re.compile(rb"""<meta[^>]{0,100}charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_OF_ARTICLES = ("Article", "Posting")


class _Head(HTMLParser):
    """Collects the title, what ``meta`` elements say, JSON-LD and the language."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: dict[str, list[str]] = {}
        self.language: str | None = None
        self.title, self._inside = "", ""
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = found.get("lang")
        elif tag == "meta":
            name = (found.get("property") or found.get("name") or "").lower()
            if name and found.get("content", "").strip():
                self.said.setdefault(name, []).append(found["content"].strip())
        elif tag == "title" and not self.title:
            self._inside = "title"
        elif tag == "script" and found.get("type", "").lower() == "application/ld+json":
            self._inside = "data"
            self.data.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
        elif self._inside == "data":
            self.data[-1] += data


def read_page(
    body: bytes, url: str, content_type: str, rules: Rules
) -> tuple[dict[str, Any], datetime | None, datetime | None]:
    """Canonical fields, when it came out, and when it was changed.

    Args:
        body: of the page.
        url: of the page.
        content_type: of the answer, for the encoding.
        rules: how entries become articles.

    Raises:
        EntryError: the page does not say that it is an article, as front pages and lists do not.
    """
    head = _Head()
    head.feed(_text(body, content_type))
    data = next((entry for entry in _json_ld(head.data) if _is_article(entry)), {})
    dated = _first(head, "article:published_time") or _word(data.get("datePublished"))
    if not data and not dated and _first(head, "og:type") != "article":
        raise EntryError(
            "its page does not say that it is an article (og:type article, or JSON-LD NewsArticle)"
        )
    section = _first(head, "article:section") or _word(data.get("articleSection"))
    categories = [(section, None)] if section else []
    image = _first(head, "og:image")
    fields = {
        "title": _first(head, "og:title") or _word(data.get("headline")) or head.title,
        "abstract": _first(head, "og:description") or _first(head, "description"),
        "url": url,
        "section": section_of(rules, url, categories),
        "tags": head.said.get("article:tag", []),
        "authors": _authors(data.get("author")),
        "language": language_of(head.language),
        "image_url": web_url(urljoin(url, image)) if image else None,
    }
    touched = _first(head, "article:modified_time") or _word(data.get("dateModified"))
    return fields, _time(dated), _time(touched)


def _text(body: bytes, content_type: str) -> str:
    body = body[:_READ_BYTES]
    told = re.search(r"charset=[\"']?([\w-]+)", content_type, re.IGNORECASE)
    meta = _CHARSET.search(body[:4096])
    name = told[1] if told else meta[1].decode("ascii") if meta else "utf-8"
    try:
        return body.decode(name, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _first(head: _Head, name: str) -> str | None:
    return next(iter(head.said.get(name, ())), None)


def _json_ld(texts: list[str]) -> Iterator[dict[str, Any]]:
    for text in texts:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        graph = found.get("@graph") if isinstance(found, dict) else None
        parts = found if isinstance(found, list) else graph if isinstance(graph, list) else [found]
        yield from (part for part in parts if isinstance(part, dict))


def _is_article(entry: dict[str, Any]) -> bool:
    kind = entry.get("@type")
    kinds = kind if isinstance(kind, list) else [kind]
    return any(isinstance(each, str) and each.endswith(_OF_ARTICLES) for each in kinds)


def _word(value: Any) -> str | None:
    if isinstance(value, list):
        value = next(iter(value), None)
    return value.strip() or None if isinstance(value, str) else None


def _authors(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    names = [_word(each.get("name")) if isinstance(each, dict) else _word(each) for each in found]
    return [name for name in names if name]


def _time(text: str | None) -> datetime | None:
    """A time of the page; what cannot be read counts as not said, the sitemap may know better."""
    if text is None:
        return None
    try:
        return utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
