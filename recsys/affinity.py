"""How much likelier readers of one group of articles are to read another: the lift of co-reading.

Groups are sections or subsections. The lift of group b for readers of a is P(b | a read) / P(b); it
is 1 where reading a says nothing about b, and is shrunk towards 1 where little was read.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_FLOOR = 0.05


class Affinity:
    """Lifts between groups.

    Attributes:
        lift_: (g, g) float64, row: what was read, column: what is offered; 1 says nothing.
    """

    def __init__(self, lift: NDArray[np.float64] | None = None) -> None:
        self.lift_ = np.ones((0, 0)) if lift is None else lift

    def fit(self, pasts: Iterable[NDArray[np.int32]], groups: int, shrinkage: float = 20.0) -> "Affinity":
        """Learn from what readers opened.

        Args:
            pasts: group codes of each reader's openings; negative codes are left out. A reader's
                pairs weigh together as much as their openings, so that nobody counts by the square.
            groups: number of groups.
            shrinkage: readings that speak for "no lift".
        """
        together = np.zeros((groups, groups))
        for past in pasts:
            codes = past[past >= 0]
            if len(codes) < 2:
                continue
            read, counts = np.unique(codes, return_counts=True)
            pairs = np.outer(counts, counts).astype(np.float64)
            pairs[np.diag_indices(len(read))] -= counts
            together[np.ix_(read, read)] += pairs / (len(codes) - 1)
        total = float(together.sum())
        share = together.sum(axis=0) / total if total else np.zeros(groups)
        expected = together.sum(axis=1, keepdims=True) * share
        strength = shrinkage * share[None, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            lift = (together + strength) / (expected + strength)
        self.lift_ = np.where(np.isfinite(lift), lift, 1.0)
        return self

    def of(self, past: NDArray[np.int32], offered: NDArray[np.int32]) -> NDArray[np.float64]:
        """Logarithm of the mean lift of each offered group, (n,); NaN where nothing can be said.

        Args:
            past: (k,) groups of what was read, negative for none.
            offered: (n,) groups of the candidates.
        """
        size = len(self.lift_)
        past = past[(past >= 0) & (past < size)]
        if len(past) == 0:
            return np.full(len(offered), np.nan)
        mean = self.lift_[past].mean(axis=0)
        known = (offered >= 0) & (offered < size)
        return np.where(known, np.log(mean[np.where(known, offered, 0)] + _FLOOR), np.nan)
