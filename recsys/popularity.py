"""Popularity of articles: decayed openings counted per distinct reader, click rates, engagement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.config import PopularityConfig
from recsys.counters import HOUR, DecayedCounter, RecentOpenings, TopRows
from recsys.schemas import EVENT_TYPES

_VIEW, _IMPRESSION, _CLICK, _READ, _SHARE, _SAVE, _COMMENT, _HIDE = range(len(EVENT_TYPES))
_COUNTERS = ("openings", "impressions", "clicks", "engagement")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events as parallel arrays.

    Attributes:
        types: (m,) codes into ``EVENT_TYPES``.
        rows: (m,) catalogue rows.
        readers: (m,) uint64 reader keys.
        ts: (m,) unix seconds.
        values: (m,) seconds for ``read``, chance that an unconfirmed ``impression`` was looked at; NaN
            where missing.
    """

    types: NDArray[np.uint8]
    rows: NDArray[np.int32]
    readers: NDArray[np.uint64]
    ts: NDArray[np.float64]
    values: NDArray[np.float64]

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "EventBatch":
        """The events at ``index``."""
        return EventBatch(
            self.types[index], self.rows[index], self.readers[index], self.ts[index], self.values[index]
        )


class Popularity:
    """Decayed openings, click-through rate and engagement of every article.

    A view and the click that led to it are one opening; one reader counts once per article and
    window of ``distinct_window_hours``, however often they reload.
    """

    def __init__(self, config: PopularityConfig, size: int = 0) -> None:
        self.config = config
        self.openings = DecayedCounter(config.half_lives_hours, size)
        self.impressions = DecayedCounter(config.ctr_half_lives_hours, size)
        self.clicks = DecayedCounter(config.ctr_half_lives_hours, size)
        self.engagement = DecayedCounter((config.engagement_half_life_hours,), size)
        self.tops = [TopRows(self.openings, k) for k in range(len(config.half_lives_hours))]
        self.most_engaging = TopRows(self.engagement, 0, keep=200)
        self.recent = RecentOpenings()
        self.watermark = float("-inf")
        self._seen: dict[int, set[int]] = {}

    def column(self, half_life_hours: float) -> int:
        """Column of a half-life in ``openings``."""
        return self.config.half_lives_hours.index(half_life_hours)

    def resize(self, size: int) -> None:
        """Make room for ``size`` articles."""
        for name in _COUNTERS:
            getattr(self, name).resize(size)

    def observe(self, batch: EventBatch) -> None:
        """Count a batch of events."""
        if len(batch.rows) == 0:
            return
        types = batch.types
        self._count_openings(batch.take((types == _VIEW) | (types == _CLICK)))
        self._count_rates(batch.take((types == _IMPRESSION) | (types == _CLICK)))
        self._count_engagement(batch.take((types >= _READ) & (types <= _COMMENT)))
        self.watermark = max(self.watermark, float(batch.ts.max()))

    def _count_openings(self, batch: EventBatch) -> None:
        batch = batch.take(self._first_in_window(batch, kind=0))
        self.openings.add(batch.rows, batch.ts, np.ones(len(batch.rows)))
        self.recent.add(batch.rows, batch.ts)
        for top in self.tops:
            top.touched(batch.rows)

    def _count_rates(self, batch: EventBatch) -> None:
        for kind, (code, counter) in enumerate(((_IMPRESSION, self.impressions), (_CLICK, self.clicks)), 1):
            part = batch.take(batch.types == code)
            part = part.take(self._first_in_window(part, kind))
            looked = part.values if code == _IMPRESSION else np.ones(len(part.rows))
            counter.add(part.rows, part.ts, np.where(np.isnan(looked), 1.0, looked))

    def _count_engagement(self, batch: EventBatch) -> None:
        config = self.config
        minutes = np.minimum(np.nan_to_num(batch.values) / 60.0, config.read_minutes_cap)
        fixed = np.array([0, 0, 0, 0, config.share_weight, config.save_weight, config.comment_weight, 0.0])
        weights = np.where(batch.types == _READ, np.maximum(minutes, 0.0), fixed[batch.types])
        self.engagement.add(batch.rows, batch.ts, np.maximum(weights, 0.0))
        self.most_engaging.touched(batch.rows)

    def _first_in_window(self, batch: EventBatch, kind: int) -> NDArray[np.intp]:
        """Positions of the first event of each (reader, article, window, kind), in time order."""
        windows = (batch.ts // (self.config.distinct_window_hours * HOUR)).astype(np.int64)
        keys = _mix(batch.readers, batch.rows, windows, kind)
        order = np.argsort(batch.ts, kind="stable")
        _, first = np.unique(keys[order], return_index=True)
        first = order[np.sort(first)]
        fresh = [i for i in first.tolist() if self._is_new(int(windows[i]), int(keys[i]))]
        return np.array(fresh, dtype=np.intp)

    def _is_new(self, window: int, key: int) -> bool:
        seen = self._seen.get(window)
        if seen is None:
            seen = self._seen[window] = set()
            for old in sorted(self._seen)[:-3]:
                if old != window:
                    del self._seen[old]
        if key in seen:
            return False
        seen.add(key)
        return True

    def rising(self, now: float) -> NDArray[np.float64]:
        """(n,) readers per hour lately above the day's rate: the increase, not the level.

        A mass at half-life H is the rate times H / ln 2, so mass * ln 2 / H is a decayed rate.
        """
        hours = self.config.half_lives_hours
        fast = min(range(len(hours)), key=hours.__getitem__)
        slow = min(range(len(hours)), key=lambda k: (abs(hours[k] - 24.0), k))
        rates = [self.openings.read(now, k) * np.log(2) / hours[k] for k in (fast, slow)]
        return np.asarray(np.maximum(rates[0] - rates[1], 0.0))

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

    def group_ctr(
        self, now: float, groups: NDArray[np.int32], count: int, half_life_hours: float
    ) -> NDArray[np.float64]:
        """Click-through rate of groups of articles, smoothed towards that of all of them.

        Args:
            now: unix seconds.
            groups: (size,) code of each article's group, negative for none.
            count: number of groups.
            half_life_hours: one of ``ctr_half_lives_hours``.

        Returns:
            (count,) rates between 0 and 1.
        """
        column = self.rate_column(half_life_hours)
        clicked, seen = (
            np.bincount(groups + 1, c.read(now, column)[: len(groups)], minlength=count + 1).astype(
                np.float64
            )
            for c in (self.clicks, self.impressions)
        )
        strength = self.config.ctr_prior_impressions
        overall = smoothed_rate(
            clicked.sum(keepdims=True), seen.sum(keepdims=True), self.config.ctr_prior, strength
        )
        return smoothed_rate(clicked[1:], seen[1:], overall, strength)

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for the bundle."""
        arrays: dict[str, NDArray[Any]] = {}
        for name in _COUNTERS:
            for key, value in getattr(self, name).state().items():
                arrays[f"{name}_{key}"] = value
        arrays |= self.recent.state()
        windows = sorted(self._seen)
        arrays["seen_windows"] = np.repeat(windows, [len(self._seen[w]) for w in windows]).astype(np.int64)
        arrays["seen_keys"] = np.array([k for w in windows for k in sorted(self._seen[w])], dtype=np.uint64)
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]], watermark: float) -> None:
        """Take over what ``state`` gave."""
        for name in _COUNTERS:
            getattr(self, name).restore(arrays[f"{name}_masses"], arrays[f"{name}_landmarks"])
        for window, key in zip(arrays["seen_windows"].tolist(), arrays["seen_keys"].tolist(), strict=True):
            self._seen.setdefault(window, set()).add(key)
        self.recent.rows, self.recent.ts = arrays["recent_rows"], arrays["recent_ts"]
        self.watermark = watermark
        for top in (*self.tops, self.most_engaging):
            top.rebuild()


def smoothed_rate(
    clicked: NDArray[np.float64],
    seen: NDArray[np.float64],
    prior: NDArray[np.float64] | float,
    strength: float,
) -> NDArray[np.float64]:
    """Clicks per impression with ``strength`` impressions at the ``prior`` rate added, at most 1."""
    return np.asarray(np.minimum((clicked + strength * prior) / (np.maximum(seen, clicked) + strength), 1.0))


def _mix(
    readers: NDArray[np.uint64], rows: NDArray[np.int32], windows: NDArray[np.int64], kind: int
) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        mixed = readers * _MIX[0] ^ (rows.astype(np.uint64) + np.uint64(kind)) * _MIX[1]
        mixed ^= windows.astype(np.uint64) * _MIX[2]
        mixed ^= mixed >> np.uint64(29)
        return np.asarray(mixed * _MIX[1] + np.uint64(kind))
