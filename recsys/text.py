"""Clean text as it arrives from feeds and content systems.

Tags are stripped, entities decoded (also a bare ``&nbsp``), white space folded, Unicode brought to
NFC. Cleaning is idempotent: what is clean stays as it is.
"""

import html
import re
import unicodedata
from html.parser import HTMLParser

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_BLOCK = frozenset(
    ("p", "br", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "td", "th")
) | frozenset(("table", "blockquote", "section", "article", "hr"))
_HIDDEN = frozenset(("script", "style"))
_TAG = re.compile(r"<[a-zA-Z/!?]")
_ESCAPED_AGAIN = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
_MAX_ROUNDS = 20


class _TextOnly(HTMLParser):
    """Collects the text between tags; block tags become a space."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        if tag in _BLOCK:
            self.pieces.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCK:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN and self._hidden:
            self._hidden -= 1
        if tag in _BLOCK:
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def _strip_tags(text: str) -> str:
    parser = _TextOnly()
    parser.feed(text)
    parser.close()
    return "".join(parser.pieces)


def _one_round(text: str) -> str:
    if "&" in text:
        text = html.unescape(_ESCAPED_AGAIN.sub("&amp;", text))
    if "<" in text and _TAG.search(text):
        text = _strip_tags(text)
    text = _CONTROL.sub("", text.translate(_INVISIBLE))
    return " ".join(unicodedata.normalize("NFC", text).split())


def clean(text: str) -> str:
    """Plain text of a title, abstract, body or section name.

    Rounds repeat until nothing changes, because feeds escape twice (``&amp;nbsp;``).

    Args:
        text: raw text, possibly with markup.

    Example:
        >>> clean("LIFESTYLE&nbsp")
        'LIFESTYLE'
        >>> clean("<p>Cats &amp;amp; <b>dogs</b></p>  5 < 6")
        'Cats & dogs 5 < 6'
    """
    for _ in range(_MAX_ROUNDS):
        cleaned = _one_round(text)
        if cleaned == text:
            break
        text = cleaned
    else:
        # only text made to outlast the rounds comes here: without & and < nothing is left to undo
        text = _one_round(text.replace("&", " ").replace("<", " "))
    return text
