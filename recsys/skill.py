"""How well scores foretell the clicks of lists that were shown, corrected for the places' examination.

A click at place p of a list counts 1 / (examination of p), and is worth the share of the list's other
articles that the score puts below the clicked one; half of ties. The skill is the weighted mean of that
share, less 0.5: 0 for scores that know nothing, even where readers look at the top only and the top was
chosen by the same scores (inverse propensities: Joachims, Swaminathan, Schnabel, WSDM 2017).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959964


class Interval(NamedTuple):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


class Tally:
    """Clicks on shown lists, as seen by one or several scorers.

    Args:
        scorers: names of the scorers, in the order of their scores.
        least: examination below this counts as this, which bounds the weight of one click.
    """

    def __init__(self, scorers: Sequence[str], least: float = 0.05) -> None:
        self.scorers, self.lists = tuple(scorers), 0
        self._least = least
        self._weights: list[float] = []
        self._shares: list[list[float]] = []
        self._readers: list[int] = []
        self._reader_of: dict[str, int] = {}

    @property
    def clicks(self) -> int:
        """Clicks that were counted."""
        return len(self._weights)

    def add(
        self,
        scores: Sequence[Sequence[float]],
        clicked: Sequence[int],
        examination: NDArray[np.float64],
        reader: str,
    ) -> None:
        """Count one list with at least one click and one other article.

        Args:
            scores: by scorer, of the n articles; a list with one that is no number says nothing.
            clicked: positions (from 0) that were clicked.
            examination: (n,) of the places.
            reader: whose lists are not independent of each other.
        """
        table = np.asarray(scores, dtype=np.float64)
        if table.shape[1] < 2 or not clicked or not np.isfinite(table).all():
            return
        self.lists += 1
        number = self._reader_of.setdefault(reader, len(self._reader_of))
        for at in clicked:
            own = table[:, at : at + 1]
            below = (table < own).sum(axis=1) + 0.5 * ((table == own).sum(axis=1) - 1)
            self._weights.append(1.0 / max(float(examination[at]), self._least))
            self._shares.append((below / (table.shape[1] - 1)).tolist())
            self._readers.append(number)

    def skill(self, scorer: str) -> Interval:
        """Skill of one scorer; NaN without clicks."""
        return self._mean(self._column(scorer) - 0.5)

    def difference(self, scorer: str, other: str) -> Interval:
        """Skill of one scorer less that of another, on the same clicks."""
        return self._mean(self._column(scorer) - self._column(other))

    def _column(self, scorer: str) -> NDArray[np.float64]:
        shares = np.array(self._shares, dtype=np.float64).reshape(-1, len(self.scorers))
        return np.asarray(shares[:, self.scorers.index(scorer)])

    def _mean(self, values: NDArray[np.float64]) -> Interval:
        """Weighted mean; its interval by the delta method, clustered by reader."""
        weights = np.array(self._weights)
        if len(weights) == 0:
            return Interval(math.nan, math.nan, math.nan)
        mean = float(weights @ values / weights.sum())
        off = np.bincount(self._readers, weights * (values - mean))
        few = len(off) / max(len(off) - 1, 1)
        spread = _Z95 * math.sqrt(few * float(off @ off)) / float(weights.sum())
        return Interval(mean, mean - spread, mean + spread)


def clicked_places(article_ids: Sequence[str], clicks: Mapping[str, object]) -> list[int]:
    """Positions (from 0) of the articles that were clicked."""
    return [at for at, article_id in enumerate(article_ids) if article_id in clicks]
