"""Articles grouped by meaning, several times over, and where readers go from one group to another.

One grouping cuts through the middle of topics; several groupings of different grain, each with its
own cuts, give a steady answer between them. Within a grouping the lift of co-reading says how much
likelier readers of one group are to read another (see ``recsys.affinity``), so that an article
nobody has read yet profits from what readers of its topic also read.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
_FLOOR = 0.05
_ROWS_AT_ONCE = 8192


class Topics:
    """Groupings of articles and the lifts between their groups; empty without a log.

    Attributes:
        centre: (d,) mean vector, taken off before a vector is compared.
        centroids: (m, k, d) unit rows of m groupings; a grouping of fewer than k groups ends in zeros.
        sizes: (m,) groups of each grouping.
        lifts: (m, k, k) row: what was read, column: what is offered; 1 says nothing.
        codes: (n, m) group of each catalogue row in each grouping, -1 without a vector.
    """

    def __init__(
        self,
        centre: Vectors | None = None,
        centroids: Vectors | None = None,
        sizes: NDArray[np.int32] | None = None,
        lifts: Vectors | None = None,
        codes: NDArray[np.int16] | None = None,
    ) -> None:
        self.centre = np.zeros(0, np.float32) if centre is None else centre
        self.centroids = np.zeros((0, 0, len(self.centre)), np.float32) if centroids is None else centroids
        self.sizes = np.zeros(0, np.int32) if sizes is None else sizes
        self.lifts = np.zeros((0, 0, 0), np.float32) if lifts is None else lifts
        self.codes = np.zeros((0, len(self.sizes)), np.int16) if codes is None else codes
        self._each = np.arange(len(self.sizes))

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def of(
        cls, centre: Vectors, groupings: Sequence[Vectors], lifts: Sequence[NDArray[np.float64]]
    ) -> "Topics":
        """Topics from centroids and lifts of groupings of different sizes.

        Args:
            centre: (d,).
            groupings: of each the (k_j, d) unit centroids.
            lifts: of each the (k_j, k_j) lifts.
        """
        sizes = np.array([len(rows) for rows in groupings], dtype=np.int32)
        most = int(sizes.max(initial=0))
        centroids = np.zeros((len(sizes), most, len(centre)), np.float32)
        padded = np.ones((len(sizes), most, most), np.float32)
        for at, (rows, lift) in enumerate(zip(groupings, lifts, strict=True)):
            centroids[at, : len(rows)] = rows
            padded[at, : len(lift), : len(lift)] = lift
        return cls(centre, centroids, sizes, padded)

    def groups_of(self, vectors: Vectors) -> NDArray[np.int16]:
        """(n, m) group of each vector (n, d) in each grouping; -1 for zero rows."""
        found = np.full((len(vectors), len(self)), -1, dtype=np.int16)
        for start in range(0, len(vectors) if len(self) else 0, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            has = np.flatnonzero(np.any(vectors[part] != 0.0, axis=1))
            turned = centred(vectors[part][has], self.centre)
            for at, size in enumerate(self.sizes.tolist()):
                found[start + has, at] = np.argmax(turned @ self.centroids[at, :size].T, axis=1)
        return found

    def place_all(self, vectors: Vectors) -> "Topics":
        """Group every catalogue row; ``vectors`` (n, d) by row."""
        self.codes = self.groups_of(vectors)
        return self

    def place(self, row: int, vector: Vectors | None) -> None:
        """Group one new or changed article; None where it has no vector."""
        self.resize(row + 1)
        if len(self):
            self.codes[row] = -1 if vector is None else self.groups_of(vector[None, :])[0]

    def resize(self, size: int) -> None:
        """Make room for ``size`` catalogue rows; never shrinks."""
        more = size - len(self.codes)
        if more > 0:
            blank = np.full((max(more, len(self.codes) // 8), len(self)), -1, np.int16)
            self.codes = np.vstack((self.codes, blank))

    def affinity(self, past: NDArray[np.int32], rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Mean over the groupings of the logarithm of the mean lift, (n,); NaN where nothing can be said.

        Args:
            past: (k,) catalogue rows that were read.
            rows: (n,) candidates.
        """
        size = len(self.codes)
        if len(self) == 0:
            return np.full(len(rows), np.nan)
        read = self.codes[past[past < size]]
        read = read[read[:, 0] >= 0]
        if len(read) == 0:
            return np.full(len(rows), np.nan)
        mean = self.lifts[self._each, read].mean(axis=0)
        told = np.log(mean + np.float32(_FLOOR))
        own = self.codes[np.where(rows < size, rows, 0)]
        known = (rows < size) & (own[:, 0] >= 0)
        found = told[self._each, np.where(known[:, None], own, 0)].mean(axis=1)
        return np.where(known, found.astype(np.float64), np.nan)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the bundle."""
        names = ("centre", "centroids", "sizes", "lifts", "codes")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Topics":
        """From what ``state`` gave; the codes are copied because serving adds to them."""
        found = cls(**{**arrays, "codes": np.array(arrays["codes"])})
        found.resize(len(found.codes) + len(found.codes) // 16)
        return found


def centred(vectors: Vectors, centre: Vectors) -> Vectors:
    """Unit rows of what is left of vectors (n, d) without the ``centre`` (d,)."""
    rest = vectors - centre
    lengths = np.linalg.norm(rest, axis=1, keepdims=True)
    return np.asarray(rest / np.maximum(lengths, 1e-9), dtype=np.float32)
