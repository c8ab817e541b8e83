"""Joint assembly of the lists of one page: no article twice, every list full while it can be.

Pins first. Then an article that several lists want goes to the list that loses most without it,
measured against that list's next candidate that no other list holds; ties go by the order of the lists.
Lists marked ``keeps_first`` never give up their first article to another list.
"""

from collections.abc import Container, Iterator, Sequence
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


def comparable(scores: NDArray[np.float64]) -> list[float]:
    """Scores as shares of the list's best one, -1 to 1, so that losses compare between lists.

    A share keeps what a rank or a range would blur: that the tenth newest story is almost as new as the
    first, while the sixth most similar one may already be off the topic.

    Example:
        >>> comparable(np.array([2.0, 1.0, -5.0]))
        [1.0, 0.5, -1.0]
    """
    if len(scores) == 0:
        return []
    top = float(scores.max())
    if top <= 0.0:
        # nothing to take a share of: differences on their own scale
        return [float(value) for value in np.clip(scores - top, -1.0, 0.0)]
    return [float(share) for share in np.clip(scores / top, -1.0, 1.0)]


class _List:
    """One list while the page is being assembled; ``chosen`` are its best allowed candidates so far."""

    def __init__(self, wish: Wish, pinned: set[int]) -> None:
        self.wish = wish
        self.queue = [(r, u) for r, u in zip(wish.rows, wish.utilities, strict=True) if r not in pinned]
        self.chosen = self.queue[: wish.limit - len(wish.pinned)]
        self.yielded: dict[int, str] = {}
        self._first = self.queue[0][0] if self.queue else None
        self._next = len(self.chosen)
        self._banned: set[int] = set()

    def spares(self) -> Iterator[tuple[int, float]]:
        """Allowed candidates behind the chosen ones, best first."""
        return ((r, u) for r, u in self.queue[self._next :] if r not in self._banned)

    def ban(self, row: int) -> None:
        """Give a row up; the next candidate takes its place."""
        self._banned.add(row)
        kept = [item for item in self.chosen if item[0] != row]
        if len(kept) < len(self.chosen):
            self.chosen = kept
            while self._next < len(self.queue):
                candidate = self.queue[self._next]
                self._next += 1
                if candidate[0] not in self._banned:
                    self.chosen.append(candidate)
                    return

    def loss(self, row: int, utility: float, wanted: Container[int]) -> float:
        """What this list loses if ``row`` goes elsewhere.

        It is measured against the next candidate that no list has chosen yet: the one before it may
        have to be given up as well.
        """
        if self.wish.keeps_first and self._first == row:
            return float("inf")
        following = None
        for spare, following in self.spares():  # noqa: B007 - the last one is read below
            if spare not in wanted:
                break
        return 1e6 + utility if following is None else utility - following


def assemble(wishes: Sequence[Wish]) -> Assembly:
    """Share the candidates of all lists of a page.

    Args:
        wishes: in the order of the lists, which breaks ties.
    """
    pinned = {row for wish in wishes for row in wish.pinned.values()}
    lists = [_List(wish, pinned) for wish in wishes]
    before = _utility(lists)
    while _settle_one(lists):
        pass
    after = _utility(lists)
    rows = {item.wish.name: _with_pins(item) for item in lists}
    lost = max(0.0, 1.0 - after / before) if before > 0 else 0.0
    return Assembly(rows, {item.wish.name: item.yielded for item in lists}, lost)


def _utility(lists: Sequence[_List]) -> float:
    # what nobody would miss cannot be lost
    return sum(max(utility, 0.0) for item in lists for _, utility in item.chosen)


def _settle_one(lists: Sequence[_List]) -> bool:
    """Decide the contested article with the best place; False where none is contested."""
    wanted: dict[int, list[tuple[int, float]]] = {}
    best: tuple[int, int] | None = None
    for at, item in enumerate(lists):
        for place, (row, utility) in enumerate(item.chosen):
            wanted.setdefault(row, []).append((at, utility))
            if len(wanted[row]) > 1 and (best is None or place < best[0]):
                best = (place, row)
    if best is None:
        return False
    row = best[1]
    losses = [lists[at].loss(row, utility, wanted) for at, utility in wanted[row]]
    winner = wanted[row][losses.index(max(losses))][0]
    for at, _ in wanted[row]:
        if at != winner:
            lists[at].yielded[row] = lists[winner].wish.name
    for at, item in enumerate(lists):
        if at != winner:
            item.ban(row)
    return True


def _with_pins(item: _List) -> list[int]:
    rows = [row for row, _ in item.chosen]
    for position in sorted(item.wish.pinned):
        rows.insert(min(position - 1, len(rows)), item.wish.pinned[position])
    return rows
