"""Which ids were read already, for tens of millions of rows in little memory."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_PENDING = 1 << 16


def id_hash(key: str) -> int:
    """64-bit hash of a key, the same in every process."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


class SeenIds:
    """Hashes of ids with the number of the row that had it, in sorted runs that merge as they grow.

    16 bytes an id; a hit may be a collision, so the caller compares the row it points to.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []
        self._pending: dict[int, int] = {}
        self._fresh: dict[int, int] = {}

    def find(self, hashes: Sequence[int]) -> list[int]:
        """For each hash the row that had it, or -1; a batch at a time."""
        self._fresh = {}
        wanted = np.array(hashes, dtype=np.uint64)
        found = np.full(len(wanted), -1, dtype=np.int64)
        for run, rows in self._runs:
            at = np.minimum(np.searchsorted(run, wanted), len(run) - 1)
            hit = run[at] == wanted
            found[hit] = rows[at[hit]]
        if self._pending:
            for place, value in enumerate(hashes):
                row = self._pending.get(value)
                if row is not None:
                    found[place] = row
        return found.tolist()

    def find_one(self, value: int) -> int:
        """The same for one hash, without beginning a new batch."""
        fresh = self._fresh
        found = self.find([value])[0]
        self._fresh = fresh
        return found

    def since_find(self, value: int) -> int:
        """The row that was added with this hash since the last ``find``, or -1."""
        return self._fresh.get(value, -1)

    def add(self, value: int, row: int) -> None:
        """Remember that ``row`` had this hash."""
        self._fresh.setdefault(value, row)
        self._pending.setdefault(value, row)
        if len(self._pending) >= _PENDING:
            self._flush()

    def _flush(self) -> None:
        hashes = np.fromiter(self._pending.keys(), np.uint64, len(self._pending))
        rows = np.fromiter(self._pending.values(), np.int64, len(self._pending))
        self._pending = {}
        order = np.argsort(hashes)
        run = (hashes[order], rows[order])
        while self._runs and len(self._runs[-1][0]) <= 2 * len(run[0]):
            run = _merge(self._runs.pop(), run)
        self._runs.append(run)


def _merge(
    a: tuple[NDArray[np.uint64], NDArray[np.int64]], b: tuple[NDArray[np.uint64], NDArray[np.int64]]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    hashes, rows = np.concatenate((a[0], b[0])), np.concatenate((a[1], b[1]))
    order = np.argsort(hashes, kind="stable")
    return hashes[order], rows[order]


class Ordinals:
    """How often a hash came before: 1 for the first time, 2 for the second."""

    def __init__(self) -> None:
        self._seen, self._repeated = SeenIds(), dict[int, int]()

    def take(self, hashes: Sequence[int]) -> list[int]:
        """The ordinal of each, a batch at a time."""
        known = self._seen.find(hashes)
        return [self._next(value, hit >= 0) for value, hit in zip(hashes, known, strict=True)]

    def _next(self, value: int, known: bool) -> int:
        if known or self._seen.since_find(value) >= 0:
            self._repeated[value] = self._repeated.get(value, 1) + 1
            return self._repeated[value]
        self._seen.add(value, 0)
        return 1
