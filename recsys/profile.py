"""What readers opened lately: at most ``history_length`` openings a reader, some 550 bytes for 50."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.config import ProfileConfig
from recsys.lately_used import LatelyUsed
from recsys.openings_table import TICKS, Openings, OpeningsTable, holds, packed, rows_of, tick_of


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

    def __init__(self, config: ProfileConfig) -> None:
        self._limit = config.max_readers
        self._slots, self._table = LatelyUsed(), OpeningsTable(config.history_length)
        self._hidden: dict[int, set[int]] = {}
        self._doubted: dict[int, set[int]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def _slot(self, key: int, trusted: bool = True) -> int:
        slot = self._slots.get(key)
        if slot is not None:
            if trusted:
                self._slots.use(slot)
            return slot
        if len(self._slots) >= self._limit:
            self.forget(self._slots.oldest())
        # readers that somebody invents are the first to go: they push out each other, never a real one
        return self._slots.take(key, newest=trusted)

    def opened(self, key: int, row: int, ts: float, trusted: bool = True) -> None:
        """Note an opening; a repeat moves to its later time, late arrivals find their place.

        Args:
            key: of the reader.
            row: the article.
            ts: unix seconds; kept to a sixteenth of one.
            trusted: whether it may say something to other readers too.
        """
        line, tick = self._table.line(self._slot(key, trusted)), tick_of(ts)
        places = holds(line, row).nonzero()[0]
        if trusted:
            if key in self._doubted:
                self._doubted[key].discard(row)
        elif not len(places) or row in self._doubted.get(key, ()):
            self._doubt(key, row, line)
        end = int(places[0]) if len(places) else len(line) - 1
        if len(places) and tick <= int(line[end]) >> 28:
            return
        # mostly the latest of all
        at = 0 if tick >= int(line[0]) >> 28 else int(np.count_nonzero(line >= (tick + 1) << 28))
        if at < len(line):
            line[at + 1 : end + 1] = line[at:end]
            line[at] = packed(row, tick)

    def _doubt(self, key: int, row: int, line: Openings) -> None:
        doubted = self._doubted.setdefault(key, set())
        doubted.add(row)
        if len(doubted) > 2 * len(line):
            doubted.intersection_update([*rows_of(line).tolist(), row])

    def trail(self, key: int, ts: float, pause: float) -> NDArray[np.int32]:
        """What a reader opened before ``ts`` without a longer pause (seconds), most recent first.

        Only trusted openings: it is what pairs are made of.
        """
        slot = self._slots.get(key)
        if slot is None:
            return np.zeros(0, np.int32)
        line, tick = self._table.line(slot), tick_of(ts)
        later = 0 if tick >= int(line[0]) >> 28 else np.count_nonzero(line >= (tick + 1) << 28)
        line = line[later : np.count_nonzero(line)]
        if doubted := self._doubted.get(key):
            line = line[~np.isin(rows_of(line), tuple(doubted))]
        if len(line) and tick - (int(line[-1]) >> 28) > pause * TICKS:
            times = np.append(np.float64(tick), line >> np.uint64(28))
            broken = np.flatnonzero(times[:-1] - times[1:] > pause * TICKS)
            line = line[: broken[0]] if len(broken) else line
        return rows_of(line)

    def has_opened(self, key: int, row: int) -> bool:
        """Whether a trusted opening of the article is remembered."""
        slot = self._slots.get(key)
        known = slot is not None and bool(holds(self._table.line(slot), row).any())
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
        line = self._table.line(slot)
        return Reader(rows_of(line[: np.count_nonzero(line)]), frozenset(self._hidden.get(key, ())))

    def forget(self, key: int) -> None:
        """Erase a reader."""
        slot = self._slots.drop(key)
        self._hidden.pop(key, None)
        self._doubted.pop(key, None)
        if slot is not None:
            self._table.line(slot)[:] = 0

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the bundle, the least recently active reader first."""
        keys, slots = zip(*self._slots, strict=True) if len(self) else ((), ())
        rows, ts = self._table.lines(np.array(slots, dtype=np.intp))
        hidden = [(key, row) for key, own in self._hidden.items() for row in sorted(own)]
        return {
            "reader_keys": np.array(keys, dtype=np.uint64),
            "reader_rows": rows,
            "reader_ts": ts,
            "hidden_keys": np.array([key for key, _ in hidden], dtype=np.uint64),
            "hidden_rows": np.array([row for _, row in hidden], dtype=np.int32),
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what ``state`` gave, cut to this table's length and limit."""
        keys = arrays["reader_keys"][-self._limit :]
        begin = len(arrays["reader_keys"]) - len(keys)
        self._slots, self._table = LatelyUsed(keys.tolist()), OpeningsTable(self._table.length)
        self._table.fill(arrays["reader_rows"][begin:], arrays["reader_ts"][begin:])
        for key, row in zip(arrays["hidden_keys"].tolist(), arrays["hidden_rows"].tolist(), strict=True):
            self._hidden.setdefault(int(key), set()).add(int(row))
