"""Joint assembly of the lists of one page: no article twice, every list full while it can be.

Pins first. Then an article that several lists want goes to the list that loses most without it,
measured against that list's next free candidate; ties go by the order of the lists. Lists marked
``keeps_first`` never give up their first article to another list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Wish:
    """What one list would like, best first.

    Attributes:
        name: the list.
        rows: candidates, best first, each once.
        utilities: (n,) utility of each, comparable between lists (0 to 1).
        limit: places to fill.
        pinned: row by 1-based position.
        keeps_first: the first candidate may not be taken away.
    """

    name: str
    rows: Sequence[int]
    utilities: Sequence[float]
    limit: int
    pinned: dict[int, int] = field(default_factory=dict)
    keeps_first: bool = False


@dataclass(frozen=True, slots=True)
class Assembly:
    """The lists of a page and what sharing cost.

    Attributes:
        lists: rows of each list in order, by name.
        yielded: for each list the rows it gave up, and to which list.
        utility_lost: share of the independent lists' utility that was given up, 0 to 1.
    """

    lists: dict[str, list[int]]
    yielded: dict[str, dict[int, str]]
    utility_lost: float


def comparable(scores: NDArray[np.float64], limit: int) -> list[float]:
    """Scores brought to 0..1 within one list: the best has 1, the last of twice the limit has 0."""
    if len(scores) == 0:
        return []
    top, bottom = float(scores[0]), float(scores[min(len(scores), 2 * limit) - 1])
    if top <= bottom:
        return [0.0] * len(scores)
    return [float(share) for share in np.clip((scores - bottom) / (top - bottom), -1.0, 1.0)]


class _List:
    """One list while the page is being assembled."""

    def __init__(self, wish: Wish, pinned: set[int]) -> None:
        self.wish = wish
        self.places = wish.limit - len(wish.pinned)
        self.queue = [(r, u) for r, u in zip(wish.rows, wish.utilities, strict=True) if r not in pinned]
        self.banned: set[int] = set()
        self.yielded: dict[int, str] = {}

    def tentative(self) -> list[tuple[int, float]]:
        """The best candidates that are still allowed, for the places to fill."""
        found: list[tuple[int, float]] = []
        for row, utility in self.queue:
            if len(found) == self.places:
                break
            if row not in self.banned:
                found.append((row, utility))
        return found

    def loss(self, row: int, utility: float) -> float:
        """What this list loses if ``row`` goes elsewhere."""
        if self.wish.keeps_first and self.queue and self.queue[0][0] == row:
            return float("inf")
        chosen = {r for r, _ in self.tentative()}
        spare = (u for r, u in self.queue if r not in chosen and r not in self.banned)
        following = next(spare, None)
        return 1e6 + utility if following is None else utility - following


def assemble(wishes: Sequence[Wish]) -> Assembly:
    """Share the candidates of all lists of a page.

    Args:
        wishes: in the order of the lists, which breaks ties.
    """
    pinned = {row for wish in wishes for row in wish.pinned.values()}
    lists = [_List(wish, pinned) for wish in wishes]
    before = sum(utility for item in lists for _, utility in item.tentative())
    while contested := _first_contest(lists):
        _settle(lists, *contested)
    after = sum(utility for item in lists for _, utility in item.tentative())
    rows = {item.wish.name: _with_pins(item) for item in lists}
    lost = max(0.0, 1.0 - after / before) if before > 0 else 0.0
    return Assembly(rows, {item.wish.name: item.yielded for item in lists}, lost)


def _first_contest(lists: Sequence[_List]) -> tuple[int, list[tuple[int, float]]] | None:
    """The contested article with the best place, and who wants it: (row, [(list, utility)])."""
    wanted: dict[int, list[tuple[int, float]]] = {}
    best: tuple[int, int] | None = None
    for at, item in enumerate(lists):
        for place, (row, utility) in enumerate(item.tentative()):
            wanted.setdefault(row, []).append((at, utility))
            if len(wanted[row]) > 1 and (best is None or place < best[0]):
                best = (place, row)
    return None if best is None else (best[1], wanted[best[1]])


def _settle(lists: Sequence[_List], row: int, wanting: list[tuple[int, float]]) -> None:
    losses = [lists[at].loss(row, utility) for at, utility in wanting]
    winner = wanting[losses.index(max(losses))][0]
    for at, item in enumerate(lists):
        if at != winner:
            item.banned.add(row)
    for at, _ in wanting:
        if at != winner:
            lists[at].yielded[row] = lists[winner].wish.name


def _with_pins(item: _List) -> list[int]:
    rows = [row for row, _ in item.tentative()]
    for position in sorted(item.wish.pinned):
        rows.insert(min(position - 1, len(rows)), item.wish.pinned[position])
    return rows
