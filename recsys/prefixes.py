"""Decayed masses of many entities at many past moments, at once.

Events are sorted by entity and time; within an entity a mass is a running sum of w * 2**((t - L) / H).
Running sums begin anew for each entity and each block of time, so that nothing overflows over any
number of years and no sum is a difference of larger ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR

Floats = NDArray[np.float64]
_WIDTH = 16
_BLOCK_HALF_LIVES = 400.0
_AT_ONCE = 250_000
_BUCKETS = 256


@dataclass(frozen=True, slots=True)
class Stream:
    """Events of entities (articles, or groups of them), within each entity in time order.

    Attributes:
        entities: (m,) non-negative numbers.
        ts: (m,) unix seconds.
        places: (m,) places in the order of time of the log that the stream was taken from.
        weights: (m,) non-negative; None counts each event as 1.
    """

    entities: NDArray[np.int32]
    ts: Floats
    places: NDArray[np.int64]
    weights: Floats | None = None

    def take(self, index: NDArray[np.intp] | slice) -> "Stream":
        """The events at ``index``."""
        weights = None if self.weights is None else self.weights[index]
        return Stream(self.entities[index], self.ts[index], self.places[index], weights)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose mass is asked for, and when.

    Attributes:
        entities: (q,) as in the stream.
        cuts: (q,) events of the stream at earlier places than this are known.
        at: (q,) unix seconds for which the mass is stated, not before the last known event.
    """

    entities: NDArray[np.int32]
    cuts: NDArray[np.int64]
    at: Floats

    def take(self, index: NDArray[np.intp] | slice) -> "Asked":
        """The questions at ``index``."""
        return Asked(self.entities[index], self.cuts[index], self.at[index])


def masses_at(stream: Stream, asked: Asked, half_lives_hours: tuple[float, ...]) -> Floats:
    """(q, k) decayed masses of the asked entities, k the half-lives."""
    found = np.zeros((len(half_lives_hours), len(asked.entities)))
    for places, masses in parts_of(stream, asked, half_lives_hours):
        found[:, places] = masses
    return found.T


def parts_of(
    stream: Stream, asked: Asked, half_lives_hours: tuple[float, ...]
) -> Iterator[tuple[NDArray[np.intp] | slice, Floats]]:
    """The same, some entities at a time; of what is left out, nothing was counted.

    Besides the orders by entity it takes memory for a quarter of a million events and questions, or
    for those of the entity that has most.

    Yields:
        Places in ``asked``, and their (k, n) masses.
    """
    if len(stream.ts) == 0 or len(asked.entities) == 0:
        return
    size = 1 + max(int(stream.entities.max()), int(asked.entities.max()))
    event_ends = np.cumsum(np.bincount(stream.entities, minlength=size))
    question_ends = np.cumsum(np.bincount(asked.entities, minlength=size))
    events, questions = _order(stream.entities), _order(asked.entities)
    ends = np.flatnonzero(np.diff((event_ends + question_ends) // _AT_ONCE, prepend=0)).tolist()
    first = (0, 0)
    for entity in [*ends, size - 1]:
        last = int(event_ends[entity]), int(question_ends[entity])
        own, mine = slice(first[0], last[0]), slice(first[1], last[1])
        if last[0] > first[0] and last[1] > first[1]:
            places = mine if questions is None else questions[mine]
            part = stream.take(own if events is None else events[own])
            yield places, _part(part, asked.take(places), half_lives_hours)
        first = last


def _order(entities: NDArray[np.int32]) -> NDArray[np.intp] | None:
    """Order by entity; None where they are in it."""
    return None if (entities[1:] >= entities[:-1]).all() else by_entity(entities)


def by_entity(entities: NDArray[np.int32]) -> NDArray[np.intp]:
    """(n,) stable order by entity."""
    return radix_order(entities.astype(np.uint32))


def by_time(ts: Floats) -> NDArray[np.intp]:
    """(n,) stable order by time: a coarse pass, then parts that fit the cache."""
    if len(ts) < 2 * _BUCKETS or ts.min() == ts.max():
        return np.argsort(ts, kind="stable")
    first, last = ts.min(), ts.max()
    coarse = ((ts - first) * ((_BUCKETS - 1) / (last - first))).astype(np.uint8)
    order, ends = np.argsort(coarse, kind="stable"), np.cumsum(np.bincount(coarse, minlength=_BUCKETS))
    for begin, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True):
        part = order[begin:end]
        part[:] = part[np.argsort(ts[part], kind="stable")]
    return order


def radix_order(keys: NDArray[np.unsignedinteger]) -> NDArray[np.intp]:
    """(n,) stable order of unsigned keys, 16 bits at a time; twice as fast as a sort of millions."""
    order: NDArray[np.intp] | None = None
    for shift in range(0, 8 * keys.itemsize, 16):
        digits = (keys >> shift).astype(np.uint16)
        if len(digits) and (digits != digits[0]).any():
            finer = np.argsort(digits if order is None else digits[order], kind="stable")
            order = finer if order is None else order[finer]
    return np.arange(len(keys)) if order is None else order


def _part(stream: Stream, asked: Asked, half_lives_hours: tuple[float, ...]) -> Floats:
    """(k, q) masses, for events and questions in the order of entities."""
    entities, ts = stream.entities, stream.ts
    block = np.floor(ts / (_BLOCK_HALF_LIVES * min(half_lives_hours) * HOUR))
    new = np.ones(len(ts), dtype=bool)
    new[1:] = (entities[1:] != entities[:-1]) | (block[1:] != block[:-1])
    starts = np.flatnonzero(new)
    segment = np.cumsum(new) - 1
    sums, landmarks = RunningSums(starts, len(ts)), ts[starts]
    carried = _Carried(entities[starts], landmarks)
    keys = (entities.astype(np.int64) << 32) | stream.places
    place = np.searchsorted(keys, (asked.entities.astype(np.int64) << 32) | asked.cuts)
    # place 0 is of the mass 0: nothing of this entity was known
    place[(place > 0) & (entities[place - 1] != asked.entities)] = 0
    since_start, since_landmark = ts - landmarks[segment], asked.at - landmarks[segment[place - 1]]
    np.maximum(since_landmark, 0.0, out=since_landmark)
    masses, found = np.zeros(len(ts) + 1), np.empty((len(half_lives_hours), len(asked.at)))
    for column, hours in enumerate(half_lives_hours):
        grown = np.exp2(since_start * (1.0 / (hours * HOUR)))
        if stream.weights is not None:
            grown *= stream.weights
        masses[1:] = sums.of(grown)
        if carried.any:
            totals = masses[np.append(starts[1:], len(ts))]
            masses[1:] += carried.of(totals, hours * HOUR)[segment]
        fallen = np.multiply(since_landmark, -1.0 / (hours * HOUR), out=found[column])
        np.exp2(fallen, out=fallen)
        fallen *= masses[place]
    return found


class RunningSums:
    """Running sums that begin anew at each segment.

    Values are laid out in rows of a fixed width, summed along the rows, and the rows' totals are
    summed the same way: every addition is one of non-negative numbers of the same segment.

    Args:
        starts: (s,) where segments begin, the first at 0.
        size: number of values.
    """

    def __init__(self, starts: NDArray[np.intp], size: int) -> None:
        lengths = np.diff(np.append(starts, size))
        rows = -(-lengths // _WIDTH)
        self._first = np.cumsum(rows) - rows
        self._rows = int(rows.sum())
        self._place = np.arange(size) + np.repeat(self._first * _WIDTH - starts, lengths)
        longer = self._rows > len(starts)
        self._above = RunningSums(self._first, self._rows) if longer else None

    def of(self, values: Floats) -> Floats:
        """(n,) running sums of non-negative values, each with its own value."""
        table = np.zeros(self._rows * _WIDTH)
        table[self._place] = values
        rows = table.reshape(self._rows, _WIDTH)
        np.cumsum(rows, axis=1, out=rows)
        if self._above is not None:
            before = np.zeros(self._rows)
            before[1:] = self._above.of(rows[:, -1].copy())[:-1]
            before[self._first] = 0.0
            rows += before[:, None]
        return np.asarray(table[self._place])


class _Carried:
    """What earlier blocks of an entity leave to each of its later ones.

    Args:
        entities: (s,) of each segment, in order.
        landmarks: (s,) unix seconds at which each segment begins.
    """

    def __init__(self, entities: NDArray[np.int32], landmarks: Floats) -> None:
        first = np.ones(len(entities), dtype=bool)
        first[1:] = entities[1:] != entities[:-1]
        begins = np.flatnonzero(first)
        depth = np.arange(len(entities)) - begins[np.cumsum(first) - 1]
        self._landmarks, order = landmarks, np.argsort(depth, kind="stable")
        self.any = not first.all()
        self._by_depth = np.split(order, np.cumsum(np.bincount(depth))[:-1])[1:]

    def of(self, totals: Floats, half_life_seconds: float) -> Floats:
        """(s,) masses at the landmarks, from the totals of all segments at their own landmarks."""
        carried = np.zeros(len(totals))
        for at in self._by_depth:
            gone = self._landmarks[at] - self._landmarks[at - 1]
            carried[at] = (carried[at - 1] + totals[at - 1]) * np.exp2(-gone / half_life_seconds)
        return carried
