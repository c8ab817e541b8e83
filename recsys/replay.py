"""What the online counters would have said at many moments of a log, all moments at once.

The arithmetic is that of ``recsys.popularity`` fed in time order; ``hold`` hands the values of one
moment to a ``Popularity``, so that whatever reads counters reads replayed ones the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.config import PopularityConfig
from recsys.distinct import keys_of, windows_of
from recsys.grouping import LEVELS, NO_GROUP, Codes
from recsys.popularity import KINDS, EventBatch, Popularity, counted_by, counts_of, engagement_of
from recsys.prefixes import Asked, Floats, Stream, by_time, masses_at

COUNTERS = (*KINDS, "engagement")


@dataclass(frozen=True, slots=True)
class Lists:
    """Moments, and the articles that are asked for at each.

    Attributes:
        until: (l,) unix seconds; events strictly before are known.
        starts: (l + 1,) where the rows of each list begin, and the end of the last.
        rows: (q,) int32 articles.
    """

    until: Floats
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(q,) the list of each row."""
        return np.repeat(np.arange(len(self.until)), np.diff(self.starts))


@dataclass(frozen=True, slots=True)
class _Masses:
    """Masses of one counter as of the last event before each moment.

    Attributes:
        rows, masses: (n,), (n, k) of the lists' articles and of the highest ones.
        starts: (l + 1,) where each list begins in them.
        best: (l, k) the article with the highest mass at each half-life, -1 for none.
        groups: by level, codes, masses and where each list begins.
    """

    rows: NDArray[np.int32]
    masses: Floats
    starts: NDArray[np.int64]
    best: NDArray[np.int32]
    groups: Mapping[str, tuple[Codes, Floats, NDArray[np.int64]]]


class Replay:
    """Replayed counters of the lists that were asked for.

    Args:
        config: half-lives, window of distinct readers, weights.
        log: events in any order.
        codes: by level, (n,) group of each article, as ``Catalog.groups`` gives them.
        lists: what is asked for.
    """

    def __init__(
        self, config: PopularityConfig, log: EventBatch, codes: Mapping[str, Codes], lists: Lists
    ) -> None:
        log = in_time(log)
        known = np.searchsorted(log.ts, lists.until, side="left")
        # masses are stated at the newest event that is known, wherever they are read later
        self._at, self._known = np.append(log.ts, -np.inf)[known - 1], known
        everything = np.zeros(1 + int(max(log.rows.max(initial=0), lists.rows.max(initial=0))), np.int32)
        self._codes = {"everything": everything, **codes}
        self._counters = {name: self._replayed(name, config, log, lists) for name in COUNTERS}

    def _replayed(self, name: str, config: PopularityConfig, log: EventBatch, lists: Lists) -> _Masses:
        stream = stream_of(name, log, config)
        half_lives = half_lives_of(name, config)
        cuts = self._known
        best = _highest(stream, cuts, half_lives) if name in ("openings", "engagement") else None
        rows, numbers = lists.rows, lists.numbers
        if best is not None:
            extra, column = np.nonzero(best >= 0)
            rows = np.concatenate((rows, best[extra, column]))
            numbers = np.concatenate((numbers, extra))
            order = np.argsort(numbers, kind="stable")
            rows, numbers = rows[order], numbers[order]
        masses = masses_at(stream, Asked(rows, cuts[numbers], self._at[numbers]), half_lives)
        groups = {}
        for level in LEVELS if name in KINDS else ():
            groups[level] = self._of_groups(level, stream, lists, half_lives)
        none = np.full((len(cuts), len(half_lives)), NO_GROUP, np.int32)
        return _Masses(rows, masses, _starts(numbers, len(cuts)), none if best is None else best, groups)

    def _of_groups(
        self, level: str, stream: Stream, lists: Lists, half_lives: tuple[float, ...]
    ) -> tuple[Codes, Floats, NDArray[np.int64]]:
        codes = self._codes[level]
        grouped = _codes_of(codes, stream.entities)
        inside = np.flatnonzero(grouped != NO_GROUP)
        weights = None if stream.weights is None else stream.weights[inside]
        part = Stream(grouped[inside], stream.ts[inside], stream.places[inside], weights)
        pairs = lists.numbers << 32 | _codes_of(codes, lists.rows).astype(np.int64) + 1
        pairs = np.unique(pairs)
        numbers, asked = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32) - 1
        numbers, asked = numbers[asked != NO_GROUP], asked[asked != NO_GROUP]
        masses = masses_at(part, Asked(asked, self._known[numbers], self._at[numbers]), half_lives)
        return asked, masses, _starts(numbers, len(self._known))

    def hold(self, number: int, counts: Popularity) -> None:
        """Let ``counts`` say what the online counters said at the moment of one list.

        Only of this list's articles, their groups and everything together; of other articles they
        say nothing.

        Args:
            number: of the list.
            counts: sized for every article, used for nothing else; its groups are those of ``codes``.
        """
        at = float(self._at[number])
        counts.watermark = at
        landmark = at if np.isfinite(at) else float("nan")
        for name, found in self._counters.items():
            counter, part = getattr(counts, name), slice(*found.starts[number : number + 2])
            counter.hold(found.rows[part], found.masses[part], landmark)
            if found.groups:
                slices = {
                    level: (
                        codes[starts[number] : starts[number + 1]],
                        masses[starts[number] : starts[number + 1]],
                    )
                    for level, (codes, masses, starts) in found.groups.items()
                }
                counter.hold_groups(slices)
            tops = {"openings": counts.tops, "engagement": [counts.most_engaging]}.get(name, [])
            for top, row in zip(tops, found.best[number].tolist(), strict=True) if tops else ():
                top.hold(np.array([row] if row >= 0 else [], dtype=np.int32))


def half_lives_of(name: str, config: PopularityConfig) -> tuple[float, ...]:
    """Hours of the counter ``name``."""
    if name == "engagement":
        return (config.engagement_half_life_hours,)
    return config.half_lives_hours if name == "openings" else config.ctr_half_lives_hours


def in_time(log: EventBatch) -> EventBatch:
    """The log in the order of time; equal times keep theirs."""
    return log.take(by_time(log.ts)) if np.any(log.ts[1:] < log.ts[:-1]) else log


def stream_of(
    name: str, log: EventBatch, config: PopularityConfig, order: NDArray[np.intp] | None = None
) -> Stream:
    """What one counter counts of a log.

    Args:
        name: of the counter.
        log: in time order, or by article and within each in time order.
        config: half-lives and weights.
        order: (m,) place of each event in the order of time, None where the log is in it.
    """
    counts = counted_by(name, log.types)
    counted = np.flatnonzero(counts if log.trust is None else counts & (log.trust > 0.0))
    rows, ts, places = log.rows[counted], log.ts[counted], counted if order is None else order[counted]
    if name == "engagement":
        return Stream(rows, ts, places, engagement_of(log.take(counted), config))
    windows = windows_of(ts, config.distinct_window_hours)
    first = first_of_each(keys_of(log.readers[counted], rows, windows, KINDS[name]))
    counted = counted[first]
    plain = log.trust is None and (name != "impressions" or np.isnan(log.values[counted]).all())
    weights = None if plain else counts_of(name, log.take(counted))
    return Stream(rows[first], ts[first], places[first], weights)


def first_of_each(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Places of the first occurrence of each key, in order; a bucket that fits the cache at a time."""
    digits = keys.astype(np.uint8)
    buckets, ends = np.argsort(digits, kind="stable"), np.cumsum(np.bincount(digits, minlength=256))
    is_first = np.zeros(len(keys), dtype=bool)
    for begin, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True):
        if begin < end:
            own = keys[buckets[begin:end]]
            order = np.argsort(own)
            own = own[order]
            starts = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
            is_first[buckets[begin + np.minimum.reduceat(order, starts)]] = True
    return np.flatnonzero(is_first)


def _highest(stream: Stream, cuts: NDArray[np.int64], half_lives: tuple[float, ...]) -> NDArray[np.int32]:
    """(l, k) the entity with the highest mass at each cut of the log, -1 for none.

    Between events all masses fall alike, so the highest changes only when one grows: a running
    maximum of the masses after each event, compared as logarithms at one landmark.
    """
    count = len(stream.ts)
    best = np.full((len(cuts), len(half_lives)), -1, np.int32)
    if count == 0:
        return best
    numbers = np.arange(count)
    after = masses_at(stream, Asked(stream.entities, stream.places + 1, stream.ts), half_lives)
    own = np.searchsorted(stream.places, cuts)
    for column, hours in enumerate(half_lives):
        with np.errstate(divide="ignore"):
            level = np.log2(after[:, column]) + (stream.ts - stream.ts[0]) / (hours * 3600.0)
        reached = np.maximum.accumulate(level)
        holder = np.maximum.accumulate(np.where((level == reached) & np.isfinite(level), numbers, -1))
        at = np.append(holder, -1)[own - 1]
        best[:, column] = np.where(at >= 0, stream.entities[at], -1)
    return best


def _codes_of(codes: Codes, rows: NDArray[np.int32]) -> Codes:
    """Groups of rows; a row beyond ``codes`` was only referred to and has none."""
    return np.append(codes, np.int32(NO_GROUP))[np.minimum(rows, len(codes))]


def _starts(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.searchsorted(numbers, np.arange(count + 1))
