"""What readers opened lately, in a compact table: at most ``length`` openings a reader."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.config import ProfileConfig


def reader_key(reader: str) -> int:
    """64-bit key of a reader (``u:...`` or ``s:...``); the name itself is not kept."""
    return int.from_bytes(hashlib.blake2b(reader.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader's past as the funnel sees it.

    Attributes:
        rows: (k,) int32 opened articles, the most recent first, each once.
        hidden: rows the reader does not want to see.
    """

    rows: NDArray[np.int32]
    hidden: frozenset[int] = field(default_factory=frozenset)


class Histories:
    """Recent openings of many readers; the least recently active are forgotten first."""

    def __init__(self, config: ProfileConfig, readers: int = 1024) -> None:
        self._length, self._limit = config.history_length, config.max_readers
        readers = max(1, min(readers, self._limit))
        self._rows = np.full((readers, self._length), -1, dtype=np.int32)
        self._ts = np.full((readers, self._length), -np.inf)
        self._slots: OrderedDict[int, int] = OrderedDict()
        self._free: list[int] = []
        self._hidden: dict[int, set[int]] = {}
        self._doubted: dict[int, set[int]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def _slot(self, key: int, trusted: bool = True) -> int:
        slot = self._slots.get(key)
        if slot is not None:
            if trusted:
                self._slots.move_to_end(key)
            return slot
        if len(self._slots) >= self._limit:
            self.forget(next(iter(self._slots)))
        slot = self._free.pop() if self._free else len(self._slots)
        if slot >= len(self._rows):
            more = min(max(2 * len(self._rows), 16), max(self._limit, slot + 1)) - len(self._rows)
            self._rows = np.vstack((self._rows, np.full((more, self._length), -1, np.int32)))
            self._ts = np.vstack((self._ts, np.full((more, self._length), -np.inf)))
        self._slots[key] = slot
        if not trusted:
            # the first to go: readers that somebody invents push out each other, never a real one
            self._slots.move_to_end(key, last=False)
        return slot

    def opened(self, key: int, row: int, ts: float, trusted: bool = True) -> None:
        """Note an opening; a repeat moves to its later time, late arrivals find their place.

        Args:
            key: of the reader.
            row: the article.
            ts: unix seconds.
            trusted: whether it may say something to other readers too.
        """
        slot = self._slot(key, trusted)
        if trusted:
            self._doubted.get(key, set()).discard(row)
        elif not self.has_opened(key, row):
            doubted = self._doubted.setdefault(key, set())
            doubted.add(row)
            if len(doubted) > 2 * self._length:
                doubted.intersection_update([*self._rows[slot].tolist(), row])
        rows, times = self._rows[slot], self._ts[slot]
        again = np.flatnonzero(rows == row)
        if len(again):
            at = int(again[0])
            if ts <= times[at]:
                return
            rows[at:-1], times[at:-1] = rows[at + 1 :].copy(), times[at + 1 :].copy()
            rows[-1], times[-1] = -1, -np.inf
        at = int(np.count_nonzero(times > ts))
        if at < self._length:
            rows[at + 1 :], times[at + 1 :] = rows[at:-1].copy(), times[at:-1].copy()
            rows[at], times[at] = row, ts

    def trail(self, key: int, ts: float, pause: float) -> NDArray[np.int32]:
        """What a reader opened before ``ts`` without a longer pause (seconds), most recent first.

        Only trusted openings: it is what pairs are made of.
        """
        slot = self._slots.get(key)
        if slot is None:
            return np.zeros(0, np.int32)
        earlier = (self._ts[slot] <= ts) & (self._rows[slot] >= 0)
        if doubted := self._doubted.get(key):
            earlier &= ~np.isin(self._rows[slot], tuple(doubted))
        rows, times = self._rows[slot][earlier], self._ts[slot][earlier]
        if len(times) and (ts - times[0] > pause or ts - times[-1] > pause):
            gaps = np.concatenate(((ts,), times[:-1])) - times
            broken = np.flatnonzero(gaps > pause)
            rows = rows[: broken[0]] if len(broken) else rows
        return np.asarray(rows)

    def has_opened(self, key: int, row: int) -> bool:
        """Whether a trusted opening of the article is remembered."""
        slot = self._slots.get(key)
        known = slot is not None and bool((self._rows[slot] == row).any())
        return known and row not in self._doubted.get(key, ())

    def hide(self, key: int, row: int) -> None:
        """Note that a reader does not want an article."""
        self._slot(key)
        self._hidden.setdefault(key, set()).add(row)

    def of(self, key: int) -> Reader:
        """The past of a reader; empty for an unknown one."""
        slot = self._slots.get(key)
        if slot is None:
            return Reader(np.zeros(0, np.int32))
        rows = self._rows[slot]
        return Reader(rows[rows >= 0].copy(), frozenset(self._hidden.get(key, ())))

    def forget(self, key: int) -> None:
        """Erase a reader."""
        slot = self._slots.pop(key, None)
        self._hidden.pop(key, None)
        self._doubted.pop(key, None)
        if slot is not None:
            self._rows[slot], self._ts[slot] = -1, -np.inf
            self._free.append(slot)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the bundle, the least recently active reader first."""
        slots = np.array(list(self._slots.values()), dtype=np.intp)
        hidden = [(key, row) for key, rows in self._hidden.items() for row in sorted(rows)]
        return {
            "reader_keys": np.array(list(self._slots), dtype=np.uint64),
            "reader_rows": self._rows[slots],
            "reader_ts": self._ts[slots],
            "hidden_keys": np.array([key for key, _ in hidden], dtype=np.uint64),
            "hidden_rows": np.array([row for _, row in hidden], dtype=np.int32),
        }

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Take over what ``state`` gave, cut to this table's length and limit."""
        keys = arrays["reader_keys"][-self._limit :]
        width = min(self._length, arrays["reader_rows"].shape[1])
        self._rows = np.full((max(len(keys), 1), self._length), -1, dtype=np.int32)
        self._ts = np.full((max(len(keys), 1), self._length), -np.inf)
        self._rows[: len(keys), :width] = arrays["reader_rows"][-len(keys) or None :, :width]
        self._ts[: len(keys), :width] = arrays["reader_ts"][-len(keys) or None :, :width]
        self._slots = OrderedDict((int(key), slot) for slot, key in enumerate(keys.tolist()))
        for key, row in zip(arrays["hidden_keys"].tolist(), arrays["hidden_rows"].tolist(), strict=True):
            self._hidden.setdefault(int(key), set()).add(int(row))
