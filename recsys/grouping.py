"""Decayed masses of articles with their sums over groups: sections, subsections, authors, everything.

The sums are kept while events are counted, so that a section's popularity or click-through rate is
one look-up instead of a sum over the whole catalogue. They stand at the landmarks of the articles'
own masses, which makes moving an article to another section an exact sum as well.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.counters import DecayedCounter

LEVELS = ("everything", "section", "subsection", "author")
NO_GROUP = -1
Codes = NDArray[np.int32]


class Grouping:
    """Which group each article is counted in; ``everything`` has the one group 0.

    Attributes:
        codes: by level, (n,) int32 group of each row, -1 for none.
        counts: by level, number of groups.
        seen: whatever the owner compares to know that nothing changed.
    """

    def __init__(self) -> None:
        self.codes: dict[str, Codes] = {level: np.zeros(0, np.int32) for level in LEVELS}
        self.counts = dict.fromkeys(LEVELS, 0) | {"everything": 1}
        self.seen: object = None

    def resize(self, size: int) -> None:
        """Room for ``size`` articles; the new ones have no section."""
        for level, codes in self.codes.items():
            if size > len(codes):
                grown = np.full(
                    max(size + size // 8, int(len(codes) * 1.5)) + 16,
                    0 if level == "everything" else NO_GROUP,
                    np.int32,
                )
                grown[: len(codes)] = codes
                self.codes[level] = grown

    def assign(self, level: str, codes: Codes, count: int) -> tuple[NDArray[np.intp], Codes]:
        """Give every article its group.

        Args:
            level: one of ``LEVELS``.
            codes: (n,) of the first n articles.
            count: number of groups.

        Returns:
            The rows whose group changed, and the groups they were in before.
        """
        self.resize(len(codes))
        own = self.codes[level]
        changed = np.flatnonzero(own[: len(codes)] != codes)
        before = own[changed]
        own[changed] = codes[changed]
        self.counts[level] = max(count, self.counts[level])
        return changed, before


class GroupedCounter(DecayedCounter):
    """Decayed masses of articles and of their groups.

    Args:
        half_lives_hours: the k half-lives.
        grouping: shared by the counters of one catalogue.
        size: number of articles to begin with.
    """

    def __init__(self, half_lives_hours: Sequence[float], grouping: Grouping, size: int = 0) -> None:
        super().__init__(half_lives_hours, size)
        self._grouping = grouping
        # row 0 gathers what has no group and is never read
        self._sums = {level: np.zeros((1, len(self.half_lives))) for level in LEVELS}

    def add(
        self, rows: NDArray[np.integer], ts: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See ``DecayedCounter.add``; the groups of the articles grow as well."""
        amounts = super().add(rows, ts, weights)
        if len(rows):
            self._fit()
            self._sums["everything"][1] += amounts.sum(axis=0)
            for level in LEVELS[1:]:
                if self._grouping.counts[level] == 0:
                    continue
                np.add.at(self._sums[level], self._grouping.codes[level][rows] + 1, amounts)
        return amounts

    def read_groups(self, now: float, column: int, level: str, codes: Codes) -> NDArray[np.float64]:
        """Masses of groups at ``now`` for one half-life; (n,), NaN for the code -1."""
        self._fit()
        masses = self._sums[level][codes + 1, column] * self.scale(now)[column]
        return np.where(codes == NO_GROUP, np.nan, masses)

    def total(self, now: float, column: int) -> float:
        """Mass of all articles together at ``now`` for one half-life."""
        self._fit()
        return float(self._sums["everything"][1, column] * self.scale(now)[column])

    def regroup(self, level: str, rows: NDArray[np.intp], before: Codes) -> None:
        """Take articles along that changed their group.

        Args:
            level: one of ``LEVELS``.
            rows: the articles.
            before: the groups they were in.
        """
        self._fit()
        rows_in_use = rows < self.size
        rows, before = rows[rows_in_use], before[rows_in_use]
        masses = self._masses[rows]
        counted = masses.any(axis=1)
        codes = self._grouping.codes[level]
        if (before[counted] == NO_GROUP).all():
            np.add.at(self._sums[level], codes[rows[counted]] + 1, masses[counted])
        else:
            # summed anew rather than subtracted: a difference would leave rounding errors behind
            self._sums[level][:] = 0.0
            np.add.at(self._sums[level], codes[: self.size] + 1, self.masses)

    def _fit(self) -> None:
        for level, sums in self._sums.items():
            more = self._grouping.counts[level] + 1 - len(sums)
            if more > 0:
                self._sums[level] = np.vstack((sums, np.zeros((more, sums.shape[1]))))

    def _scale_column(self, column: int, factor: float) -> None:
        super()._scale_column(column, factor)
        for sums in self._sums.values():
            sums[:, column] *= factor

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Arrays that restore this counter."""
        self._fit()
        return super().state() | {level: sums[1:].copy() for level, sums in self._sums.items()}

    def restore(
        self,
        masses: NDArray[np.float64],
        landmarks: NDArray[np.float64],
        **sums: NDArray[np.float64],
    ) -> None:
        """Take over what ``state`` gave."""
        super().restore(masses, landmarks)
        for level, values in sums.items():
            none = np.zeros((1, len(self.half_lives)))
            self._sums[level] = np.vstack((none, np.asarray(values, dtype=np.float64)))

    def hold_groups(self, sums: Mapping[str, tuple[Codes, NDArray[np.float64]]]) -> None:
        """State masses of groups as of the landmarks, by level as (codes, masses (g, k)); for replay."""
        self._fit()
        for level, (codes, masses) in sums.items():
            self._sums[level][codes + 1] = masses
