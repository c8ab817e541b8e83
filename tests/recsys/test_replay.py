"""Replay says what the online counters said, at every moment of any log."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys import prefixes
from recsys.config import PopularityConfig
from recsys.counters import HOUR, DecayedCounter
from recsys.popularity import EventBatch, Popularity
from recsys.prefixes import Asked, RunningSums, Stream, masses_at
from recsys.replay import Lists, Replay, first_of_each
from recsys.schemas import EVENT_TYPES

T0 = 1.77e9
TEN_YEARS = 10 * 365.25 * 24 * HOUR
ARTICLES, READERS = 6, 3
CODES = {
    "section": np.array([0, 0, 1, 1, 2, -1], np.int32),
    "subsection": np.array([0, 1, 2, -1, 3, -1], np.int32),
    "author": np.array([1, 0, 0, -1, 1, 1], np.int32),
}
COUNTS = {"section": 3, "subsection": 4, "author": 2}
# half hours, so that events often lie exactly at a moment that is asked for
CLOSE = st.integers(0, 200).map(lambda half_hours: half_hours * HOUR / 2)
TIMES = st.one_of(CLOSE, st.floats(0, 40 * 24 * HOUR), st.floats(0, TEN_YEARS))
EVENT = st.tuples(
    st.integers(0, len(EVENT_TYPES) - 1),
    st.integers(0, ARTICLES - 1),
    st.integers(0, READERS - 1),
    TIMES,
    st.sampled_from([float("nan"), 30.0, 1e9]),
    st.sampled_from([1.0, 1.0, 0.0, 0.25]),
)
QUERY = st.tuples(TIMES, st.lists(st.integers(0, ARTICLES + 1), min_size=1, max_size=4))


def log_of(events: list[tuple[int, int, int, float, float, float]]) -> EventBatch:
    columns = list(zip(*events, strict=True)) or [[], [], [], [], [], []]
    return EventBatch(
        types=np.array(columns[0], np.uint8),
        rows=np.array(columns[1], np.int32),
        readers=np.array(columns[2], np.uint64) + np.uint64(7),
        ts=T0 + np.array(columns[3], np.float64),
        values=np.array(columns[4], np.float64),
        trust=np.array(columns[5], np.float64),
    )


def counters(config: PopularityConfig) -> Popularity:
    counts = Popularity(config, ARTICLES + 2)
    counts.regroup(CODES, COUNTS)
    return counts


def lists_of(queries: list[tuple[float, list[int]]]) -> Lists:
    lengths = [len(rows) for _, rows in queries]
    return Lists(
        until=T0 + np.array([until for until, _ in queries]),
        starts=np.concatenate(([0], np.cumsum(lengths))),
        rows=np.array([row for _, rows in queries for row in rows], np.int32),
    )


def assert_same(replayed: Popularity, online: Popularity, rows: list[int], now: float) -> None:
    """Everything that a list of these articles reads."""
    at, config = np.array(rows), online.config

    def same(read: object) -> None:
        ours, theirs = (np.asarray(read(counts)) for counts in (replayed, online))  # type: ignore[operator]
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-100)

    for name in ("openings", "impressions", "clicks", "engagement"):
        for k in range(len(getattr(online, name).half_lives)):
            same(lambda counts, n=name, k=k: getattr(counts, n).read(now, k, at))
            if name == "engagement":
                continue
            same(lambda counts, n=name, k=k: getattr(counts, n).total(now, k))
            for level, codes in CODES.items():
                own = codes[at[at < ARTICLES]]
                same(lambda c, n=name, k=k, v=level, o=own: getattr(c, n).read_groups(now, k, v, o))
    for k in range(len(config.half_lives_hours)):
        same(lambda counts, k=k: counts.tops[k].highest(now))
    same(lambda counts: counts.most_engaging.highest(now))
    same(lambda counts: counts.hourly_rates(now, at))
    same(lambda counts: counts.ctr(now, at, 4.0))
    same(lambda counts: counts.overall_ctr(now, 168.0))
    same(lambda counts: counts.group_ctr(now, "section", CODES["section"][at[at < ARTICLES]], 24.0))
    known = at[at < ARTICLES]
    usual = np.full(len(known), 0.2)
    same(lambda counts: counts.author_lift(now, known, CODES["author"][known], usual))
    same(lambda counts: counts.openings.any_mass(at) | counts.impressions.any_mass(at))
    assert replayed.watermark == online.watermark


@settings(max_examples=60)
@given(st.lists(EVENT, max_size=40), st.lists(QUERY, min_size=1, max_size=6), st.floats(0, 100 * HOUR))
@example([(0, 0, 0, HOUR, np.nan, 1.0)], [(HOUR, [0]), (HOUR + 1, [0, 7])], 0.0)
@example([(at % 3, 0, 0, at * HOUR / 2, np.nan, 1.0) for at in range(200)], [(77 * HOUR, [0, 1])], HOUR)
@example([(0, 0, 0, HOUR, np.nan, 0.0), (0, 0, 0, 2 * HOUR, np.nan, 0.25)], [(3 * HOUR, [0])], 0.0)
def test_replay_says_what_the_online_counters_said(
    events: list[tuple[int, int, int, float, float, float]],
    queries: list[tuple[float, list[int]]],
    later: float,
) -> None:
    config, log = PopularityConfig(), log_of(events)
    replay, replayed = Replay(config, log, CODES, lists_of(queries)), counters(config)
    in_time = log.take(np.argsort(log.ts, kind="stable"))
    for number, (until, rows) in enumerate(queries):
        online = counters(config)
        # one event at a time up to the moment, those at the moment itself not yet
        for place in np.flatnonzero(in_time.ts < T0 + until).tolist():
            online.observe(in_time.take(np.array([place])))
        replay.hold(number, replayed)
        assert_same(replayed, online, rows, T0 + until + later)


def test_ten_years_at_one_hour_neither_overflow_nor_lose_the_present() -> None:
    rng = np.random.default_rng(1)
    ts = np.sort(np.concatenate((rng.random(40_000) * TEN_YEARS, TEN_YEARS - rng.random(2_000) * 48 * HOUR)))
    rows = rng.integers(0, 3, len(ts)).astype(np.int32)
    when = np.sort(rng.random(200)) * TEN_YEARS
    when[-50:] = TEN_YEARS - np.linspace(48 * HOUR, 0, 50)
    cuts = np.searchsorted(ts, when)
    asked = Asked(rng.integers(0, 3, 200).astype(np.int32), cuts, when)
    found = masses_at(Stream(rows, ts, np.arange(len(ts))), asked, (1.0, 168.0))
    assert np.isfinite(found).all()
    for column, hours in enumerate((1.0, 168.0)):
        for place in range(200):
            own = ts[: cuts[place]][rows[: cuts[place]] == asked.entities[place]]
            exact = np.sum(np.exp2(-(when[place] - own) / (hours * HOUR)))
            assert found[place, column] == pytest.approx(exact, rel=1e-9, abs=1e-100)


def test_ten_years_of_the_online_counter_are_replayed() -> None:
    rng = np.random.default_rng(2)
    ts = np.sort(rng.random(3_000)) * TEN_YEARS
    rows = rng.integers(0, 5, len(ts)).astype(np.int32)
    cuts = np.arange(10, len(ts), 97)
    counter, done = DecayedCounter((1.0, 24.0), 5), 0
    for cut in cuts.tolist():
        counter.add(rows[done:cut], ts[done:cut], np.ones(cut - done))
        done, at = cut, ts[cut - 1]
        asked = Asked(np.arange(5, dtype=np.int32), np.full(5, cut), np.full(5, at))
        found = masses_at(Stream(rows, ts, np.arange(len(ts))), asked, (1.0, 24.0))
        expected = np.column_stack([counter.read(at, k) for k in (0, 1)])
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-100)


def test_the_size_of_a_part_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    ts, rows = np.sort(rng.random(5_000)) * 90 * 24 * HOUR, rng.integers(0, 90_000, 5_000).astype(np.int32)
    asked = Asked(rows, np.arange(1, 5_001), ts)
    stream = Stream(rows, ts, np.arange(5_000), rng.random(5_000))
    whole = masses_at(stream, asked, (1.0, 24.0))
    monkeypatch.setattr(prefixes, "_AT_ONCE", 300)
    np.testing.assert_array_equal(masses_at(stream, asked, (1.0, 24.0)), whole)


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=1, max_size=70), min_size=1, max_size=8))
def test_running_sums_begin_anew_at_each_segment(segments: list[list[float]]) -> None:
    values = np.concatenate([np.array(part) for part in segments])
    starts = np.cumsum([0, *map(len, segments)])[:-1]
    expected = np.concatenate([np.cumsum(part) for part in segments])
    np.testing.assert_allclose(RunningSums(starts, len(values)).of(values), expected, rtol=1e-12)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=60))
def test_the_first_of_each_key_is_found_in_order(keys: list[int]) -> None:
    _, first = np.unique(np.array(keys, np.uint64), return_index=True)
    assert first_of_each(np.array(keys, np.uint64)).tolist() == sorted(first.tolist())


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(-5, 5).map(float), max_size=60), st.integers(1, 30))
def test_orders_are_the_stable_ones(values: list[float], times: int) -> None:
    ts = np.array(values * times, np.float64)
    assert prefixes.by_time(ts).tolist() == np.argsort(ts, kind="stable").tolist()
    rows = (np.abs(ts) % 200_000).astype(np.int32)
    assert prefixes.by_entity(rows).tolist() == np.argsort(rows, kind="stable").tolist()
