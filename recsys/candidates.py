"""The one carrier between the stages of the funnel: parallel arrays, never changed in place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Floats = NDArray[np.float64]

SOURCES = ("similar", "popular", "latest", "section", "priority", "history", "covisited", "pin", "explore")
SOURCE_BIT: Mapping[str, int] = {name: 1 << bit for bit, name in enumerate(SOURCES)}


@lru_cache
def source_names(mask: int) -> list[str]:
    """Names of the candidate generators in a source bit mask.

    Example:
        >>> source_names(3)
        ['similar', 'popular']
    """
    return [name for name, bit in SOURCE_BIT.items() if mask & bit]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Articles under consideration for one list.

    Attributes:
        rows: (n,) int32 catalogue rows, each at most once.
        sources: (n,) uint8 bit mask over ``SOURCES``.
        scores: (n,) float64, the sum of ``parts``; higher is better.
        parts: (n, k) float64 additive parts of the score.
        names: the k names of the parts.
    """

    rows: Rows
    sources: NDArray[np.uint8]
    scores: Floats
    parts: Floats
    names: tuple[str, ...]

    @classmethod
    def of(cls, rows: Rows, sources: NDArray[np.uint8]) -> "Candidates":
        """Unscored candidates."""
        n = len(rows)
        return cls(rows, sources, np.zeros(n), np.zeros((n, 0)), ())

    @classmethod
    def union(cls, groups: list[tuple[str, Rows]]) -> "Candidates":
        """Candidates of several generators, each article once, with all its sources."""
        rows = np.concatenate([rows for _, rows in groups]) if groups else np.zeros(0, np.int32)
        bits = np.concatenate([np.full(len(rows), SOURCE_BIT[name], np.uint8) for name, rows in groups])
        order = np.argsort(rows, kind="stable")
        rows, bits = rows[order], bits[order]
        if len(rows) == 0:
            return cls.of(rows.astype(np.int32), bits)
        starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        return cls.of(rows[starts].astype(np.int32), np.bitwise_or.reduceat(bits, starts))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Candidates":
        """The candidates at ``index`` (positions, a mask or a slice), in that order."""
        return Candidates(
            self.rows[index], self.sources[index], self.scores[index], self.parts[index], self.names
        )

    def with_parts(self, parts: Floats, names: tuple[str, ...]) -> "Candidates":
        """The same candidates scored by the sum of ``parts`` (n, k)."""
        return Candidates(self.rows, self.sources, parts.sum(axis=1), parts, names)

    def plus_part(self, name: str, values: Floats) -> "Candidates":
        """One more additive part, (n,)."""
        parts = np.concatenate((self.parts, values[:, None]), axis=1)
        return Candidates(self.rows, self.sources, self.scores + values, parts, (*self.names, name))

    def ordered(self, published: Floats, id_ranks: Callable[[Rows], NDArray[np.intp]]) -> "Candidates":
        """Best first; ties break by recency, then by id.

        Args:
            published: (n,) unix seconds of these candidates, NaN counts as oldest.
            id_ranks: gives the places of rows in the order of their ids; asked only where there are ties.
        """
        age = np.where(np.isnan(published), np.inf, -published)
        worst = -self.scores
        order = np.lexsort((age, worst))
        first, second = worst[order], age[order]
        tied = np.flatnonzero((first[1:] == first[:-1]) & (second[1:] == second[:-1]))
        if len(tied):
            among = order[np.union1d(tied, tied + 1)]
            ranks = np.zeros(len(order), dtype=np.intp)
            ranks[among] = id_ranks(self.rows[among])
            order = np.lexsort((ranks, age, worst))
        return self.take(order)
