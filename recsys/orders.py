"""Orders of catalogue rows that follow single changes, and the next moment at which a list may change."""

import heapq
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]


class RowOrder:
    """Rows in the order of a key; a change costs a few comparisons and one copy, not a sort.

    Args:
        key: of a row; no two rows have the same.
        belongs: whether a row is in the order at all.
        everything: all rows in order, for the first time and after many changes.
    """

    def __init__(
        self, key: Callable[[int], Any], belongs: Callable[[int], bool], everything: Callable[[], Rows]
    ) -> None:
        self._key, self._belongs, self._everything = key, belongs, everything
        self._rows: Rows | None = None
        self._changed: set[int] = set()

    def changed(self, row: int) -> None:
        """Tell that the key of a row changed, or whether it belongs."""
        if self._rows is not None:
            self._changed.add(row)

    def rows(self) -> Rows:
        """All rows that belong, in order; never changed in place afterwards."""
        if self._rows is None or 4 * len(self._changed) > len(self._rows) + 64:
            self._rows = self._everything()
        elif self._changed:
            self._rows = self._moved(self._rows)
        self._changed.clear()
        return self._rows

    def _moved(self, rows: Rows) -> Rows:
        gone = np.zeros(int(max(rows.max(initial=0), *self._changed)) + 1, dtype=bool)
        gone[list(self._changed)] = True
        kept = rows[~gone[rows]]
        fresh = sorted(filter(self._belongs, self._changed), key=self._key)
        places = [bisect_left(kept, self._key(row), key=self._key) for row in fresh]
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
    """When articles come and go by themselves: publications and expiries that lie ahead.

    Args:
        holds: whether a (time, row) noted earlier still stands.
        ahead: all (time, row) after a moment, for the first time.
    """

    def __init__(
        self,
        holds: Callable[[float, int], bool],
        ahead: Callable[[float], list[tuple[float, int]]],
    ) -> None:
        self._holds, self._ahead = holds, ahead
        self._asked = float("inf")
        self._heap: list[tuple[float, int]] = []

    def note(self, row: int, *times: float) -> None:
        """Tell the times (unix seconds, NaN or inf for none) at which a row comes or goes."""
        for time in times:
            if self._asked < time < float("inf"):
                heapq.heappush(self._heap, (time, row))

    def after(self, now: float) -> float:
        """The earliest time after ``now`` at which a row comes or goes; inf for none.

        Cheap while ``now`` only rises; one pass over all rows where it does not.
        """
        if now < self._asked:
            self._heap = self._ahead(now)
            heapq.heapify(self._heap)
        self._asked = now
        while self._heap and (self._heap[0][0] <= now or not self._holds(*self._heap[0])):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")
