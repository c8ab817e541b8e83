"""Exact vector search by blocked matrix products, and precomputed neighbours.

Vectors live by catalogue row: a memory-mapped base from the bundle and a growing tail of new
articles. Rows without a vector are all zero and never found. Articles that the embedding model does
not read have TF-IDF vectors beside it; what asks how alike two rows are need not know which is used.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.growing_rows import GrowingRows
from recsys.lexical_index import LexicalIndex
from recsys.nearest import BLOCK, highest, nearest_of
from recsys.places import Places, best_of, places_of

Vectors = NDArray[np.float32]


class VectorIndex(Protocol):
    """What the funnel asks of an index."""

    def add(self, row: int, vector: Vectors) -> None:
        """Set the unit vector (d,) of a row."""

    def remove(self, row: int) -> None:
        """Forget the vector of a row."""

    def search(
        self, query: Vectors, n: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows and cosines of the best ``n``; the filter is applied before the cut."""

    def take(self, rows: NDArray[np.integer]) -> Vectors:
        """(n, d) vectors of rows, zeros where there is none."""


class ExactIndex:
    """Exact cosine search.

    Args:
        base: (n, d) float32 unit rows, possibly memory-mapped read-only; zero rows have no vector.
        lexical: TF-IDF vectors of rows that have none here.

    Attributes:
        has: which rows have a vector of the embedding model.
    """

    def __init__(self, base: Vectors, lexical: LexicalIndex | None = None) -> None:
        self._base = base
        self.lexical = lexical or LexicalIndex()
        self.dimensions = base.shape[1]
        self.has = np.zeros(len(base), dtype=bool)
        self._sum = np.zeros(self.dimensions)
        self._centre: Vectors | None = None
        for start in range(0, len(base), 65536):
            block = base[start : start + 65536]
            self.has[start : start + len(block)] = block[:, 0] != 0.0
            maybe = np.flatnonzero(block[:, 0] == 0.0)
            self.has[start + maybe] = np.any(block[maybe] != 0.0, axis=1)
            self._sum += block.sum(axis=0, dtype=np.float64)
        self._tail = np.zeros((0, self.dimensions), dtype=np.float32)
        self._size = len(base)
        # rows of the base that have another vector by now, and that vector
        self._moved_rows = np.zeros(0, np.int32)
        self._moved = np.zeros((0, self.dimensions), dtype=np.float32)
        self._place_moved = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return self._size

    def resize(self, size: int) -> None:
        """Make room for rows below ``size``."""
        tail = size - len(self._base)
        if tail > len(self._tail):
            grown = np.zeros((max(tail, int(len(self._tail) * 1.5) + 64), self.dimensions), np.float32)
            grown[: len(self._tail)] = self._tail
            self._tail = grown
        if size > len(self.has):
            has = np.zeros(len(self._base) + len(self._tail), dtype=bool)
            has[: len(self.has)] = self.has
            self.has = has
        self._size = max(self._size, size)

    def add(self, row: int, vector: Vectors) -> None:
        """Set the vector of ``row``; replaces an earlier one."""
        self.resize(row + 1)
        self._sum += vector - self.take(np.array([row]))[0].astype(np.float64)
        self._centre = None
        if row >= len(self._base):
            self._tail[row - len(self._base)] = vector
        else:
            self._replace(row, vector)
        self.has[row] = bool(np.any(vector))

    def _replace(self, row: int, vector: Vectors) -> None:
        if len(self._place_moved) == 0:
            self._place_moved = np.full(len(self._base), -1, np.int32)
        place = int(self._place_moved[row])
        if place >= 0:
            self._moved[place] = vector
            return
        vectors = np.concatenate((self._moved, np.asarray(vector, dtype=np.float32)[None]))
        self._moved, self._moved_rows = vectors, np.append(self._moved_rows, np.int32(row))
        self._place_moved[row] = len(vectors) - 1

    def remove(self, row: int) -> None:
        """Forget the vector of ``row``."""
        if row < self._size:
            self.add(row, np.zeros(self.dimensions, dtype=np.float32))

    @property
    def centre(self) -> Vectors:
        """(d,) mean of all vectors, zeros without any."""
        if self._centre is None:
            count = max(int(self.has[: self._size].sum()), 1)
            self._centre = np.asarray(self._sum / count, dtype=np.float32)
        return self._centre

    def usual(self, rows: NDArray[np.integer]) -> float:
        """Mean cosine of rows with everything there is; 0 where none of them has a vector here."""
        embedded = rows[self.has[rows]]
        return float((self.take(embedded) @ self.centre).mean()) if len(embedded) else 0.0

    def take(self, rows: NDArray[np.integer]) -> Vectors:
        """(n, d) copies of the vectors of ``rows``."""
        split = len(self._base)
        if self._size == split and len(self._moved) == 0:
            return np.asarray(self._base[rows])
        found = np.empty((len(rows), self.dimensions), dtype=np.float32)
        old = rows < split
        found[old] = self._base[rows[old]]
        found[~old] = self._tail[rows[~old] - split]
        if len(self._moved):
            places = np.full(len(rows), -1, np.int32)
            places[old] = self._place_moved[rows[old]]
            found[places >= 0] = self._moved[places[places >= 0]]
        return found

    def cosines(self, query: Vectors) -> NDArray[np.float32]:
        """(n,) cosines of one unit query with every row; rows without vector give 0."""
        return np.asarray(self.products(query[None])[0])

    def products(self, queries: Vectors) -> Vectors:
        """(m, n) cosines of unit queries (m, d) with every row; rows without vector give 0.

        May run beside another thread that makes room for more rows, not beside ``add``.
        """
        # the size first: arrays only grow
        size, split = self._size, len(self._base)
        scores = np.empty((len(queries), size), dtype=np.float32)
        scores[:, :split] = queries @ self._base.T
        scores[:, split:] = queries @ self._tail[: size - split].T
        if len(self._moved):
            scores[:, self._moved_rows] = queries @ self._moved.T
        return scores

    def search(
        self, query: Vectors, n: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The ``n`` nearest rows, best first.

        Args:
            query: (d,) unit vector.
            n: how many at most.
            allowed: (len,) filter, applied before the cut.
        """
        return _found(self.cosines(query), self.has[: self._size], n, allowed)

    def placed(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(n,) which rows can be compared with anything."""
        found = np.asarray(self.has[rows])
        return found | (self.lexical.language(rows) >= 0) if len(self.lexical) else found

    def similarities(self, rows: NDArray[np.integer], others: NDArray[np.integer]) -> Vectors:
        """(n, k) how alike rows are, 1 at most; NaN where their vectors are of two kinds, or missing."""
        found = self.take(rows) @ self.take(others).T
        mine, theirs = self.has[rows], self.has[others]
        if mine.all() and theirs.all():
            return np.asarray(found)
        found[~mine], found[:, ~theirs] = np.nan, np.nan
        if len(self.lexical):
            found = np.where(np.isnan(found), self.lexical.between(rows, others), found)
        return np.asarray(found)

    def against_all(self, row: int) -> tuple[Vectors, NDArray[np.bool_]]:
        """(n,) how alike a row is with every row, and which rows can be compared with it at all."""
        if not self.has[row]:
            return self.lexical.against_all(row, self._size)
        return self.cosines(self.take(np.array([row]))[0]), self.has[: self._size]

    def nearest(
        self, row: int, n: int, allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The ``n`` nearest rows of a placed row, the filter applied before the cut; itself among them."""
        scores, comparable = self.against_all(row)
        return _found(scores, comparable, n, allowed)


def _found(
    scores: NDArray[np.float32], mask: NDArray[np.bool_], n: int, allowed: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    if allowed is not None:
        mask = mask & allowed[: len(mask)]
    rows = np.flatnonzero(mask)
    best = best_of(scores[rows], n)
    return rows[best].astype(np.int32), scores[rows[best]]


class Neighbours:
    """The ``k`` nearest rows of every row, so that a request does no search.

    Args:
        rows: (n, k) int32, best first, -1 where there are fewer.
        cosines: (n, k) float32, -inf where there are fewer.
    """

    def __init__(self, rows: NDArray[np.int32], cosines: NDArray[np.float32]) -> None:
        self._rows, self._cosines = GrowingRows(rows, -1), GrowingRows(cosines, -np.inf)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> NDArray[np.int32]:
        """(n, k) of all rows; a copy once there are more than at the beginning."""
        return self._rows.whole()

    @property
    def cosines(self) -> NDArray[np.float32]:
        """(n, k) of all rows; a copy once there are more than at the beginning."""
        return self._cosines.whole()

    @classmethod
    def compute(cls, vectors: Vectors, k: int, block: int = BLOCK) -> "Neighbours":
        """Exact neighbours of all rows; zero rows get and give none.

        Args:
            vectors: (n, d) unit rows or zeros.
            k: neighbours a row.
            block: rows multiplied at a time; memory is block * n * 4 bytes.
        """
        n = len(vectors)
        k = min(k, max(n - 1, 0))
        return cls(*nearest_of(np.arange(n), vectors, k, block))

    def place_group(
        self, members: NDArray[np.int32], likeness: Callable[[int, int], Vectors], block: int = BLOCK
    ) -> None:
        """Fill the lists of rows that are compared among themselves only.

        Args:
            members: (m,) rows.
            likeness: (b, m) of the members from one place to another with all members.
            block: members at a time.
        """
        k = min(self._rows.width, len(members) - 1)
        for start in range(0, len(members) if k > 0 else 0, block):
            stop = min(start + block, len(members))
            scores = likeness(start, stop)
            scores[np.arange(stop - start), np.arange(start, stop)] = -np.inf
            columns, values = highest(scores, k)
            self.rows[members[start:stop], :k] = members[columns]
            self.cosines[members[start:stop], :k] = values

    def of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows and cosines of the neighbours of ``row``, best first."""
        if row >= len(self):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        rows = self._rows.line(row)
        found = rows >= 0
        return rows[found], self._cosines.line(row)[found]

    def first_of(self, rows: NDArray[np.integer], n: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The ``n`` nearest of each of some rows, (m, n) rows and cosines; of what has none, none."""
        rows = rows[rows < len(self)]
        return self._rows.take(rows, slice(n)), self._cosines.take(rows, slice(n))

    def insert(self, row: int, cosines: NDArray[np.float32], has: NDArray[np.bool_]) -> None:
        """Put a new or changed article into its own list and into every list it belongs in.

        Args:
            row: the article.
            cosines: (n,) its cosine with every row.
            has: (n,) which rows carry a vector.
        """
        self.reserve(max(len(cosines), row + 1))
        self.put(row, self.plan(row, cosines, has))

    def plan(self, row: int, cosines: NDArray[np.float32], has: NDArray[np.bool_]) -> Places:
        """Where a new or changed article belongs, as for ``insert``; there is room for it (``reserve``)."""
        return places_of(row, cosines, has, self._rows, self._cosines)

    def put(self, row: int, places: Places) -> None:
        """Do what ``plan`` found; nothing else may have been put since."""
        if self._rows.width == 0:
            return
        self._drop(places.left, places.at)
        rows, cosines = self._rows.line(row), self._cosines.line(row)
        rows[:], cosines[:] = -1, -np.inf
        rows[: len(places.own)], cosines[: len(places.own)] = places.own, places.cosines
        self._place(places.wanted, row, places.values)

    def _place(self, lists: NDArray[np.intp], row: int, cosines: NDArray[np.float32]) -> None:
        widened = np.column_stack((self._cosines.take(lists), cosines))
        members = np.column_stack((self._rows.take(lists), np.full(len(lists), row, np.int32)))
        order = np.argsort(-widened, axis=1, kind="stable")[:, :-1]
        self._cosines.put(lists, np.take_along_axis(widened, order, axis=1))
        self._rows.put(lists, np.take_along_axis(members, order, axis=1))

    def _drop(self, lists: NDArray[np.intp], places: NDArray[np.intp]) -> None:
        """Close the gaps that a row leaves in the lists that held it."""
        for at, place in zip(lists.tolist(), places.tolist(), strict=True):
            rows, cosines = self._rows.line(at), self._cosines.line(at)
            rows[place:-1], cosines[place:-1] = rows[place + 1 :], cosines[place + 1 :]
            rows[-1], cosines[-1] = -1, -np.inf

    def reserve(self, size: int) -> None:
        """Make room for rows below ``size``; what is read meanwhile stays as it is."""
        k = self._rows.width
        width = k if k >= 50 else max(k, min(100, size - 1))
        if width > k:
            # of a catalogue that was too small for full lists: there is little to copy
            more = ((0, 0), (0, width - k))
            self._rows = GrowingRows(np.pad(self.rows, more, constant_values=-1), -1)
            self._cosines = GrowingRows(np.pad(self.cosines, more, constant_values=-np.inf), -np.inf)
        self._rows.reserve(size)
        self._cosines.reserve(size)


def duplicate_groups(neighbours: Neighbours, threshold: float) -> NDArray[np.int32]:
    """Groups of near-duplicates by cosine, joined transitively.

    Args:
        neighbours: of all n rows.
        threshold: cosine from which two articles are near-duplicates.

    Returns:
        (n,) lowest row of the group, -1 for articles without near-duplicate.
    """
    parent = np.arange(len(neighbours))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    lefts, places = np.nonzero(neighbours.cosines >= threshold)
    rights = neighbours.rows[lefts, places]
    for left, right in zip(lefts.tolist(), rights.tolist(), strict=True):
        a, b = root(left), root(right)
        parent[max(a, b)] = min(a, b)
    joined = np.union1d(lefts, rights)
    groups = np.full(len(parent), -1, dtype=np.int32)
    groups[joined] = [root(row) for row in joined.tolist()]
    return groups
