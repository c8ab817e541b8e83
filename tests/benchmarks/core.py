"""The funnel and the counters in process, without a server."""

import numpy as np

from recsys.counters import HOUR, DecayedCounter, TopRows
from recsys.pipeline import Funnel, Query
from recsys.popularity import EventBatch
from recsys.profile import reader_key
from tests.benchmarks.common import Figure, in_turns, milliseconds_each, ratio_of, seconds
from tests.benchmarks.worlds import NOW, make_state

T = NOW.timestamp()


def measure(count: int, rounds: int) -> list[Figure]:
    """Milliseconds of each list, beside one exact product over all vectors."""
    state, _ = make_state(count)
    funnel, rng = Funnel(state), np.random.default_rng(4)
    readers = [reader_key(f"s:reader-{at}") for at in rng.integers(5_000, size=200)]
    contexts = rng.integers(count, size=200).tolist()

    def query(at: int) -> Query:
        return Query(now=T, context=contexts[at % 200], reader=state.histories.of(readers[at % 200]))

    def product(at: int) -> None:
        state.index.cosines(state.index.take(np.array([contexts[at % 200]]))[0])

    lists = {surface: (lambda at, s=surface: funnel.slate(s, query(at))) for surface in
             ("related", "popular", "latest", "must_reads", "for_you")}  # fmt: skip
    lists["page of four"] = lambda at: funnel.page(["related", "popular", "latest", "must_reads"], query(at))
    found = []
    for name, work in lists.items():
        milliseconds_each(work, 20)
        spent: list[list[float]] = []

        def ours(work: object = work, spent: list[list[float]] = spent) -> float:
            spent.append(milliseconds_each(work, 60))  # type: ignore[arg-type]
            return spent[-1][30]

        a, b = in_turns(ours, lambda: milliseconds_each(product, 10)[5], rounds)
        ratio, spread = ratio_of(a, b)
        slow = sorted(value for part in spent for value in part)
        tail = slow[int(len(slow) * 0.99)]
        label = f"funnel {name}, {count:,} articles (p99 {tail:.1f} ms; ratio to one exact search)"
        found.append(Figure(label, sorted(a)[len(a) // 2], "ms p50", ratio, spread))
    return found + counters()


def make_views(count: int, articles: int, readers: int) -> EventBatch:
    """Views of three days; few articles take most of them."""
    rng = np.random.default_rng(3)
    rows = np.minimum(rng.zipf(1.2, size=count) - 1, articles - 1).astype(np.int32)
    keys = rng.integers(1 << 62, size=readers).astype(np.uint64)
    ts = np.sort(T - rng.random(count) * 72 * HOUR)
    return EventBatch(
        np.zeros(count, np.uint8), rows, keys[rng.integers(readers, size=count)], ts, np.full(count, np.nan)
    )


def counters() -> list[Figure]:
    """Updates a second, and the top fifty of 100,000 articles."""
    batch = make_views(1_000_000, 100_000, 50_000)
    counter = DecayedCounter((1.0, 6.0, 24.0, 168.0), 100_000)
    rate = len(batch.rows) / seconds(lambda: counter.add(batch.rows, batch.ts, np.ones(len(batch.rows))))
    top = TopRows(counter, 2)
    top.rows()

    def after_an_event(at: int) -> None:
        top.touched(batch.rows[at : at + 1])
        top.rows()[:50]

    spent = milliseconds_each(after_an_event, 500)[250]
    return [
        Figure("decayed counters, four half-lives", rate / 1e6, "M updates/s", bar=">= 1", good=rate >= 1e6),
        Figure("top 50 of 100,000 articles after an event", spent, "ms p50", bar="<= 1", good=spent <= 1),
    ]
