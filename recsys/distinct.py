"""One reader counts once per article, window of time and kind of event."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_WINDOWS_KEPT = 3


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
        self._seen: dict[int, set[int]] = {}

    def first(
        self, readers: NDArray[np.uint64], rows: NDArray[np.int32], ts: NDArray[np.float64], kind: int
    ) -> NDArray[np.intp]:
        """Positions of the first event of each (reader, article, window, kind), in time order."""
        windows = windows_of(ts, self._hours)
        keys = keys_of(readers, rows, windows, kind)
        order = np.argsort(ts, kind="stable")
        _, first = np.unique(keys[order], return_index=True)
        first = order[np.sort(first)]
        fresh = [i for i in first.tolist() if self._is_new(int(windows[i]), int(keys[i]))]
        return np.array(fresh, dtype=np.intp)

    def _is_new(self, window: int, key: int) -> bool:
        seen = self._seen.get(window)
        if seen is None:
            seen = self._seen[window] = set()
            for old in sorted(self._seen)[:-_WINDOWS_KEPT]:
                if old != window:
                    del self._seen[old]
        if key in seen:
            return False
        seen.add(key)
        return True

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for the bundle."""
        windows = sorted(self._seen)
        return {
            "seen_windows": np.repeat(windows, [len(self._seen[w]) for w in windows]).astype(np.int64),
            "seen_keys": np.array([k for w in windows for k in sorted(self._seen[w])], dtype=np.uint64),
        }

    def restore(self, windows: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Take over what ``state`` gave."""
        for window, key in zip(windows.tolist(), keys.tolist(), strict=True):
            self._seen.setdefault(window, set()).add(key)
