"""A set of 64-bit keys in sorted parts: some 11 bytes a key where a Python set takes 89."""

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

# a part is divided beyond so many keys, so that nothing ever copies more than 128 KB at a time
_MOST = 16_384
# keys that wait, in a Python set, to be sorted into a part: so many, or this share of the part
_FEW, _SHARE = 64, 16
# so few keys a part are looked up one by one
_SCALAR = 4
_NONE: Keys = np.zeros(0, np.uint64)


class KeySet:
    """Distinct keys that are well spread, such as hashes.

    Each part is a sorted array of a range of keys, and a small set of keys that came since it was sorted.
    A part that has grown too long becomes two, so growth costs the same however many keys there are.

    Args:
        keys: (m,) uint64 to begin with, in any order, repeats among them.
    """

    def __init__(self, keys: Keys | None = None) -> None:
        self._parts: list[Keys] = [_NONE]
        self._fresh: list[set[int]] = [set()]
        # the lowest key that each part may hold
        self._bounds = [0]
        if keys is not None:
            self.add(np.unique(keys))

    def __len__(self) -> int:
        return sum(map(len, self._parts)) + sum(map(len, self._fresh))

    def add(self, keys: Keys) -> NDArray[np.bool_]:
        """Take in keys.

        Args:
            keys: (m,) each once.

        Returns:
            (m,) which of them were not there.
        """
        if len(keys) <= _SCALAR * len(self._parts):
            return np.fromiter(map(self.add_one, keys.tolist()), bool, len(keys))
        new = np.zeros(len(keys), dtype=bool)
        order = np.argsort(keys)
        ordered = keys[order]
        parts = np.searchsorted(np.array(self._bounds, np.uint64), ordered, side="right") - 1
        begins = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
        # the last part first: one that is divided moves those after it
        for begin, end in zip(begins[::-1], [*begins[1:], len(keys)][::-1], strict=True):
            new[order[begin:end]] = self._add_to(int(parts[begin]), ordered[begin:end])
        return new

    def add_one(self, key: int) -> bool:
        """Take in one key; whether it was not there."""
        at = bisect_right(self._bounds, key) - 1
        part, fresh = self._parts[at], self._fresh[at]
        if key in fresh:
            return False
        if len(part):
            # a view of the part gives Python numbers, at half the price of numpy's
            held = part.data
            place = bisect_left(held, key)
            if place < len(held) and held[place] == key:
                return False
        fresh.add(key)
        if len(fresh) > max(_FEW, len(part) // _SHARE):
            self._sort_into(at, _NONE)
        return True

    def _add_to(self, at: int, keys: Keys) -> NDArray[np.bool_]:
        part, fresh = self._parts[at], self._fresh[at]
        new = ~_among(keys, part)
        if fresh:
            new &= ~np.fromiter((key in fresh for key in keys.tolist()), bool, len(keys))
        found = keys[new]
        if len(fresh) + len(found) <= max(_FEW, len(part) // _SHARE):
            fresh.update(found.tolist())
        else:
            self._sort_into(at, found)
        return new

    def _sort_into(self, at: int, found: Keys) -> None:
        fresh = self._fresh[at]
        merged = np.concatenate((self._parts[at], np.fromiter(fresh, np.uint64, len(fresh)), found))
        merged.sort()
        if len(merged) <= _MOST:
            self._parts[at], self._fresh[at] = merged, set()
            return
        pieces = [piece.copy() for piece in np.array_split(merged, -(-len(merged) // (_MOST // 2)))]
        self._parts[at : at + 1] = pieces
        self._fresh[at : at + 1] = [set() for _ in pieces]
        self._bounds[at + 1 : at + 1] = [int(piece[0]) for piece in pieces[1:]]

    def sorted(self) -> Keys:
        """(n,) all keys, ascending."""
        for at in reversed(range(len(self._parts))):
            if self._fresh[at]:
                self._sort_into(at, _NONE)
        return np.concatenate(self._parts)


def _among(keys: Keys, part: Keys) -> NDArray[np.bool_]:
    """(m,) which keys stand in a sorted part."""
    if len(part) == 0:
        return np.zeros(len(keys), dtype=bool)
    places = np.minimum(part.searchsorted(keys), len(part) - 1)
    return np.asarray(part[places] == keys)
