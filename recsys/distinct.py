"""One reader counts once per article, window of time and kind of event."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR
from recsys.key_sets import KeySet

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_WINDOWS_KEPT = 3
_ONE = np.zeros(1, np.intp)


def windows_of(ts: NDArray[np.float64], hours: float) -> NDArray[np.int64]:
    """(m,) number of the window that each time (unix seconds) lies in."""
    return np.asarray(np.floor(ts / (hours * HOUR)).astype(np.int64))


def keys_of(
    readers: NDArray[np.uint64], rows: NDArray[np.int32], windows: NDArray[np.int64], kind: int
) -> NDArray[np.uint64]:
    """(m,) 64-bit keys: events with equal keys count once."""
    with np.errstate(over="ignore"):
        mixed = readers * _MIX[0] ^ (rows.astype(np.uint64) + np.uint64(kind)) * _MIX[1]
        mixed ^= windows.astype(np.uint64) * _MIX[2]
        mixed ^= mixed >> np.uint64(29)
        return np.asarray(mixed * _MIX[1] + np.uint64(kind))


class DistinctReaders:
    """Remembers who counted, for the newest windows.

    Args:
        window_hours: length of a window.
    """

    def __init__(self, window_hours: float) -> None:
        self._hours = window_hours
        self._seen: dict[int, KeySet] = {}

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def first(
        self, readers: NDArray[np.uint64], rows: NDArray[np.int32], ts: NDArray[np.float64], kind: int
    ) -> NDArray[np.intp]:
        """Positions of the first event of each (reader, article, window, kind), in time order."""
        windows = windows_of(ts, self._hours)
        keys = keys_of(readers, rows, windows, kind)
        if len(keys) == 1:
            return _ONE[: int(self._of(int(windows[0])).add_one(int(keys[0])))]
        order = np.argsort(ts, kind="stable")
        _, first = np.unique(keys[order], return_index=True)
        first = order[np.sort(first)]
        if len(first) == 0:
            return first
        begins = np.flatnonzero(np.diff(windows[first])) + 1
        parts = np.split(first, begins) if len(begins) else [first]
        return np.concatenate([part[self._of(int(windows[part[0]])).add(keys[part])] for part in parts])

    def _of(self, window: int) -> KeySet:
        seen = self._seen.get(window)
        if seen is None:
            seen = self._seen[window] = KeySet()
            for old in sorted(self._seen)[:-_WINDOWS_KEPT]:
                if old != window:
                    del self._seen[old]
        return seen

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for the bundle."""
        windows = sorted(self._seen)
        keys = [np.zeros(0, np.uint64), *(self._seen[window].sorted() for window in windows)]
        lengths = [len(self._seen[window]) for window in windows]
        return {
            "seen_windows": np.repeat(windows, lengths).astype(np.int64),
            "seen_keys": np.concatenate(keys),
        }

    def restore(self, windows: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Take over what ``state`` gave."""
        for window in np.unique(windows).tolist():
            self._of(window).add(np.unique(keys[windows == window]))
