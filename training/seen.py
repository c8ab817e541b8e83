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

    def find(self, keys: Sequence[str]) -> list[int]:
        """For each key the row that had it, or -1."""
        hashes = np.array([id_hash(key) for key in keys], dtype=np.uint64)
        found = np.full(len(keys), -1, dtype=np.int64)
        for run, rows in self._runs:
            at = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            hit = run[at] == hashes
            found[hit] = rows[at[hit]]
        if self._pending:
            for place, value in enumerate(hashes.tolist()):
                row = self._pending.get(value)
                if row is not None:
                    found[place] = row
        return found.tolist()

    def add(self, key: str, row: int) -> None:
        """Remember that ``row`` had ``key``."""
        self._pending.setdefault(id_hash(key), row)
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
