"""Counts of what happened in a window of time, in bounded memory."""


class Tally:
    """How often each key was counted in the present window.

    Keys are 64-bit hashes; a key that was pushed out by many newer ones begins anew.

    Args:
        seconds: length of a window; windows begin at its multiples.
        most: keys of which the newest are remembered for certain; at most twice as many are held.
    """

    def __init__(self, seconds: float, most: int = 250_000) -> None:
        self._seconds, self._most = seconds, most
        self._window = 0
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def turn(self, now: float) -> bool:
        """Begin anew where a new window (unix seconds) has begun; whether it has."""
        window = int(now // self._seconds) if self._seconds != float("inf") else 0
        if window == self._window:
            return False
        self._window, self._young, self._old = window, {}, {}
        return True

    def of(self, key: int) -> int:
        """How often a key was counted."""
        found = self._young.get(key)
        return self._old.get(key, 0) if found is None else found

    def add(self, key: int) -> int:
        """Count a key once more; how often that makes."""
        return self.put(key, self.of(key) + 1)

    def put(self, key: int, value: int) -> int:
        """Remember a number for a key."""
        if len(self._young) >= self._most and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value
        return value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
