"""A report's page as a browser would see it, in the few things that are asked of it."""

import json
import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Page(HTMLParser):
    """What a browser would see, in the few things that are asked of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[tuple[list[str | int], str]] = []
        self.headings: list[int] = []
        self.words: list[str] = []
        self._path: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self._path = given.get("data-path")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._path is not None:
            self.cells.append((json.loads(self._path), data))
            self._path = None


def needs_nothing_else(text: str) -> Page:
    """The page, which fetches nothing, runs nothing, closes what it opens and points at what is there."""
    page = Page(text)
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#[\w.-]+\)", "", text)
    assert not {"script", "link", "iframe", "object", "img", "base"} & {tag for tag, _ in page.tags}
    for _, given in page.tags:
        for name, value in given.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href"):
                assert value is not None
                assert value.startswith("#")
    assert page.open == []
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    for _, given in page.tags:
        wanted = [given[name] for name in ("aria-labelledby",) if name in given]
        wanted += [given["href"][1:]] if "href" in given else []  # type: ignore[index]
        wanted += re.findall(r"url\(#([^)]+)\)", " ".join(value or "" for value in given.values()))
        assert set(wanted) <= set(ids)
    return page
