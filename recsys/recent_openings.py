"""The openings of the last days one by one, for counts in a plain window: 16 bytes each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR

_LENGTH = 65_536


class _Block:
    """So many openings in the order in which they came."""

    def __init__(self) -> None:
        # memory that nothing was written to costs nothing
        self.rows, self.ts = np.empty(_LENGTH, np.int32), np.empty(_LENGTH)
        self.weights = np.empty(_LENGTH, np.float32)
        self.count, self.newest = 0, float("-inf")

    def fill(
        self, rows: NDArray[np.int32], ts: NDArray[np.float64], weights: NDArray[np.floating[Any]]
    ) -> int:
        """Take as many as there is room for; how many that was."""
        begin, taken = self.count, min(len(rows), _LENGTH - self.count)
        end = begin + taken
        self.rows[begin:end], self.ts[begin:end] = rows[:taken], ts[:taken]
        self.weights[begin:end] = weights[:taken]
        if taken:
            self.count, self.newest = end, max(self.newest, float(ts[:taken].max()))
        return taken

    def after(self, begin: float) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float32]]:
        """Rows, times and weights of the openings later than ``begin`` (unix seconds)."""
        kept = self.ts[: self.count] > begin
        return self.rows[: self.count][kept], self.ts[: self.count][kept], self.weights[: self.count][kept]


class RecentOpenings:
    """Openings in blocks; one that lies wholly before the last days is let go.

    Args:
        keep_hours: older openings are forgotten.
    """

    NAMES = ("recent_rows", "recent_ts", "recent_weights")

    def __init__(self, keep_hours: float = 168.0) -> None:
        self._keep = keep_hours * HOUR
        self._blocks: list[_Block] = []
        self._newest = float("-inf")

    def add(
        self, rows: NDArray[np.int32], ts: NDArray[np.float64], weights: NDArray[np.floating[Any]]
    ) -> None:
        """Note openings and what each counts."""
        while len(rows):
            if not self._blocks or self._blocks[-1].count == _LENGTH:
                self._blocks = [block for block in self._blocks if block.newest > self._newest - self._keep]
                self._blocks.append(_Block())
            taken = self._blocks[-1].fill(rows, ts, weights)
            rows, ts, weights = rows[taken:], ts[taken:], weights[taken:]
            self._newest = max(self._newest, self._blocks[-1].newest)

    def counts(self, now: float, hours: float, size: int) -> NDArray[np.float64]:
        """(size,) openings with now - hours < ts <= now, of the days that are kept."""
        found, begin = np.zeros(size), max(now - hours * HOUR, self._newest - self._keep)
        for block in self._blocks:
            if block.newest > begin:
                rows, ts, weights = block.after(begin)
                inside = (ts <= now) & (rows < size)
                found += np.bincount(rows[inside], weights[inside], minlength=size)
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for the bundle."""
        nothing = (np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.float32))
        parts = [nothing, *(block.after(self._newest - self._keep) for block in self._blocks)]
        return {
            name: np.concatenate(one) for name, one in zip(self.NAMES, zip(*parts, strict=True), strict=True)
        }

    def restore(self, rows: NDArray[np.int32], ts: NDArray[np.float64], weights: NDArray[np.float32]) -> None:
        """Take over what ``state`` gave."""
        self._blocks, self._newest = [], float("-inf")
        self.add(rows, ts, weights)
