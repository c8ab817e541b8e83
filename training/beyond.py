"""What lists are like beyond accuracy: variety, reach, novelty, fairness of exposure, calibration."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import UNKNOWN
from recsys.state import State

Rows = NDArray[np.int32]
AT = 10
_SMOOTHED = 0.01


class Beyond:
    """Collects lists of several models.

    Args:
        state: for vectors, sections, versions of stories and how often an article was opened.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._listed: dict[str, Counter[int]] = {}
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._read: Counter[int] = Counter()

    def read(self, row: int) -> None:
        """An article that a reader opened; what sections are read is counted by these."""
        self._read[row] += 1

    def listed(self, model: str, rows: Rows) -> None:
        """One list of a model, best first; its first ten places count."""
        rows = rows[:AT]
        self._listed.setdefault(model, Counter()).update(rows.tolist())
        sums = self._sums.setdefault(model, np.zeros(5))
        distance = intra_list_distance(self._state, rows)
        if not np.isnan(distance):
            sums[:2] += (distance, 1.0)
        sums[2:4] += (near_duplicates(self._state, rows), 1.0)

    def measures(self) -> dict[str, dict[str, float | None]]:
        """By model.

        Returns:
            ``intra_list_distance`` (mean over pairs of a list of 1 - cosine, then over lists; Ziegler et
            al., WWW 2005), ``coverage@10`` (share of the servable catalogue that was listed at all),
            ``novelty`` (mean of -log2 of an article's share of all openings; Zhou et al., PNAS 2010),
            ``gini`` (of how often each servable article was listed), ``calibration`` (Kullback-Leibler
            divergence in nats from the sections that were read to those listed; Steck, RecSys 2018) and
            ``near_duplicates_per_list`` (pairs). None where it cannot be said.
        """
        return {model: self._of(model) for model in self._listed}

    def _of(self, model: str) -> dict[str, float | None]:
        catalog, listed = self._state.catalog, self._listed[model]
        distance, lists, duplicates, count, _ = self._sums[model].tolist()
        live = int(np.count_nonzero(catalog.servable[: len(catalog)]))
        shown = np.zeros(max(live, len(listed)))
        shown[: len(listed)] = list(listed.values())
        return {
            "intra_list_distance": distance / lists if lists else None,
            "coverage@10": len(listed) / max(live, 1),
            "novelty": self._novelty(listed),
            "gini": gini(shown),
            "calibration": divergence(self._sections(self._read), self._sections(listed)),
            "near_duplicates_per_list": duplicates / count if count else None,
        }

    def _novelty(self, listed: Counter[int]) -> float | None:
        counts = self._state.popularity.openings
        longest = int(np.argmax(counts.half_lives))
        masses = counts.masses[:, longest] * counts.scale(self._state.popularity.watermark)[longest]
        total = float(masses.sum())
        if total == 0.0:
            return None
        rows = np.array(list(listed), dtype=np.intp)
        surprise = -np.log2((masses[rows] + 1.0) / (total + len(masses)))
        return float(np.average(surprise, weights=list(listed.values())))

    def _sections(self, rows: Counter[int]) -> NDArray[np.float64]:
        codes = self._state.catalog.section
        found = np.zeros(len(self._state.catalog.sections.names))
        for row, times in rows.items():
            if codes[row] != UNKNOWN:
                found[codes[row]] += times
        return found


def intra_list_distance(state: State, rows: Rows) -> float:
    """Mean over pairs of 1 - cosine; NaN for fewer than two articles with a vector."""
    rows = rows[state.index.has[rows]]
    if len(rows) < 2:
        return float("nan")
    vectors = state.index.take(rows)
    cosines = (vectors @ vectors.T)[np.triu_indices(len(rows), 1)]
    return float(1.0 - cosines.mean())


def near_duplicates(state: State, rows: Rows) -> int:
    """Articles of a list that repeat the story or the text of an earlier one."""
    repeated = np.zeros(len(rows), dtype=bool)
    for codes in (state.catalog.story[rows], state.catalog.duplicate[rows]):
        first = np.zeros(len(rows), dtype=bool)
        first[np.unique(codes, return_index=True)[1]] = True
        repeated |= ~first & (codes != UNKNOWN)
    return int(repeated.sum())


def gini(shown: NDArray[np.float64]) -> float | None:
    """Gini coefficient: 0 where all are shown alike, towards 1 where one takes everything.

    Example:
        >>> gini(np.array([1.0, 1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 1.0]))
        (0.0, 0.75)
    """
    total, n = float(shown.sum()), len(shown)
    if total == 0.0:
        return None
    places = np.arange(1, n + 1)
    return float((2.0 * places - n - 1.0) @ np.sort(shown) / (n * total))


def divergence(wanted: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Kullback-Leibler divergence in nats of two counts; ``given`` takes 1% of ``wanted`` in, as Steck does.

    Example:
        >>> divergence(np.array([1.0, 1.0]), np.array([5.0, 5.0]))
        0.0
    """
    if wanted.sum() == 0.0 or given.sum() == 0.0:
        return None
    p, q = wanted / wanted.sum(), given / given.sum()
    q = (1.0 - _SMOOTHED) * q + _SMOOTHED * p
    inside = p > 0
    return float((p[inside] * np.log(p[inside] / q[inside])).sum())
