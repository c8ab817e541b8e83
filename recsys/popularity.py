"""Popularity of articles: decayed openings counted per distinct reader, click rates, engagement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.config import PopularityConfig
from recsys.counters import DecayedCounter, TopRows
from recsys.distinct import DistinctReaders
from recsys.grouping import LEVELS, Codes, GroupedCounter, Grouping
from recsys.recent_openings import RecentOpenings
from recsys.schemas import EVENT_TYPES

_VIEW, _IMPRESSION, _CLICK, _READ, _SHARE, _SAVE, _COMMENT, _HIDE = range(len(EVENT_TYPES))
_COUNTERS = ("openings", "impressions", "clicks", "engagement")
_GROUPED = _COUNTERS[:3]
# by counter of distinct readers, what keeps its keys apart from the others'
KINDS = {"openings": 0, "impressions": 1, "clicks": 2}
_ALL: Codes = np.zeros(1, np.int32)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events as parallel arrays.

    Attributes:
        types: (m,) codes into ``EVENT_TYPES``.
        rows: (m,) catalogue rows.
        readers: (m,) uint64 reader keys.
        ts: (m,) unix seconds.
        values: (m,) seconds for ``read``; for an impression what it counts, NaN for 1; else NaN.
        trust: (m,) factor of what each counts, 0 to 1; None where all are trusted.
    """

    types: NDArray[np.uint8]
    rows: NDArray[np.int32]
    readers: NDArray[np.uint64]
    ts: NDArray[np.float64]
    values: NDArray[np.float64]
    trust: NDArray[np.float64] | None = None

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "EventBatch":
        """The events at ``index``."""
        return EventBatch(
            self.types[index],
            self.rows[index],
            self.readers[index],
            self.ts[index],
            self.values[index],
            None if self.trust is None else self.trust[index],
        )

    def believed(self) -> "EventBatch":
        """The events that count anything for others than their own reader."""
        return self if self.trust is None else self.take(self.trust > 0.0)

    def weighted(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m,) what events count, given what they would if they were trusted."""
        return counts if self.trust is None else counts * self.trust


class Popularity:
    """Decayed openings, click-through rate and engagement of every article.

    A view and the click that led to it are one opening; one reader counts once per article and
    window of ``distinct_window_hours``, however often they reload.
    """

    def __init__(self, config: PopularityConfig, size: int = 0) -> None:
        self.config = config
        self.grouping = Grouping()
        self.grouping.resize(size)
        self.openings = GroupedCounter(config.half_lives_hours, self.grouping, size)
        self.impressions = GroupedCounter(config.ctr_half_lives_hours, self.grouping, size)
        self.clicks = GroupedCounter(config.ctr_half_lives_hours, self.grouping, size)
        self.engagement = DecayedCounter((config.engagement_half_life_hours,), size)
        self.tops = [TopRows(self.openings, k) for k in range(len(config.half_lives_hours))]
        self.most_engaging = TopRows(self.engagement, 0, keep=200)
        self.recent = RecentOpenings()
        self.watermark = float("-inf")
        self._readers = DistinctReaders(config.distinct_window_hours)

    def column(self, half_life_hours: float) -> int:
        """Column of a half-life in ``openings``."""
        return self.config.half_lives_hours.index(half_life_hours)

    def resize(self, size: int) -> None:
        """Make room for ``size`` articles."""
        self.grouping.resize(size)
        for name in _COUNTERS:
            getattr(self, name).resize(size)

    def regroup(self, codes: Mapping[str, Codes], counts: Mapping[str, int]) -> None:
        """Let every article count in the section and subsection that it has now.

        An article that arrives after its first events, or moves, takes its masses along.

        Args:
            codes: by level, (n,) group of each article, -1 for none.
            counts: by level, number of groups.
        """
        for level, groups in codes.items():
            rows, before = self.grouping.assign(level, groups, counts[level])
            if len(rows):
                for name in _GROUPED:
                    getattr(self, name).regroup(level, rows, before)

    def observe(self, batch: EventBatch) -> None:
        """Count a batch of events; one that is not trusted leaves its reader's count to the next."""
        if len(batch.rows) == 0:
            return
        self.watermark = max(self.watermark, float(batch.ts.max()))
        batch = batch.believed()
        for name in _GROUPED:
            part = batch.take(counted_by(name, batch.types))
            part = part.take(self._readers.first(part.readers, part.rows, part.ts, KINDS[name]))
            getattr(self, name).add(part.rows, part.ts, counts_of(name, part))
            if name == "openings":
                self.recent.add(part.rows, part.ts, counts_of(name, part))
                for top in self.tops:
                    top.touched(part.rows)
        part = batch.take(counted_by("engagement", batch.types))
        self.engagement.add(part.rows, part.ts, engagement_of(part, self.config))
        self.most_engaging.touched(part.rows)

    def rising(self, now: float) -> NDArray[np.float64]:
        """(n,) readers per hour lately above the day's rate: the increase, not the level."""
        fast, slow = self.hourly_rates(now)
        return np.asarray(np.maximum(fast - slow, 0.0))

    def hourly_rates(
        self, now: float, rows: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Readers per hour at the fastest half-life and at the one nearest to a day, (n,) each.

        A mass at half-life H is the rate times H / ln 2, so mass * ln 2 / H is a decayed rate.
        """
        hours = self.config.half_lives_hours
        fast = min(range(len(hours)), key=hours.__getitem__)
        slow = min(range(len(hours)), key=lambda k: (abs(hours[k] - 24.0), k))
        fastest, daily = (self.openings.read(now, k, rows) * np.log(2) / hours[k] for k in (fast, slow))
        return fastest, daily

    def rate_column(self, half_life_hours: float) -> int:
        """Column of a half-life in ``impressions`` and ``clicks``."""
        return self.config.ctr_half_lives_hours.index(half_life_hours)

    def ctr(
        self,
        now: float,
        rows: NDArray[np.integer],
        half_life_hours: float | None = None,
        prior: NDArray[np.float64] | float | None = None,
    ) -> NDArray[np.float64]:
        """Click-through rate smoothed towards a prior; (n,) between 0 and 1.

        Args:
            now: unix seconds.
            rows: (n,) articles.
            half_life_hours: one of ``ctr_half_lives_hours``; None takes ``ctr_half_life_hours``.
            prior: rate of an article that nobody has seen; None takes ``ctr_prior``.
        """
        column = self.rate_column(half_life_hours or self.config.ctr_half_life_hours)
        seen, clicked = (c.read(now, column, rows) for c in (self.impressions, self.clicks))
        return smoothed_rate(
            clicked,
            seen,
            self.config.ctr_prior if prior is None else prior,
            self.config.ctr_prior_impressions,
        )

    def overall_ctr(self, now: float, half_life_hours: float) -> float:
        """Click-through rate of everything, smoothed towards ``ctr_prior``."""
        rates = self._group_rates(now, "everything", _ALL, half_life_hours, self.config.ctr_prior)
        return float(rates[0])

    def group_ctr(
        self, now: float, level: str, codes: Codes, half_life_hours: float, overall: float | None = None
    ) -> NDArray[np.float64]:
        """Click-through rate of groups of articles, smoothed towards that of everything.

        Args:
            now: unix seconds.
            level: ``section``, ``subsection`` or ``author``.
            codes: (n,) groups.
            half_life_hours: one of ``ctr_half_lives_hours``.
            overall: what ``overall_ctr`` gives, where it is known already.

        Returns:
            (n,) rates between 0 and 1, NaN for the code -1.
        """
        overall = self.overall_ctr(now, half_life_hours) if overall is None else overall
        return self._group_rates(now, level, codes, half_life_hours, overall)

    def author_lift(
        self, now: float, rows: NDArray[np.integer], authors: Codes, usual: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Logarithm of the click-through rate of an author's other articles over the usual one.

        At the longest half-life; drawn to 0 as if by ``author_prior_impressions`` at the usual rate.

        Args:
            now: unix seconds.
            rows: (n,) articles.
            authors: (n,) groups of the level ``author``.
            usual: (n,) rate of the section or whatever else stands in for it, at the same half-life.

        Returns:
            (n,), NaN for the code -1.
        """
        column = self.rate_column(max(self.config.ctr_half_lives_hours))
        # what an article did itself speaks for itself already
        clicked, seen = (
            np.maximum(c.read_groups(now, column, "author", authors) - c.read(now, column, rows), 0.0)
            for c in (self.clicks, self.impressions)
        )
        rates = smoothed_rate(clicked, seen, usual, self.config.author_prior_impressions)
        return np.asarray(np.log(np.maximum(rates, 1e-6) / np.maximum(usual, 1e-6)))

    def _group_rates(
        self, now: float, level: str, codes: Codes, half_life_hours: float, prior: float
    ) -> NDArray[np.float64]:
        column = self.rate_column(half_life_hours)
        clicked, seen = (c.read_groups(now, column, level, codes) for c in (self.clicks, self.impressions))
        return smoothed_rate(clicked, seen, prior, self.config.ctr_prior_impressions)

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for the bundle."""
        arrays: dict[str, NDArray[Any]] = {}
        for name in _COUNTERS:
            for key, value in getattr(self, name).state().items():
                arrays[f"{name}_{key}"] = value
        return arrays | self.recent.state() | self._readers.state()

    @staticmethod
    def state_names() -> list[str]:
        """Names of the arrays that ``state`` gives."""
        names = [f"{name}_{key}" for name in _COUNTERS for key in ("masses", "landmarks")]
        names += [f"{name}_{level}" for name in _GROUPED for level in LEVELS]
        return [*names, *RecentOpenings.NAMES, "seen_windows", "seen_keys"]

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        watermark: float,
        codes: Mapping[str, Codes],
        counts: Mapping[str, int],
    ) -> None:
        """Take over what ``state`` gave.

        Args:
            arrays: by the names of ``state_names``; levels may be missing.
            watermark: unix seconds of the newest event counted.
            codes: by level, the group in which each article was counted.
            counts: by level, number of groups.
        """
        for level, groups in codes.items():
            self.grouping.assign(level, groups, counts[level])
        for name in _COUNTERS:
            keys = ("masses", "landmarks", *(LEVELS if name in _GROUPED else ()))
            found = {key: arrays[f"{name}_{key}"] for key in keys if f"{name}_{key}" in arrays}
            getattr(self, name).restore(**found)
        self._readers.restore(arrays["seen_windows"], arrays["seen_keys"])
        self.recent.restore(*(arrays[name] for name in RecentOpenings.NAMES))
        self.watermark = watermark
        for top in (*self.tops, self.most_engaging):
            top.rebuild()


def counted_by(name: str, types: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(m,) which events the counter ``name`` counts; distinct readers are a matter of ``KINDS``."""
    codes = {"openings": [_VIEW, _CLICK], "impressions": [_IMPRESSION], "clicks": [_CLICK]}
    counted = np.zeros(256, dtype=bool)
    counted[codes.get(name, [_READ, _SHARE, _SAVE, _COMMENT])] = True
    return counted[types]


def counts_of(name: str, batch: EventBatch) -> NDArray[np.float64]:
    """(m,) what events of distinct readers count: 1, or what an impression says that it does."""
    told = batch.values if name == "impressions" else np.full(len(batch.rows), np.nan)
    return batch.weighted(np.where(np.isnan(told), 1.0, np.maximum(told, 0.0)))


def engagement_of(batch: EventBatch, config: PopularityConfig) -> NDArray[np.float64]:
    """(m,) minutes that reads, shares, saves and comments count."""
    minutes = np.minimum(np.nan_to_num(batch.values) / 60.0, config.read_minutes_cap)
    fixed = np.array([0, 0, 0, 0, config.share_weight, config.save_weight, config.comment_weight, 0.0])
    weights = np.where(batch.types == _READ, np.maximum(minutes, 0.0), fixed[batch.types])
    return batch.weighted(np.asarray(np.maximum(weights, 0.0)))


def smoothed_rate(
    clicked: NDArray[np.float64],
    seen: NDArray[np.float64],
    prior: NDArray[np.float64] | float,
    strength: float,
) -> NDArray[np.float64]:
    """Clicks per impression with ``strength`` impressions at the ``prior`` rate added, at most 1."""
    return np.asarray(np.minimum((clicked + strength * prior) / (np.maximum(seen, clicked) + strength), 1.0))
