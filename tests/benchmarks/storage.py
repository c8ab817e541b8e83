"""Bytes of an event and of a served list, as a store of a busy day keeps them."""

import secrets
from datetime import timedelta
from itertools import islice
from pathlib import Path
from random import Random

from recsys.config import Config
from recsys.exposed import Exposed, Known
from recsys.schemas import Event
from recsys.state import State
from recsys.store.sqlite import SqliteStore
from tests.benchmarks.common import Figure, processor_seconds
from tests.benchmarks.worlds import NOW

_EVENTS, _LISTS, _BATCH = 100_000, 50_000, 100
_TAIL, _READERS = 2_000, 8_000


def measure(folder: Path) -> list[Figure]:
    """Events in the database and in Parquet, lists in segments, and what writing a list costs."""
    draw, store = Random(1), SqliteStore(str(folder / "storage.db"))
    for start in range(0, _EVENTS, 1000):
        store.append_events([_event(draw, start + at) for at in range(1000)])
    lists = [_list(draw, at) for at in range(_LISTS)]
    parts = [lists[start : start + _BATCH] for start in range(0, _LISTS, _BATCH)]
    took = processor_seconds(lambda: [store.append_exposures(part) for part in parts])
    tail = tail_rate(folder)
    here = store.usage(NOW)
    store.age_events(NOW + timedelta(days=2))
    there = store.usage(NOW)
    store.close()
    return [
        Figure("an event in the database, with indexes", here.event_bytes, "bytes"),
        Figure("an event in the Parquet of its day", there.aged_event_bytes, "bytes"),
        Figure("a served list of ten in its segment", here.exposure_bytes, "bytes"),
        Figure(f"writing a served list, {_BATCH} at once", took / _LISTS * 1e6, "CPU us", bar="<= 40",
               good=took / _LISTS * 1e6 <= 40),
        Figure("a new worker reads and counts what its bundle does not hold", tail, "events/CPU s"),
    ]  # fmt: skip


def tail_rate(folder: Path) -> float:
    """Events that a new worker reads and counts in a processor second, of readers who come back."""
    draw, store = Random(2), SqliteStore(str(folder / "tail.db"))
    for start in range(0, _EVENTS, 1000):
        events = [_event(draw, start + at) for at in range(1000)]
        again = [{"session_id": f"{draw.randrange(_READERS):016x}"} for _ in events]
        changed = zip(events, again, strict=True)
        store.append_events([event.model_copy(update=reader) for event, reader in changed])
    took = processor_seconds(lambda: _count(store))
    store.close()
    return _EVENTS / took


def _count(store: SqliteStore) -> None:
    """What a worker does with the tail of the store before it is ready: counters, readers, pairs."""
    state = State.empty(Config(), 4)
    state.follows_pairs = True
    events = iter(store.iter_events(None))
    while part := list(islice(events, _TAIL)):
        state.apply_events(part, part[-1].ts.timestamp())


def _event(draw: Random, number: int) -> Event:
    return Event(
        event_id=secrets.token_hex(16),
        type=draw.choice(("view", "click", "impression", "read")),  # type: ignore[arg-type]
        ts=NOW + timedelta(seconds=number * 0.2),
        article_id=f"article-{draw.randrange(43_000)}",
        session_id=secrets.token_hex(8),
        request_id=secrets.token_urlsafe(40) if number % 2 else None,
        surface="related",
        position=draw.randrange(1, 11),
    )


def _list(draw: Random, number: int) -> Exposed:
    at = NOW.timestamp() + number * 0.05
    return Exposed(
        secrets.token_urlsafe(40), "related", at, ("session_id", secrets.token_hex(8)),
        [f"article-{draw.randrange(43_000)}" for _ in range(10)], [draw.random() for _ in range(10)],
        ["similar"] * 10, None, f"article-{draw.randrange(43_000)}", model_version="20260301T000000-abcdef",
        took_ms=draw.random(), known=Known(number, 7, 1), asked={"limit": 10, "now": at},
    )  # fmt: skip
