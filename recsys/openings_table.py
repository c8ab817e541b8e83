"""Openings of readers in blocks of memory, 8 bytes each: an article and a sixteenth of a second."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Openings = NDArray[np.uint64]

# unix time in sixteenths of a second, 36 bits (until 2106), above the row plus one, 28 bits; 0 is none
TICKS = 16
_SHIFT, _ROW = np.uint64(28), np.uint64((1 << 28) - 1)
_LATEST = (1 << 36) - 1
_BLOCK = 1024


def tick_of(ts: float) -> int:
    """The sixteenth of a second that a time (unix seconds) lies in."""
    return min(max(int(ts * TICKS // 1), 0), _LATEST)


def packed(row: int, tick: int) -> int:
    """An opening as one number; later ones are larger."""
    return tick << 28 | row + 1


def rows_of(openings: Openings) -> NDArray[np.int32]:
    """Articles of openings, -1 where there is none."""
    return np.asarray((openings & _ROW).astype(np.int32) - np.int32(1))


def holds(line: Openings, row: int) -> NDArray[np.bool_]:
    """Which openings are of an article."""
    return np.asarray((line & _ROW) == row + 1)


def times_of(openings: Openings) -> NDArray[np.float64]:
    """Unix seconds of openings, -inf where there is none."""
    return np.asarray(np.where(openings == 0, -np.inf, (openings >> _SHIFT) / TICKS))


class OpeningsTable:
    """A line of ``length`` openings for each reader, in blocks: growing copies nothing.

    Args:
        length: openings a line.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._blocks: list[Openings] = []

    def line(self, slot: int) -> Openings:
        """(length,) openings of a slot, to be changed in place; a new slot is empty."""
        while slot >= len(self._blocks) * _BLOCK:
            # memory of zeros that nobody wrote to takes none
            self._blocks.append(np.zeros((_BLOCK, self.length), np.uint64))
        line: Openings = self._blocks[slot // _BLOCK][slot % _BLOCK]
        return line

    def fill(self, rows: NDArray[np.int32], ts: NDArray[np.float64]) -> None:
        """Take over rows and times, (n, k) each, as lines 0 to n - 1."""
        width = min(self.length, rows.shape[1])
        for start in range(0, len(rows), _BLOCK):
            part, times = rows[start : start + _BLOCK, :width], ts[start : start + _BLOCK, :width]
            ticks = np.clip(np.floor(np.where(part < 0, 0.0, times) * TICKS), 0, _LATEST).astype(np.uint64)
            block = np.zeros((_BLOCK, self.length), np.uint64)
            block[: len(part), :width] = np.where(part < 0, 0, ticks << _SHIFT | (part + 1).astype(np.uint64))
            self._blocks.append(block)

    def lines(self, slots: NDArray[np.intp]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(n, length) rows and times of slots."""
        rows, ts = np.empty((len(slots), self.length), np.int32), np.empty((len(slots), self.length))
        order = np.argsort(slots)
        bounds = np.searchsorted(slots[order], np.arange(len(self._blocks) + 1) * _BLOCK).tolist()
        for block, (begin, end) in zip(self._blocks, pairwise(bounds), strict=True):
            own = order[begin:end]
            openings = block[slots[own] % _BLOCK]
            rows[own], ts[own] = rows_of(openings), times_of(openings)
        return rows, ts
