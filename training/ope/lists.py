"""Logged lists as arrays: what was shown, how probable it was, and how probable another policy makes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
NOBODY = -1


@dataclass(frozen=True)
class Options:
    """What a policy may put at the places of lists: the same width for all, padded with chance 0.

    Attributes:
        articles: (n, k, m) codes.
        chances: (n, k, m).
    """

    articles: Codes
    chances: Floats

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "Options":
        """Of some of the lists."""
        return Options(self.articles[index], self.chances[index])


@dataclass(frozen=True)
class LoggedLists:
    """n lists of up to k places.

    Attributes:
        readers: (n,) code of the reader.
        articles: (n, k) codes of what was shown, -1 behind the end of a list.
        rewards: (n, k) what each place earned, 0 behind the end.
        logged: (n, k) propensity of what was shown given what stood above; 1 behind the end.
        target: (n, k) the same under the policy that is judged.
        next: what the judged policy may put at each place, given what was shown above it.
        logged_at, target_at: (n, k) chance of what was shown at its place, whatever stood above; None where
            the log does not tell the first.
        at: what the judged policy may put at each place, whatever stands above.
        alone: (n, k) the judged policy's list where nothing is left to chance, -1 behind its end.
    """

    readers: Codes
    articles: Codes
    rewards: Floats
    logged: Floats
    target: Floats
    next: Options
    logged_at: Floats | None
    target_at: Floats | None
    at: Options
    alone: Codes

    def __len__(self) -> int:
        return len(self.readers)

    @property
    def shown(self) -> NDArray[np.bool_]:
        """(n, k) where there is a place."""
        return np.asarray(self.articles != NOBODY)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "LoggedLists":
        """Some of the lists."""
        return LoggedLists(
            readers=self.readers[index],
            articles=self.articles[index],
            rewards=self.rewards[index],
            logged=self.logged[index],
            target=self.target[index],
            next=self.next.take(index),
            logged_at=None if self.logged_at is None else self.logged_at[index],
            target_at=None if self.target_at is None else self.target_at[index],
            at=self.at.take(index),
            alone=self.alone[index],
        )


@dataclass(frozen=True)
class Predicted:
    """What a model of clicks, fitted on other readers, says of the lists.

    Attributes:
        shown: (n, k) of what was shown at its place, 0 behind the end.
        next: (n, k) of what the judged policy would put there, given what was shown above.
        at: (n, k) of what it would put there, whatever stands above.
        later: (n, k) of what its list, left alone, would earn behind each place.
    """

    shown: Floats
    next: Floats
    at: Floats
    later: Floats
