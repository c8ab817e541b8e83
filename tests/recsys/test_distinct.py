"""Who counted already: exactly, and in few bytes."""

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.distinct import DistinctReaders
from recsys.key_sets import KeySet

HOUR = 3600.0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 7 * 24)), max_size=80),
    st.integers(1, 20),
)
def test_each_reader_counts_once_an_article_and_window_in_batches_of_any_size(
    events: list[tuple[int, int, float]], size: int
) -> None:
    """What a set of tuples says, which keeps the three newest windows that it has met."""
    distinct, seen = DistinctReaders(24.0), dict[int, set[tuple[int, int]]]()
    for start in range(0, len(events), size):
        batch = events[start : start + size]
        readers, rows, hours = (np.array(one) for one in zip(*batch, strict=True))
        expected = []
        for at in np.argsort(hours, kind="stable").tolist():
            window, pair = int(hours[at] // 24), (int(readers[at]), int(rows[at]))
            if window not in seen:
                seen = {w: p for w, p in seen.items() if w in sorted([*seen, window])[-3:]} | {window: set()}
            if pair not in seen[window]:
                seen[window].add(pair)
                expected.append(at)
        found = distinct.first(readers.astype(np.uint64), rows.astype(np.int32), hours * HOUR, 0)
        assert found.tolist() == expected
    assert len(distinct) == sum(map(len, seen.values()))


def test_a_restart_forgets_nobody_and_writes_the_same_again() -> None:
    rng = np.random.default_rng(1)
    readers, ts = rng.integers(1 << 62, size=60_000).astype(np.uint64), rng.random(60_000) * 48 * HOUR
    rows = np.zeros(60_000, np.int32)
    one, again = DistinctReaders(24.0), DistinctReaders(24.0)
    one.first(readers, rows, ts, 0)
    again.restore(*one.state().values())
    assert len(again.first(readers, rows, ts, 0)) == 0
    assert len(again.first(readers, rows, ts, 1)) == 60_000
    for mine, its in zip(one.state().values(), again.state().values(), strict=True):
        assert len(mine) == 60_000
        assert set(mine.tolist()) <= set(its.tolist())


def test_keys_are_found_again_in_parts_that_were_divided() -> None:
    rng = np.random.default_rng(2)
    keys = np.unique(rng.integers(0, 1 << 64, size=200_000, dtype=np.uint64))
    mixed, known = rng.permutation(keys), KeySet()
    for part in np.array_split(mixed, 37):
        assert known.add(part).all()
        assert not known.add(part[:50]).any()
    assert len(known) == len(keys)
    assert not known.add(mixed).any()
    np.testing.assert_array_equal(known.sorted(), keys)
    assert not known.add(mixed[:100]).any()


def test_a_key_takes_less_than_sixteen_bytes_and_no_growth_copies_much() -> None:
    """Some at a time, as a service meets them; an allocation is what a request could wait for."""
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 1 << 64, size=120_000, dtype=np.uint64)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    known, most = KeySet(), 0
    for part in np.array_split(keys, 1_000):
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        known.add(part)
        most = max(most, tracemalloc.get_traced_memory()[1] - held)
    each = (tracemalloc.get_traced_memory()[0] - before) / len(keys)
    tracemalloc.stop()
    assert len(known) == len(keys)
    assert each < 16
    assert most < 1_000_000
