"""Counts by DuckDB are those of the engine's own classes."""

from collections.abc import Iterator, Sequence

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.config import ClicklogConfig, CovisitationConfig
from recsys.counters import DecayedCounter
from recsys.covisitation import Covisitation, Trails
from training import counting
from training.counting import covisited, decayed_counts, pairs, sums_of, trails
from training.duck import Duck, opened

HOUR = 3600.0
END = 1_772_366_400.0
# reader, article, seconds before the end; whole seconds, so that ties happen
Opening = tuple[int, int, int]
OPENINGS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 400_000)), min_size=1, max_size=60
)


@pytest.fixture(scope="module")
def duck() -> Iterator[Duck]:
    with opened(500) as database:
        yield database


def clicks_of(rows: Sequence[Opening]) -> pa.Table:
    readers, articles, ago = (np.array(column) for column in zip(*rows, strict=True))
    return pa.table({"reader": readers, "article": articles.astype(np.int32), "ts": END - ago})


@settings(max_examples=15)
@given(OPENINGS, st.sampled_from([(1.0,), (1.0, 6.0, 24.0, 168.0)]))
def test_decayed_counts_are_those_of_the_online_counter(
    duck: Duck, rows: list[Opening], hours: tuple[float, ...]
) -> None:
    table = clicks_of(rows)
    counter = DecayedCounter(hours, 7)
    counter.add(table["article"].to_numpy(), table["ts"].to_numpy(), np.ones(len(rows)))
    found = duck.columns(decayed_counts(ibis.memtable(table), hours, END))
    for at in range(len(hours)):
        masses = np.zeros(7)
        masses[found["article"]] = found[f"mass_{at}"]
        np.testing.assert_allclose(masses, counter.read(END, at), rtol=1e-9, atol=1e-300)


def test_a_half_life_halves_and_ten_years_do_not_overflow(duck: Duck) -> None:
    rows = [(0, 0, 0), (0, 1, 3600), (0, 2, 10 * 365 * 86_400)]
    found = duck.columns(decayed_counts(ibis.memtable(clicks_of(rows)), (1.0,), END).order_by("article"))
    assert found["mass_0"].tolist() == [1.0, 0.5, 0.0]


def plain_trails(rows: Sequence[Opening], pause: float, half_life_days: float) -> Trails:
    """The same in the plainest way: a loop over readers."""
    articles, visits, weights, visit = [], [], [], 0
    for reader in sorted({reader for reader, _, _ in rows}):
        first: dict[int, float] = {}
        for _, article, ago in (row for row in rows if row[0] == reader):
            first[article] = min(first.get(article, np.inf), END - ago)
        before = -np.inf
        for ts, article in sorted((ts, article) for article, ts in first.items()):
            visit += ts - before > pause
            before = ts
            articles.append(article)
            visits.append(visit)
            weights.append(2.0 ** ((ts - END) / (half_life_days * 86_400)))
    return Trails(np.array(articles, dtype=np.int32), np.array(visits), np.array(weights))


def as_matrix(left: np.ndarray, right: np.ndarray, values: np.ndarray) -> np.ndarray:
    found = np.zeros((7, 7))
    np.add.at(found, (left, right), values)
    return found


@settings(max_examples=20)
@given(OPENINGS, st.integers(1, 4), st.sampled_from([0.0, 1.0, 1.7]), st.sampled_from([0.0, 0.4, 1.0]))
def test_pairs_are_those_of_the_engine(
    duck: Duck, rows: list[Opening], reach: int, closeness: float, backward: float
) -> None:
    config = CovisitationConfig(reach=reach, closeness=closeness, backward=backward)
    found = trails(ibis.memtable(clicks_of(rows)), config, 30.0, END)
    summed = duck.columns(pairs(found, config, ("visit", "session")))
    for name, pause in (("visit", config.visit_gap_hours * HOUR), ("session", 1800.0)):
        plain = plain_trails(rows, pause, config.half_life_days)
        sums = np.nan_to_num(summed[name].astype(np.float64))
        forward = as_matrix(summed["earlier"], summed["later"], sums)
        expected = Covisitation(config).pair_sums(plain, 7)
        both = as_matrix(expected.left, expected.right, expected.together)
        np.testing.assert_allclose(forward + backward * forward.T, both, rtol=1e-9, atol=1e-300)
        direct = sums_of(duck, plain, config)
        np.testing.assert_allclose(
            as_matrix(direct.left, direct.right, direct.together), both, rtol=1e-9, atol=1e-300
        )


def test_a_long_visit_is_counted_within_reach(duck: Duck) -> None:
    config = CovisitationConfig(reach=3)
    rows = np.random.default_rng(1).permutation(500).astype(np.int32)
    found = Trails(rows, np.ones(500, np.int64), np.ones(500))
    sums = sums_of(duck, found, config)
    assert len(sums.left) == 2 * (499 + 498 + 497)
    assert sums.together.sum() == pytest.approx(1.4 * (499 + 498 / 2 + 497 / 3), rel=1e-12)


def test_a_large_log_gives_the_model_of_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    found = Trails(
        rng.integers(0, 40, 3000).astype(np.int32), np.sort(rng.integers(0, 500, 3000)), rng.random(3000)
    )
    config = CovisitationConfig(neighbours=5)
    small = covisited(found, 40, config, ClicklogConfig())
    monkeypatch.setattr(counting, "LARGE", 1)
    large = covisited(found, 40, config, ClicklogConfig())
    for row in range(40):
        (rows, similarities), (others, near) = small.of(row), large.of(row)
        assert rows.tolist() == others.tolist()
        np.testing.assert_allclose(similarities, near, rtol=1e-6)


def test_sessions_end_after_a_pause(duck: Duck) -> None:
    minutes = {1: [0, 29, 60, 89], 2: [5]}
    rows = [(reader, at * 60_000_000) for reader, times in minutes.items() for at in times]
    readers, us = (np.array(column) for column in zip(*rows, strict=True))
    events = ibis.memtable(pa.table({"reader": readers, "us": us, "type": np.zeros(5, np.int64)}))
    assert duck.number(counting.sessions(events, 30.0)) == 3
    assert duck.number(counting.sessions(events, 31.0)) == 2
