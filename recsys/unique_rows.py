"""Which of many rows are different ones, without sorting them.

Sorting a few thousand numbers in no order costs more than all the rest of finding candidates: the
processor guesses wrong at every second comparison.
"""

import numpy as np
from numpy.typing import NDArray


class UniqueRows:
    """Finds different rows in time proportional to their number. Not to be shared between threads."""

    def __init__(self) -> None:
        self._place_of = np.zeros(0, dtype=np.int32)

    def of(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The different ones of ``rows``.

        Args:
            rows: (m,) zero or more each, in any order.

        Returns:
            (u,) where each different row stands for the last time, rising; and (m,) for every row which
            of those it equals.

        Example:
            >>> last, which = UniqueRows().of(np.array([7, 3, 7]))
            >>> last.tolist(), which.tolist()
            ([1, 2], [1, 0, 1])
        """
        self._make_room(int(rows.max(initial=-1)))
        places = np.arange(len(rows), dtype=np.int32)
        # of equal rows the last one stays
        self._place_of[rows] = places
        owner = self._place_of[rows]
        last = np.flatnonzero(owner == places)
        order = np.empty(len(rows), dtype=np.intp)
        order[last] = np.arange(len(last))
        return last, order[owner]

    def looked_up(
        self, rows: NDArray[np.integer], values: NDArray[np.float64], wanted: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """(n,) values of the ``wanted`` rows, 0 where they are not among ``rows`` (m,), which differ.

        Example:
            >>> UniqueRows().looked_up(np.array([7, 3]), np.array([0.5, 1.0]), np.array([3, 4])).tolist()
            [1.0, 0.0]
        """
        if len(rows) == 0:
            return np.zeros(len(wanted))
        self._make_room(max(int(rows.max()), int(wanted.max(initial=0))))
        self._place_of[rows] = np.arange(len(rows), dtype=np.int32)
        # what was written by an earlier question points anywhere, so it is looked at again
        places = np.minimum(self._place_of[wanted], len(rows) - 1)
        return np.where(rows[places] == wanted, values[places], 0.0)

    def _make_room(self, highest: int) -> None:
        if highest >= len(self._place_of):
            self._place_of = np.zeros(max(highest + 1, 2 * len(self._place_of)), dtype=np.int32)
