"""Made-up readers of the benchmarks: what each opened in three days, as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recsys.config import Config
from recsys.counters import HOUR
from recsys.covisitation import Trails
from recsys.popularity import EventBatch
from recsys.profile import Histories, reader_key
from recsys.schemas import EVENT_TYPES

_DRAWN, _IN_A_VISIT = 36, 3
_SHOWN, _PER_CLICK = 10, 10
_DAYS = 3


def reader_name(at: int) -> str:
    """Session id of a reader."""
    return f"reader-{at}"


@dataclass(frozen=True)
class Openings:
    """Distinct openings, by reader and within a reader oldest first.

    Attributes:
        keys: (r,) uint64 of the readers.
        readers: (m,) rising numbers into ``keys``.
        rows: (m,) int32 articles.
        ts: (m,) unix seconds.
    """

    keys: np.ndarray
    readers: np.ndarray
    rows: np.ndarray
    ts: np.ndarray

    def by_reader(self, most: int) -> Iterator[np.ndarray]:
        """Articles of each of the first ``most`` readers."""
        starts = np.searchsorted(self.readers, np.arange(min(most, len(self.keys)) + 1))
        for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            yield self.rows[first:last]


def make_openings(readers: int, topics: np.ndarray, ages: np.ndarray, now: float) -> Openings:
    """Visits of three openings; half of them on the reader's three topics, the rest what all open.

    Args:
        readers: how many.
        topics: (n,) of the articles.
        ages: (n,) seconds.
        now: unix seconds, when the three days end.
    """
    rng = np.random.default_rng(3)
    keys = np.array([reader_key(f"s:{reader_name(at)}") for at in range(readers)], dtype=np.uint64)
    parts = [
        _drawn(rng, at, min(at + 50_000, readers), topics, ages, now) for at in range(0, readers, 50_000)
    ]
    whole = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return Openings(keys, *whole)


def _drawn(
    rng: np.random.Generator, first: int, last: int, topics: np.ndarray, ages: np.ndarray, now: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape, articles = (last - first, _DRAWN), len(topics)
    by_topic = np.argsort(topics, kind="stable")
    counts = np.bincount(topics)
    starts = np.cumsum(counts) - counts
    liked = rng.integers(len(counts), size=(last - first, 3))
    topic = np.take_along_axis(liked, rng.integers(3, size=shape), axis=1)
    topic = np.where(counts[topic] > 0, topic, topics[0])
    own = by_topic[starts[topic] + (rng.random(shape) * counts[topic]).astype(np.int64)]
    newest = np.argsort(ages)
    everyone = newest[np.minimum(rng.zipf(1.2, size=shape), articles) - 1]
    rows = np.where(rng.random(shape) < 0.5, own, everyone)
    visits = np.sort(rng.random((last - first, _DRAWN // _IN_A_VISIT)), axis=1) * _DAYS * 24 * HOUR
    ts = now - _DAYS * 24 * HOUR + np.repeat(visits, _IN_A_VISIT, axis=1)
    ts += np.tile(90.0 * np.arange(_IN_A_VISIT), _DRAWN // _IN_A_VISIT)
    who = np.repeat(np.arange(first, last), _DRAWN)
    _, once = np.unique(who * np.int64(articles) + rows.ravel(), return_index=True)
    once = np.sort(once)
    who, times = who[once], np.minimum(ts.ravel()[once], now)
    order = np.lexsort((times, who))
    return who[order], rows.ravel()[once][order].astype(np.int32), times[order]


def batch_of(openings: Openings, most: int, ages: np.ndarray) -> EventBatch:
    """The first ``most`` openings as views, and as many impressions of the newest, one in ten clicked."""
    rng = np.random.default_rng(4)
    taken = slice(0, most)
    readers, rows, ts = openings.keys[openings.readers[taken]], openings.rows[taken], openings.ts[taken]
    newest = np.argsort(ages)[: max(len(ages) // 20, _SHOWN)]
    shown = newest[rng.integers(len(newest), size=len(rows))].astype(np.int32)
    clicked = rng.random(len(rows)) < 1 / _PER_CLICK
    kinds = (("view", np.ones(len(rows), bool), rows), ("impression", np.ones(len(rows), bool), shown),
             ("click", clicked, shown))  # fmt: skip
    columns = [
        (np.full(int(which.sum()), EVENT_TYPES.index(name), np.uint8), of[which], readers[which], ts[which])
        for name, which, of in kinds
    ]
    types, all_rows, all_readers, times = (np.concatenate(one) for one in zip(*columns, strict=True))
    order = np.argsort(times, kind="stable")
    nothing = np.full(len(order), np.nan)
    return EventBatch(types[order], all_rows[order], all_readers[order], times[order], nothing)


def restored(config: Config, openings: Openings) -> Histories:
    """The table of pasts that these openings leave, without stepping through them."""
    length, count = config.profile.history_length, len(openings.keys)
    ends = np.searchsorted(openings.readers, np.arange(count), side="right")
    place = ends[openings.readers] - 1 - np.arange(len(openings.rows))
    kept = place < length
    rows = np.full((count, length), -1, np.int32)
    ts = np.full((count, length), -np.inf)
    rows[openings.readers[kept], place[kept]] = openings.rows[kept]
    ts[openings.readers[kept], place[kept]] = openings.ts[kept]
    histories = Histories(config.profile)
    nothing = {"hidden_keys": np.zeros(0, np.uint64), "hidden_rows": np.zeros(0, np.int32)}
    histories.restore({"reader_keys": openings.keys, "reader_rows": rows, "reader_ts": ts, **nothing})
    return histories


def trails_of(openings: Openings, most: int) -> Trails:
    """The first ``most`` openings as visits, for what is read together."""
    readers, rows, ts = openings.readers[:most], openings.rows[:most], openings.ts[:most]
    begins = (np.diff(readers, prepend=-1) != 0) | (np.diff(ts, prepend=ts[0]) > HOUR)
    latest = float(ts.max())
    weights = np.exp2((ts - latest) / (30.0 * 24 * HOUR))
    return Trails(rows, np.cumsum(begins), weights, latest)
