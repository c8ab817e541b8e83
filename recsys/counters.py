"""Counters with forward decay, and their best rows.

Source of the arithmetic: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay
Model for Streaming Systems", ICDE 2009. A mass is the plain sum of w * 2**((t - L) / H) and is read
as mass * 2**(-(now - L) / H), so that it does not depend on the order of events, adds up between
workers, and ranks articles without being touched as time passes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HOUR = 3600.0
_MAX_EXPONENT = 400.0


class DecayedCounter:
    """Decayed masses of many articles at several half-lives.

    Args:
        half_lives_hours: the k half-lives.
        size: number of articles to begin with; grows by itself.
    """

    def __init__(self, half_lives_hours: Sequence[float], size: int = 0) -> None:
        self.half_lives = np.asarray(half_lives_hours, dtype=np.float64) * HOUR
        self.landmarks = np.full(len(self.half_lives), np.nan)
        self._masses = np.zeros((size, len(self.half_lives)))
        self._scaled: tuple[float, NDArray[np.float64]] | None = None
        self._held: NDArray[np.integer] = np.zeros(0, np.int32)
        self.size = size

    @property
    def masses(self) -> NDArray[np.float64]:
        """(n, k) float64 masses at the landmarks; comparable within a column."""
        return self._masses[: self.size]

    def resize(self, size: int) -> None:
        """Make room for ``size`` articles; never shrinks."""
        if size > len(self._masses):
            grown = np.zeros((max(size, int(len(self._masses) * 1.5) + 16), len(self.half_lives)))
            grown[: self.size] = self._masses[: self.size]
            self._masses = grown
        self.size = max(self.size, size)

    def add(
        self, rows: NDArray[np.integer], ts: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Count events; their order does not matter.

        Args:
            rows: (m,) article rows below ``size``.
            ts: (m,) unix seconds.
            weights: (m,) non-negative.

        Returns:
            (m, k) what was added, at the landmarks.
        """
        if len(rows) == 0:
            return np.zeros((0, len(self.half_lives)))
        self._move_landmarks(float(ts.max()))
        exponents = (ts[:, None] - self.landmarks) / self.half_lives
        amounts = weights[:, None] * np.exp2(exponents)
        np.add.at(self._masses, rows, amounts)
        return np.asarray(amounts)

    def _move_landmarks(self, latest: float) -> None:
        if np.isnan(self.landmarks[0]):
            self.landmarks[:], self._scaled = latest, None
            return
        steps = np.floor((latest - self.landmarks) / self.half_lives)
        for k in np.flatnonzero(steps > _MAX_EXPONENT):
            # whole half-lives: a power of two scales without rounding
            self._scale_column(int(k), float(np.exp2(-steps[k])))
            self.landmarks[k] += steps[k] * self.half_lives[k]
            self._scaled = None

    def _scale_column(self, column: int, factor: float) -> None:
        self._masses[:, column] *= factor

    def scale(self, now: float) -> NDArray[np.float64]:
        """(k,) factors that turn stored masses into masses at ``now`` (unix seconds)."""
        if self._scaled is None or self._scaled[0] != now:
            exponents = np.clip((self.landmarks - now) / self.half_lives, -1074.0, 1000.0)
            # without a landmark nothing was counted
            self._scaled = (now, np.nan_to_num(np.exp2(exponents)))
        return self._scaled[1]

    def read(self, now: float, column: int, rows: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Masses at ``now`` for one half-life, of ``rows`` or of all articles."""
        stored = self.masses[:, column] if rows is None else self._masses[rows, column]
        return np.asarray(stored * self.scale(now)[column])

    def any_mass(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(n,) whether anything was counted of these articles at any time."""
        return np.asarray(self._masses[rows, int(self.half_lives.argmax())] > 0.0)

    def hold(self, rows: NDArray[np.integer], masses: NDArray[np.float64], at: float) -> None:
        """State masses (n, k) of ``rows`` as of ``at`` (unix seconds) and nothing else; for replay."""
        self._masses[self._held] = 0.0
        self._masses[rows] = masses
        self._held, self.landmarks[:], self._scaled = rows, at, None

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Arrays that restore this counter."""
        return {"masses": self.masses.copy(), "landmarks": self.landmarks.copy()}

    def restore(self, masses: NDArray[np.float64], landmarks: NDArray[np.float64]) -> None:
        """Take over what ``state`` gave."""
        # room for what will be published: zeros that nobody touched take no memory
        self._masses = np.zeros((len(masses) + len(masses) // 4 + 64, len(self.half_lives)))
        self._masses[: len(masses)] = masses
        self.landmarks, self._scaled = np.array(landmarks, dtype=np.float64), None
        self.size = len(masses)


class TopRows:
    """The rows with the highest stored mass in one column, kept exactly while masses only grow."""

    def __init__(self, counter: DecayedCounter, column: int, keep: int = 1000) -> None:
        self._counter, self._column, self._keep = counter, column, keep
        self._rows: NDArray[np.int32] | None = None
        self._sorted = False

    def hold(self, rows: NDArray[np.int32]) -> None:
        """State which rows are the best; for replay."""
        self._rows, self._sorted = rows, False

    def rebuild(self) -> None:
        """Forget the cached order (after rows were restored)."""
        self._rows = None

    def touched(self, rows: NDArray[np.integer]) -> None:
        """Tell which masses grew."""
        if self._rows is not None:
            self._rows = np.union1d(self._rows, rows).astype(np.int32)
            self._sorted = False

    def is_cut(self) -> bool:
        """Whether rows with positive mass were left out of ``rows``."""
        return len(self.rows()) >= self._keep

    def all_rows(self) -> NDArray[np.int32]:
        """Every row with positive mass, best first; for filters that leave too few of ``rows``."""
        masses = self._counter.masses[:, self._column]
        rows = np.flatnonzero(masses > 0).astype(np.int32)
        return rows[np.argsort(-masses[rows], kind="stable")]

    def highest(self, now: float) -> float:
        """The highest mass at ``now``, 0 without events."""
        rows = self.rows()
        return float(self._counter.read(now, self._column, rows[:1])[0]) if len(rows) else 0.0

    def rows(self) -> NDArray[np.int32]:
        """Rows with positive mass, best first, at most about ``keep``."""
        if self._rows is None:
            self._rows = np.flatnonzero(self._counter.masses[:, self._column] > 0).astype(np.int32)
            self._sorted = False
        if not self._sorted:
            masses = self._counter.masses[self._rows, self._column]
            if len(self._rows) > self._keep:
                best = np.argpartition(-masses, self._keep)[: self._keep]
                self._rows, masses = self._rows[best], masses[best]
            self._rows = self._rows[np.argsort(-masses, kind="stable")]
            self._sorted = True
        return self._rows
