"""Replay of the counters at ten million impressions, beside a sort of the same rows, in processor time.

Every impression is counted and is a place that counters are asked for: the decayed openings, clicks
and impressions of its article at every half-life, as they were five minutes before. One in twelve is
clicked. The baseline is ``np.lexsort`` by article and time of the same impressions and clicks in the same
order, which is none: the replay puts the log into the order of time itself.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.config import PopularityConfig
from recsys.counters import HOUR
from recsys.popularity import EventBatch
from recsys.prefixes import Asked, by_entity, by_time, parts_of
from recsys.replay import half_lives_of, stream_of
from tests.benchmarks.common import Figure, in_turns, processor_seconds, ratio_of

_IMPRESSIONS, _ARTICLES, _READERS, _PER_LIST = 10_000_000, 43_000, 500_000, 10
_LAG = 300.0


def make_log(impressions: int) -> tuple[EventBatch, NDArray[np.bool_]]:
    """Lists of ten with clicks, in no order; and which events are impressions."""
    rng = np.random.default_rng(5)
    lists = impressions // _PER_LIST
    when = np.repeat(rng.random(lists) * 30 * 24 * HOUR + 1.77e9, _PER_LIST)
    readers = np.repeat(rng.integers(0, _READERS, lists).astype(np.uint64), _PER_LIST)
    rows = np.minimum(rng.zipf(1.2, impressions) - 1, _ARTICLES - 1).astype(np.int32)
    clicked = np.flatnonzero(rng.random(impressions) < 1 / 12)
    log = EventBatch(
        np.concatenate((np.full(impressions, 1, np.uint8), np.full(len(clicked), 2, np.uint8))),
        np.concatenate((rows, rows[clicked])),
        np.concatenate((readers, readers[clicked])),
        np.concatenate((when, when[clicked] + 20.0)),
        np.full(impressions + len(clicked), np.nan),
    )
    order = rng.permutation(len(log.ts))
    return log.take(order), order < impressions


def replay(log: EventBatch, shown: NDArray[np.bool_]) -> int:
    """Counters of every impression's article, some articles at a time; how many values were found."""
    config, found = PopularityConfig(), 0
    order = by_time(log.ts)
    rows, ts, shown = log.rows[order], log.ts[order], shown[order]
    # what a list knows is looked up once for all its places
    at = ts[shown] - _LAG
    new = np.append(True, at[1:] != at[:-1])
    known = np.searchsorted(ts, at[new], side="left")[np.cumsum(new) - 1]
    asked = Asked(rows[shown], known, at).take(by_entity(rows[shown]))
    places = by_entity(rows)
    log = log.take(order[places])
    for name in ("openings", "impressions", "clicks"):
        stream = stream_of(name, log, config, places)
        found += sum(masses.size for _, masses in parts_of(stream, asked, half_lives_of(name, config)))
    return found


def measure(rounds: int) -> list[Figure]:
    """Seconds of the replay, as a ratio to the sort."""
    found = []
    for impressions in (_IMPRESSIONS // 100, _IMPRESSIONS // 10, _IMPRESSIONS):
        log, shown = make_log(impressions)
        a, b = in_turns(
            lambda log=log, shown=shown: processor_seconds(lambda: replay(log, shown)),
            lambda log=log: processor_seconds(lambda: np.lexsort((log.ts, log.rows))),
            rounds,
        )
        ratio, spread = ratio_of(a, b)
        bar = ("<= 2", ratio <= 2.0) if impressions == _IMPRESSIONS else ("", None)
        label = f"replay of 11 decayed counters at {impressions:,} impressions / np.lexsort of the log"
        found.append(Figure(label, sorted(a)[len(a) // 2], "s", ratio, spread, *bar))
    return found
