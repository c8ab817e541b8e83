"""Tables that are read from a bundle and get more rows: the bundle's part is never copied.

It may be mapped from disk, copy-on-write: what is not changed takes no memory of its own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]
_ROOM = 64


class GrowingRows:
    """A table of two parts, one of fixed length and one for the rows that come.

    Growing copies the second part at most; room for rows ahead is given in proportion to it.

    Args:
        base: (n, k); changed in place.
        missing: value of new rows.
    """

    def __init__(self, base: Table, missing: float) -> None:
        self._base, self._missing = base, missing
        self._tail, self._size = base[:0], len(base)

    def __len__(self) -> int:
        return self._size

    @property
    def width(self) -> int:
        """Columns, k."""
        return int(self._base.shape[1])

    def reserve(self, size: int) -> None:
        """Make room for rows below ``size``; what is read meanwhile stays as it is."""
        more = size - len(self._base)
        if more > len(self._tail):
            shape = (max(more, len(self._tail) * 3 // 2 + _ROOM), self.width)
            tail = np.full(shape, self._missing, self._base.dtype)
            tail[: len(self._tail)] = self._tail
            self._tail = tail
        self._size = max(self._size, size)

    def parts(self) -> Iterator[tuple[int, Table]]:
        """Both parts with the row that each begins with; views, to be changed in place."""
        yield 0, self._base
        yield len(self._base), self._tail[: self._size - len(self._base)]

    def part(self, number: int) -> Table:
        """The part 0 or 1 with room for more rows, a view to be changed in place."""
        return self._tail if number else self._base

    def parted(self, rows: NDArray[np.integer]) -> list[tuple[int, NDArray[np.integer], Any]]:
        """Numbers of the parts that hold ``rows``, with places in the part, and which of ``rows`` they are.

        They are the same for all tables that began with as many rows.
        """
        split = len(self._base)
        old = rows < split
        if old.all():
            return [(0, rows, slice(None))]
        return [(0, rows[old], old), (1, rows[~old] - split, ~old)]

    def line(self, row: int) -> Table:
        """(k,) one row, a view to be changed in place."""
        split = len(self._base)
        found: Table = self._base[row] if row < split else self._tail[row - split]
        return found

    def take(self, rows: NDArray[np.integer], columns: Any = slice(None)) -> Table:
        """A copy of ``rows``: (m, k), fewer columns where a slice of them is given, or (m,) one of each."""
        split = len(self._base)
        old = rows < split
        if old.all():
            return np.asarray(self._base[rows, columns])
        new = ~old
        one = isinstance(columns, np.ndarray)
        first = self._base[rows[old], columns[old] if one else columns]
        last = self._tail[rows[new] - split, columns[new] if one else columns]
        found = np.empty((len(rows), *first.shape[1:]), first.dtype)
        found[old], found[new] = first, last
        return found

    def put(self, rows: NDArray[np.integer], values: Table) -> None:
        """Set ``rows`` to values (m, k)."""
        for number, own, chosen in self.parted(rows):
            self.part(number)[own] = values[chosen]

    def whole(self) -> Table:
        """(n, k) everything; the table itself while it has one part, else a copy that is only read."""
        if self._size == len(self._base):
            return self._base
        together = np.concatenate([part for _, part in self.parts()])
        together.flags.writeable = False
        return together
