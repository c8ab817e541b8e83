"""The real service beside the reference app: start, memory, lists, events, latency, where the time goes."""

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import orjson

from tests.benchmarks import serving_events, serving_lists, stages, tool
from tests.benchmarks.clients import Connection, resident_mb, with_body
from tests.benchmarks.common import Figure
from tests.benchmarks.worlds import NOW, published
from tests.serving.server import SECRET, Server

_READERS, _EACH = 100_000, 3


def measure(folder: Path, model_id: str, count: int, rounds: int) -> list[Figure]:
    """All figures of serving at ``count`` articles; where a tool is missing, what needs it is left out."""
    models = published(folder, count, model_id)
    found = [*starts(folder, model_id, count), per_reader(folder, models)]
    try:
        tool.install()
    except tool.NoToolError as error:
        print(f"throughput and latency are not measured: {error}")
        return found
    found += with_server(folder, models, lambda server: serving_lists.measure(server, count, rounds))
    found += with_server(folder, models, lambda server: serving_events.measure(server, rounds))
    return found + stages.measure(folder, models)


def with_server(
    folder: Path, models: Path, work: Callable[[Server], list[Figure]], *more: str
) -> list[Figure]:
    """Figures of a service of its own with an empty store."""
    server = Server(models, folder / f"load-{time.monotonic_ns()}.db", NOW, *more)
    try:
        return work(server)
    finally:
        server.stop()


def starts(folder: Path, model_id: str, count: int) -> list[Figure]:
    """Start to ready, and memory, at a quarter of the articles and at all of them."""
    took, sizes = [], {}
    for size in (count // 4, count):
        models = published(folder, size, model_id)
        for _ in range(5 if size == count else 1):
            started = time.perf_counter()
            server = Server(models, folder / f"start-{size}-{time.monotonic_ns()}.db", NOW)
            if size == count:
                took.append(time.perf_counter() - started)
            sizes[size] = resident_mb(server.process.pid)
            server.stop()
    median = statistics.median(took)
    each = (sizes[count] - sizes[count // 4]) * 1024 / (count - count // 4)
    name, spread = f"service start to ready, {count:,} articles", (min(took), max(took))
    return [
        Figure(name, median, "s", None, spread, "<= 3", median <= 3),
        Figure("anonymous memory of the service", sizes[count], "MB", bar="<= 600", good=sizes[count] <= 600),
        Figure("memory an article, vectors mapped from the bundle", each, "KB", bar="<= 4", good=each <= 4),
    ]


def per_reader(folder: Path, models: Path) -> Figure:
    """Memory that 100,000 new readers with three openings each cost, told by a site's server."""
    server = Server(models, folder / f"readers-{time.monotonic_ns()}.db", NOW)
    try:
        connection = Connection(server.port)
        # the first events load what every worker needs once
        tell_readers(connection, "warm", 1_000)
        before = resident_mb(server.process.pid)
        tell_readers(connection, "new", _READERS)
        each = (resident_mb(server.process.pid) - before) * 1024 / _READERS
    finally:
        server.stop()
    name = f"memory an active reader, {_READERS:,} of them with {_EACH} openings"
    return Figure(name, each, "KB", bar="<= 1", good=each <= 1)


def tell_readers(connection: Connection, name: str, readers: int) -> None:
    """Openings of new readers, a thousand in a call, under the secret key."""
    rows = []
    for at in range(readers * _EACH):
        ts = NOW - timedelta(minutes=_EACH - at % _EACH)
        rows.append(
            {
                "event_id": f"{name}-{at}",
                "type": "view",
                "ts": ts.isoformat(),
                "article_id": f"article-{(at * 7919) % 5_000}",
                "session_id": f"{name}-{at // _EACH}",
            }
        )
        if len(rows) == 1_000:
            connection.ask(with_body("POST", "/v1/events", orjson.dumps(rows), SECRET))
            rows = []
