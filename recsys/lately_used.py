"""Places in a table for keys; the key that was used least lately gives its place to a new one."""

from array import array
from collections.abc import Iterator, Sequence

_MAPS = 64


class LatelyUsed:
    """Numbered places of 64-bit keys, in the order of use.

    Keys are spread over 64 dictionaries, so that no growth of one stops anybody
    for long, and the order is a chain through two arrays.

    Args:
        keys: to begin with, each once, the least lately used first; they get the places 0 to n - 1.
    """

    def __init__(self, keys: Sequence[int] = ()) -> None:
        n = len(keys)
        self._maps: list[dict[int, int]] = [{} for _ in range(_MAPS)]
        for place, key in enumerate(keys):
            self._maps[key % _MAPS][key] = place
        self._keys = array("Q", keys)
        # the place used just before and just after, -1 at the ends of the chain
        self._before = array("i", range(-1, n - 1))
        self._after = array("i", range(1, n + 1))
        self._first, self._last = (0, n - 1) if n else (-1, -1)
        if n:
            self._after[-1] = -1
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._keys) - len(self._free)

    def get(self, key: int) -> int | None:
        """The place of a key, None without one."""
        return self._maps[key % _MAPS].get(key)

    def oldest(self) -> int:
        """The key that was used least lately; there is one."""
        return self._keys[self._first]

    def take(self, key: int, newest: bool = True) -> int:
        """A place for a new key, used last of all, or first to go."""
        if self._free:
            place = self._free.pop()
            self._keys[place] = key
        else:
            place = len(self._keys)
            self._keys.append(key)
            self._before.append(-1)
            self._after.append(-1)
        self._maps[key % _MAPS][key] = place
        self._link(place, self._last if newest else -1, -1 if newest else self._first)
        return place

    def use(self, place: int) -> None:
        """Note that the key of a place was used."""
        if place != self._last:
            self._unlink(place)
            self._link(place, self._last, -1)

    def drop(self, key: int) -> int | None:
        """Give up the place of a key; which it was."""
        place = self._maps[key % _MAPS].pop(key, None)
        if place is not None:
            self._unlink(place)
            self._free.append(place)
        return place

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Keys and places, the least lately used first."""
        place = self._first
        while place >= 0:
            yield self._keys[place], place
            place = self._after[place]

    def _link(self, place: int, before: int, after: int) -> None:
        self._before[place], self._after[place] = before, after
        if before < 0:
            self._first = place
        else:
            self._after[before] = place
        if after < 0:
            self._last = place
        else:
            self._before[after] = place

    def _unlink(self, place: int) -> None:
        before, after = self._before[place], self._after[place]
        if before < 0:
            self._first = after
        else:
            self._after[before] = after
        if after < 0:
            self._last = before
        else:
            self._before[after] = before
