"""Orders of catalogue rows that follow single changes, and the next moment at which a list may change."""

import heapq
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]


class RowOrder:
    """Rows in the order of a key, kept in order while single rows change.

    A change costs a few comparisons and one copy, not a sort. How rows are compared is told at each
    look, so that neither holds the other in memory.
    """

    def __init__(self) -> None:
        self._rows: Rows | None = None
        self._changed: set[int] = set()

    def changed(self, row: int) -> None:
        """Tell that the key of a row changed, or whether it belongs."""
        if self._rows is not None:
            self._changed.add(row)

    def rows(
        self, key: Callable[[int], Any], belongs: Callable[[int], bool], everything: Callable[[], Rows]
    ) -> Rows:
        """All rows that belong, in order; never changed in place afterwards.

        Args:
            key: of a row; no two rows have the same.
            belongs: whether a row is in the order at all.
            everything: all rows in order, for the first time and after many changes.
        """
        if self._rows is None or 4 * len(self._changed) > len(self._rows) + 64:
            self._rows = everything()
        elif self._changed:
            self._rows = _moved(self._rows, self._changed, key, belongs)
        self._changed = set()
        return self._rows


def _moved(rows: Rows, changed: set[int], key: Callable[[int], Any], belongs: Callable[[int], bool]) -> Rows:
    gone = np.zeros(int(max(rows.max(initial=0), *changed)) + 1, dtype=bool)
    gone[list(changed)] = True
    kept = rows[~gone[rows]]
    fresh = sorted(filter(belongs, changed), key=key)
    places = [bisect_left(kept, key(row), key=key) for row in fresh]
    return np.insert(kept, places, np.array(fresh, dtype=np.int32))


def by_recency(rows: Rows, published: NDArray[np.float64], ids: list[str]) -> Rows:
    """Rows newest first, without date last, ties by id.

    Args:
        rows: (n,) in any order.
        published: (n,) unix seconds, NaN unknown.
        ids: by row.
    """
    recency = np.where(np.isnan(published), -np.inf, published)
    order = np.argsort(-recency, kind="stable")
    rows, recency = rows[order], recency[order]
    # only what is tied is compared by id: sorting every id holds up all other threads
    tied = np.zeros(len(rows) + 1, dtype=np.int8)
    tied[1:-1] = recency[1:] == recency[:-1]
    edges = np.flatnonzero(np.diff(tied))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        rows[start : end + 1] = sorted(rows[start : end + 1].tolist(), key=ids.__getitem__)
    return rows


class Changes:
    """When articles come and go by themselves: publications and expiries that lie ahead."""

    def __init__(self) -> None:
        self._asked = float("inf")
        self._heap: list[tuple[float, int]] = []

    def note(self, row: int, *times: float) -> None:
        """Tell the times (unix seconds, NaN or inf for none) at which a row comes or goes."""
        for time in times:
            if self._asked < time < float("inf"):
                heapq.heappush(self._heap, (time, row))

    def after(
        self,
        now: float,
        holds: Callable[[float, int], bool],
        ahead: Callable[[float], list[tuple[float, int]]],
    ) -> float:
        """The earliest time after ``now`` at which a row comes or goes; inf for none.

        Cheap while ``now`` only rises; one pass over all rows where it does not.

        Args:
            now: unix seconds.
            holds: whether a (time, row) noted earlier still stands.
            ahead: all (time, row) after a moment, for the first time.
        """
        if now < self._asked:
            self._heap = ahead(now)
            heapq.heapify(self._heap)
        self._asked = now
        while self._heap and (self._heap[0][0] <= now or not holds(*self._heap[0])):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")
