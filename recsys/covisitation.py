"""Which articles are read by the same readers, near each other in time.

A pair of openings counts by how close the two are in the reader's order; the article that was read
later counts fully, the earlier one by ``backward``. Counts become a similarity by dividing by the
articles' own masses, with a shrinkage that keeps pairs seen once from the top (the item-to-item
scheme of Linden, Smith, York, IEEE Internet Computing 2003, with the shrinkage of Koren, KDD 2008).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.config import CovisitationConfig

_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True)
class Trails:
    """What readers opened, one visit after the other.

    Attributes:
        rows: (m,) int32 articles, within a visit oldest first and each once.
        visits: (m,) rising numbers; equal ones belong together.
        weights: (m,) what an opening counts, for instance by its age.
    """

    rows: NDArray[np.int32]
    visits: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairSums:
    """What pairs of articles count together, in both directions.

    Attributes:
        left, right: (p,) int64 different articles.
        together: (p,) float64 sums.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    together: NDArray[np.float64]


class Covisitation:
    """For each article the articles that its readers also read.

    Attributes:
        rows_: (n, k) int32 articles, best first, -1 where there are fewer.
        similarities_: (n, k) float32, 0 and above.
    """

    def __init__(self, config: CovisitationConfig) -> None:
        self.config = config
        self.rows_ = np.full((0, config.neighbours), -1, dtype=np.int32)
        self.similarities_ = np.zeros((0, config.neighbours), dtype=np.float32)

    def fit(self, trails: Trails, size: int) -> "Covisitation":
        """Count pairs and keep each article's best.

        Args:
            trails: openings of readers.
            size: number of articles.
        """
        return self.fit_sums(self.pair_sums(trails, size), trails, size)

    def pair_sums(self, trails: Trails, size: int) -> PairSums:
        """What pairs within reach count; see ``fit``."""
        table = _Pairs(size)
        for gap in range(1, self.config.reach + 1):
            for start in range(0, len(trails.rows) - gap, _AT_ONCE):
                self._count(trails, gap, slice(start, start + _AT_ONCE), table)
        return table.sums()

    def fit_sums(self, sums: PairSums, trails: Trails, size: int) -> "Covisitation":
        """Keep each article's best of pairs that were counted elsewhere."""
        masses = np.bincount(trails.rows, trails.weights, minlength=size).astype(np.float64)
        similarities = self._similarity(sums.together, masses[sums.left], masses[sums.right])
        self.rows_, self.similarities_ = _best(
            sums.left, sums.right, similarities, size, self.config.neighbours
        )
        return self

    def _count(self, trails: Trails, gap: int, part: slice, table: "_Pairs") -> None:
        after = slice(part.start + gap, part.stop + gap)
        visits = trails.visits[after]
        same = trails.visits[part][: len(visits)] == visits
        earlier = trails.rows[part][: len(visits)][same].astype(np.int64)
        later = trails.rows[after][same].astype(np.int64)
        weight = trails.weights[after][same] / gap**self.config.closeness
        table.add(earlier, later, weight)
        table.add(later, earlier, self.config.backward * weight)

    def _similarity(
        self, together: NDArray[np.float64], own: NDArray[np.float64], other: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        balance = self.config.popularity_balance
        shrunk = together * together / (together + self.config.shrinkage)
        return np.asarray(shrunk / (own ** (1.0 - balance) * (other + 1.0) ** balance))

    def of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Articles read with one article and how much, best first."""
        if row >= len(self.rows_):
            return self.rows_[:0, 0], self.similarities_[:0, 0]
        found = self.rows_[row] >= 0
        return self.rows_[row][found], self.similarities_[row][found]

    def scores(self, past: NDArray[np.int32], size: int) -> NDArray[np.float64]:
        """(size,) sums of similarity to what was read, (k,) most recent first, recent ones counting more."""
        total = np.zeros(size)
        for place, row in enumerate(past[: self.config.past].tolist()):
            rows, similarities = self.of(row)
            total[rows] += similarities * self.config.recency**place
        return total

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the bundle."""
        return {"rows": self.rows_, "similarities": self.similarities_}

    def restore(self, rows: NDArray[np.int32], similarities: NDArray[np.float32]) -> None:
        """Take over what ``state`` gave."""
        self.rows_, self.similarities_ = rows, similarities


class _Pairs:
    """Sums of weights by pair, folded together as they come so that memory stays bounded."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._keys, self._sums = np.zeros(0, np.int64), np.zeros(0)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        self._count = 0

    def add(self, left: NDArray[np.int64], right: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        self._waiting.append((left * self._size + right, weights))
        self._count += len(left)
        if self._count >= 4 * _AT_ONCE:
            self._fold()

    def _fold(self) -> None:
        if self._waiting:
            keys = np.concatenate((self._keys, *(keys for keys, _ in self._waiting)))
            weights = np.concatenate((self._sums, *(weights for _, weights in self._waiting)))
            self._keys, place = np.unique(keys, return_inverse=True)
            self._sums = np.asarray(np.bincount(place, weights, minlength=len(self._keys)), dtype=np.float64)
            self._waiting, self._count = [], 0

    def sums(self) -> PairSums:
        """Everything added; a row is never paired with itself."""
        self._fold()
        left, right = np.divmod(self._keys, self._size)
        apart = left != right
        return PairSums(left[apart], right[apart], self._sums[apart])


def _best(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    similarities: NDArray[np.float64],
    size: int,
    keep: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    rows = np.full((size, keep), -1, dtype=np.int32)
    values = np.zeros((size, keep), dtype=np.float32)
    order = np.lexsort((right, -similarities, left))
    left, right, similarities = left[order], right[order], similarities[order]
    starts = np.searchsorted(left, np.arange(size))
    place = np.arange(len(left)) - starts[left] if len(left) else np.zeros(0, np.int64)
    inside = place < keep
    rows[left[inside], place[inside]] = right[inside]
    values[left[inside], place[inside]] = similarities[inside]
    return rows, values
