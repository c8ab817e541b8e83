"""Popularity with forward decay, counted per distinct reader.

Source of the arithmetic: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay
Model for Streaming Systems", ICDE 2009. A mass is the plain sum of w * 2**((t - L) / H) and is read
as mass * 2**(-(now - L) / H), so that it does not depend on the order of events, adds up between
workers, and ranks articles without being touched as time passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.config import PopularityConfig
from recsys.schemas import EVENT_TYPES

HOUR = 3600.0
_MAX_EXPONENT = 400.0
_VIEW, _IMPRESSION, _CLICK, _READ, _SHARE, _SAVE, _COMMENT, _HIDE = range(len(EVENT_TYPES))
_COUNTERS = ("openings", "impressions", "clicks", "engagement")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


class DecayedCounter:
    """Decayed masses of many articles at several half-lives.

    Args:
        half_lives_hours: the k half-lives.
        size: number of articles to begin with; grows by itself.
    """

    def __init__(self, half_lives_hours: Sequence[float], size: int = 0) -> None:
        self.half_lives = np.asarray(half_lives_hours, dtype=np.float64) * HOUR
        self.landmarks = np.full(len(self.half_lives), np.nan)
        self._masses = np.zeros((size, len(self.half_lives)))
        self.size = size

    @property
    def masses(self) -> NDArray[np.float64]:
        """(n, k) float64 masses at the landmarks; comparable within a column."""
        return self._masses[: self.size]

    def resize(self, size: int) -> None:
        """Make room for ``size`` articles; never shrinks."""
        if size > len(self._masses):
            grown = np.zeros((max(size, int(len(self._masses) * 1.5) + 16), len(self.half_lives)))
            grown[: self.size] = self._masses[: self.size]
            self._masses = grown
        self.size = max(self.size, size)

    def add(self, rows: NDArray[np.integer], ts: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        """Count events; their order does not matter.

        Args:
            rows: (m,) article rows below ``size``.
            ts: (m,) unix seconds.
            weights: (m,) non-negative.
        """
        if len(rows) == 0:
            return
        self._move_landmarks(float(ts.max()))
        exponents = (ts[:, None] - self.landmarks) / self.half_lives
        np.add.at(self._masses, rows, weights[:, None] * np.exp2(exponents))

    def _move_landmarks(self, latest: float) -> None:
        if np.isnan(self.landmarks[0]):
            self.landmarks[:] = latest
            return
        steps = np.floor((latest - self.landmarks) / self.half_lives)
        for k in np.flatnonzero(steps > _MAX_EXPONENT):
            # whole half-lives: a power of two scales without rounding
            self._masses[:, k] *= np.exp2(-steps[k])
            self.landmarks[k] += steps[k] * self.half_lives[k]

    def scale(self, now: float) -> NDArray[np.float64]:
        """(k,) factors that turn stored masses into masses at ``now`` (unix seconds)."""
        if np.isnan(self.landmarks[0]):
            return np.zeros(len(self.half_lives))
        factors: NDArray[np.float64] = np.exp2(
            np.clip((self.landmarks - now) / self.half_lives, -1074.0, 1000.0)
        )
        return factors

    def read(self, now: float, column: int, rows: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Masses at ``now`` for one half-life, of ``rows`` or of all articles."""
        stored = self.masses[:, column] if rows is None else self._masses[rows, column]
        return np.asarray(stored * self.scale(now)[column])

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Arrays that restore this counter."""
        return {"masses": self.masses.copy(), "landmarks": self.landmarks.copy()}

    def restore(self, masses: NDArray[np.float64], landmarks: NDArray[np.float64]) -> None:
        """Take over what ``state`` gave."""
        self._masses = np.array(masses, dtype=np.float64)
        self.landmarks = np.array(landmarks, dtype=np.float64)
        self.size = len(self._masses)


class TopRows:
    """The rows with the highest stored mass in one column, kept exactly while masses only grow."""

    def __init__(self, counter: DecayedCounter, column: int, keep: int = 1000) -> None:
        self._counter, self._column, self._keep = counter, column, keep
        self._rows: NDArray[np.int32] | None = None
        self._sorted = False

    def rebuild(self) -> None:
        """Forget the cached order (after rows were restored)."""
        self._rows = None

    def touched(self, rows: NDArray[np.integer]) -> None:
        """Tell which masses grew."""
        if self._rows is not None:
            self._rows = np.union1d(self._rows, rows).astype(np.int32)
            self._sorted = False

    def is_cut(self) -> bool:
        """Whether rows with positive mass were left out of ``rows``."""
        return len(self.rows()) >= self._keep

    def all_rows(self) -> NDArray[np.int32]:
        """Every row with positive mass, best first; for filters that leave too few of ``rows``."""
        masses = self._counter.masses[:, self._column]
        rows = np.flatnonzero(masses > 0).astype(np.int32)
        return rows[np.argsort(-masses[rows], kind="stable")]

    def highest(self, now: float) -> float:
        """The highest mass at ``now``, 0 without events."""
        rows = self.rows()
        return float(self._counter.read(now, self._column, rows[:1])[0]) if len(rows) else 0.0

    def rows(self) -> NDArray[np.int32]:
        """Rows with positive mass, best first, at most about ``keep``."""
        if self._rows is None:
            self._rows = np.flatnonzero(self._counter.masses[:, self._column] > 0).astype(np.int32)
            self._sorted = False
        if not self._sorted:
            masses = self._counter.masses[self._rows, self._column]
            if len(self._rows) > self._keep:
                best = np.argpartition(-masses, self._keep)[: self._keep]
                self._rows, masses = self._rows[best], masses[best]
            self._rows = self._rows[np.argsort(-masses, kind="stable")]
            self._sorted = True
        return self._rows


class RecentOpenings:
    """The openings of the last days one by one, for counts in a plain window.

    Args:
        keep_hours: older openings are forgotten.
    """

    def __init__(self, keep_hours: float = 168.0) -> None:
        self._keep = keep_hours * HOUR
        self.rows = np.zeros(0, np.int32)
        self.ts = np.zeros(0)
        self._pending: list[tuple[NDArray[np.int32], NDArray[np.float64]]] = []

    def add(self, rows: NDArray[np.int32], ts: NDArray[np.float64]) -> None:
        """Note openings."""
        if len(rows):
            self._pending.append((rows, ts))

    def _settle(self) -> None:
        if self._pending:
            rows, ts = zip(*self._pending, strict=True)
            self.rows, self.ts = np.concatenate((self.rows, *rows)), np.concatenate((self.ts, *ts))
            self._pending = []
            recent = self.ts > self.ts.max() - self._keep
            self.rows, self.ts = self.rows[recent], self.ts[recent]

    def counts(self, now: float, hours: float, size: int) -> NDArray[np.float64]:
        """(size,) openings with now - hours < ts <= now."""
        self._settle()
        inside = (self.ts > now - hours * HOUR) & (self.ts <= now)
        return np.bincount(self.rows[inside], minlength=size)[:size].astype(np.float64)

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for the bundle."""
        self._settle()
        return {"recent_rows": self.rows, "recent_ts": self.ts}


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events as parallel arrays.

    Attributes:
        types: (m,) codes into ``EVENT_TYPES``.
        rows: (m,) catalogue rows.
        readers: (m,) uint64 reader keys.
        ts: (m,) unix seconds.
        values: (m,) seconds for ``read``, NaN where missing.
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
        self.impressions = DecayedCounter((config.ctr_half_life_hours,), size)
        self.clicks = DecayedCounter((config.ctr_half_life_hours,), size)
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
            counter.add(part.rows, part.ts, np.ones(len(part.rows)))

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

    def ctr(self, now: float, rows: NDArray[np.integer]) -> NDArray[np.float64]:
        """Click-through rate smoothed towards the prior; (n,) between 0 and 1."""
        seen, clicked = self.impressions.read(now, 0, rows), self.clicks.read(now, 0, rows)
        strength, prior = self.config.ctr_prior_impressions, self.config.ctr_prior
        return np.asarray(
            np.minimum((clicked + strength * prior) / (np.maximum(seen, clicked) + strength), 1.0)
        )

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


def _mix(
    readers: NDArray[np.uint64], rows: NDArray[np.int32], windows: NDArray[np.int64], kind: int
) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        mixed = readers * _MIX[0] ^ (rows.astype(np.uint64) + np.uint64(kind)) * _MIX[1]
        mixed ^= windows.astype(np.uint64) * _MIX[2]
        mixed ^= mixed >> np.uint64(29)
        return np.asarray(mixed * _MIX[1] + np.uint64(kind))
