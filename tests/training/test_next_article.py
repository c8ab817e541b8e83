"""The next-article protocol: by hand, rolling without the future, split by reader without a leak."""

import dataclasses

import numpy as np
import pytest

from recsys.config import Config
from recsys.schemas import EVENT_TYPES, Exposure, ExposureItem
from recsys.state import State
from tests.builders import HOUR, NOW, article, scattered, unit, world
from training.beyond import Beyond, divergence, gini
from training.list_lessons import state_of_pasts
from training.moments import Moments
from training.next_article import Found, Refreshed, gains, judge_pasts, judge_reads, rank_of
from training.readers import EventLog
from training.reads import FOLDS, NextRead, Past, fold_of, next_reads, sequences

LAG = 300.0
START = NOW.timestamp() - 20 * HOUR


def log_of(*openings: tuple[float, int, str]) -> EventLog:
    """Views at minutes after START by reader and article."""
    ids = sorted({name for _, _, name in openings})
    ordered = sorted(openings)
    count = len(ordered)
    return EventLog(
        np.array([START + 60.0 * minute for minute, _, _ in ordered]),
        np.full(count, EVENT_TYPES.index("view"), np.uint8),
        np.array([ids.index(name) for _, _, name in ordered], np.int32),
        np.array([reader for _, reader, _ in ordered], np.uint64),
        np.full(count, np.nan),
        ids,
    )


def told(log: EventLog, reads: list[NextRead]) -> list[tuple[float, str | None, str]]:
    names = log.article_ids
    return [
        ((read.asked - START) / 60, names[read.context] if read.context >= 0 else None, names[read.target])
        for read in reads
    ]


def test_metrics_of_one_article_by_hand() -> None:
    assert gains(1.0) == (1.0, 1.0, 1.0)
    assert gains(3.0) == pytest.approx((1.0, 0.5, 0.5))
    assert gains(15.0) == pytest.approx((1.0, 0.25, 0.0))
    assert gains(21.0) == (0.0, 0.0, 0.0)
    assert gains(np.inf) == (0.0, 0.0, 0.0)


def test_ties_are_broken_evenly_and_the_unscorable_rank_last() -> None:
    rng = np.random.default_rng(0)
    ranks = [rank_of(np.array([1.0, 1.0, 1.0, np.nan]), 1, rng) for _ in range(3000)]
    assert {1.0, 2.0, 3.0} == set(ranks)
    assert np.mean(ranks) == pytest.approx(2.0, abs=0.1)
    assert rank_of(np.array([1.0, 2.0, np.nan]), 2, rng) == 3.0


def test_related_asks_beside_the_last_article_within_half_an_hour_and_drops_repeats() -> None:
    log = log_of((0, 1, "a"), (10, 1, "b"), (15, 1, "a"), (20, 1, "c"), (60, 1, "d"), (65, 2, "d"))
    reads = next_reads(log, "related", -np.inf, np.inf, LAG)
    # back to a is a repeat, yet c was opened from there; d came after a pause
    assert told(log, reads) == [(0, "a", "b"), (15, "a", "c")]


def test_for_you_asks_a_lag_before_the_opening_of_readers_with_a_past() -> None:
    log = log_of((0, 1, "a"), (3, 1, "b"), (60, 1, "c"), (60, 2, "d"), (300, 1, "a"))
    reads = next_reads(log, "for_you", -np.inf, np.inf, LAG)
    assert told(log, reads) == [(55, None, "c")]
    assert next_reads(log, "for_you", START + 3601, np.inf, LAG) == []


def busy_log() -> EventLog:
    """Forty readers who go from an even article to the next odd one, then to the newest."""
    openings = []
    for reader in range(1, 41):
        first = 2 * (reader % 5)
        openings += [(7.0 * reader, reader, f"a{first}"), (7.0 * reader + 2, reader, f"a{first + 1}")]
        openings.append((7.0 * reader + 400, reader, f"a{10 + reader % 3}"))
    return log_of(*openings)


def state_for(log: EventLog) -> State:
    articles = [article(name, hours_old=30.0) for name in log.article_ids]
    state = world(articles)
    state.follows_pairs = True
    return state


def judged(log: EventLog, reads: list[NextRead], surface: str, lag: float = LAG) -> Found:
    state = state_for(log)
    rows = log.articles
    baselines = Refreshed(state, rows, log.readers, log.ts, START)
    return judge_reads(Moments(state, log), log, reads, surface, baselines.at, 0, lag)


@pytest.mark.parametrize("surface", ["related", "for_you"])
def test_nothing_after_a_read_changes_how_it_is_judged(surface: str) -> None:
    log = busy_log()
    until = START + 200 * 60.0
    reads = next_reads(log, surface, -np.inf, until, LAG) or next_reads(log, surface, -np.inf, np.inf, LAG)
    last = max(read.asked for read in reads)
    known = log.take(log.ts < last + 2 * LAG)
    whole, past = judged(log, reads, surface), judged(known, reads, surface)
    assert len(whole.clusters) > 10
    for name, values in whole.values.items():
        assert values == past.values[name], name


def test_a_planted_look_into_the_future_is_seen() -> None:
    log = busy_log()
    reads = next_reads(log, "related", -np.inf, START + 200 * 60.0, LAG)
    last = max(read.asked for read in reads)
    known = log.take(log.ts < last + 2 * LAG)
    # counters that are half a day early instead of five minutes late
    whole, past = (judged(part, reads, "related", lag=-12 * HOUR) for part in (log, known))
    assert any(values != past.values[name] for name, values in whole.values.items())


def test_pairs_that_readers_repeat_are_found_again() -> None:
    log = busy_log()
    reads = next_reads(log, "related", START + 100 * 60.0, np.inf, LAG)
    found = judged(log, reads, "related")
    item_knn = np.array(found.values["item_knn"])[:, 1].mean()
    assert item_knn == pytest.approx(1.0)
    assert np.array(found.values["random"])[:, 1].mean() < 0.7


def exposure(name: str, reader: str, history: list[str]) -> Exposure:
    items = [ExposureItem(article_id="x", position=1)]
    return Exposure(
        request_id=name, surface="for_you", ts=NOW, session_id=reader, items=items, history=history
    )


def test_one_past_under_two_names_is_one_reader_and_the_longest_stands() -> None:
    row_of = {f"a{k}": k for k in range(9)}
    short, full = ["a0", "a1", "a2", "a3", "a4"], ["a0", "a1", "a2", "a3", "a4", "a5"]
    found = sequences([exposure("1", "r1", short), exposure("2", "r2", full)], row_of)
    assert [past.rows.tolist() for past in found] == [[0, 1, 2, 3, 4, 5]]


def pasts(count: int) -> list[Past]:
    rng = np.random.default_rng(1)
    return [Past(10 * k, k, rng.permutation(12)[: 3 + k % 5].astype(np.int32)) for k in range(1, count + 1)]


def test_the_split_is_by_reader_and_seeded() -> None:
    folds = [fold_of(past, 0) for past in pasts(500)]
    assert set(folds) == set(range(FOLDS))
    assert 60 < folds.count(0) < 140
    assert folds == [fold_of(past, 0) for past in pasts(500)]
    assert folds != [fold_of(past, 1) for past in pasts(500)]


def test_what_held_out_readers_read_teaches_nothing() -> None:
    everyone = pasts(60)
    state = world([article(f"a{k}") for k in range(12)])
    known = [past for past in everyone if fold_of(past, 0) != 0]
    held_out = [past for past in everyone if fold_of(past, 0) == 0]
    fresh = state_of_pasts(state, known)
    changed = [dataclasses.replace(past, rows=past.rows[::-1].copy()) for past in held_out]
    again = state_of_pasts(state, [p for p in [*known, *changed] if fold_of(p, 0) != 0])
    np.testing.assert_array_equal(fresh.learned.covisitation.together_, again.learned.covisitation.together_)
    np.testing.assert_array_equal(fresh.popularity.openings.masses, again.popularity.openings.masses)
    leaky = state_of_pasts(state, everyone)
    assert not np.array_equal(fresh.learned.covisitation.together_, leaky.learned.covisitation.together_)


def test_counts_of_pasts_are_readers_and_nothing_has_a_date() -> None:
    state = world([article(f"a{k}") for k in range(12)])
    fresh = state_of_pasts(state, pasts(40))
    counts = fresh.popularity.openings.read(fresh.popularity.watermark, 0)
    expected = np.bincount(np.concatenate([past.rows for past in pasts(40)]), minlength=12)
    np.testing.assert_allclose(counts, expected)
    assert np.isnan(fresh.catalog.published[: len(fresh.catalog)]).all()
    assert not np.isnan(state.catalog.published[: len(state.catalog)]).any()
    found = judge_pasts(fresh, pasts(3), {}, 5, 0)
    assert len(found.clusters) + found.left_out == 5


def test_measures_beyond_accuracy_by_hand() -> None:
    names = ("a", "b", "c", "d")
    vectors = {"a": unit(1.0), "b": unit(1.0), "c": unit(0.0, 1.0), "d": unit(0.0, 0.0, 1.0)}
    sections = {"a": "x", "b": "x", "c": "y", "d": "y"}
    state = world([article(n, section=sections[n]) for n in names], vectors, Config())
    beyond = Beyond(state)
    for row in (0, 0, 0, 2):
        beyond.read(row)
    beyond.listed("pair", np.array([0, 1], np.int32))
    beyond.listed("pair", np.array([0, 2], np.int32))
    found = beyond.measures()["pair"]
    # distances 0 and 1; a and b are one text; three of four listed; shown 2, 1, 1, 0 times
    assert found["intra_list_distance"] == pytest.approx(0.5)
    assert found["near_duplicates_per_list"] == pytest.approx(0.5)
    assert found["coverage@10"] == pytest.approx(0.75)
    assert found["gini"] == pytest.approx(0.375)
    # read and listed: three in x, one in y
    assert found["calibration"] == pytest.approx(0.0)


def test_gini_and_divergence_at_their_ends() -> None:
    assert gini(np.zeros(3)) is None
    assert gini(np.array([2.0, 2.0])) == 0.0
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(100.0))
    assert divergence(np.array([0.0]), np.array([1.0])) is None
    assert scattered("a") @ scattered("b") < 0.9
