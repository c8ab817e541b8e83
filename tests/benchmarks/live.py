"""Reads while 1,000 events and five new articles a second arrive, with one worker and with two.

Reads and events come from the open-loop driver in a process of its own; articles from this one. An article is
recommendable once six new connections in a row, whichever worker they meet, find it among the nearest of an
older article.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import open_loop
from tests.benchmarks.clients import Connection, cpu_seconds, get, with_body, workers_of
from tests.benchmarks.common import Figure
from tests.benchmarks.world_readers import reader_name
from tests.benchmarks.worlds import NOW
from tests.serving.server import SECRET, Server

_SECONDS = 30.0
_EVENTS, _A_CALL = 1_000, 5
_ARTICLES = 5
_IN_A_ROW = 6
_READS = 25
_SUBJECTS = (
    *("The harbour of Westbay", "The chess federation", "A glacier in Norland", "The state railway"),
    "The orchestra",
)
_WORDS = (
    *("minister", "geese", "mine", "museum", "piano", "visitor", "school", "flood"),
    *("bread", "strike", "lawsuit", "painter", "engine", "winter", "budget", "island"),
    *("doctor", "theft", "garden", "satellite", "wedding", "library", "drought", "bicycle"),
    *("vaccine", "opera", "tunnel", "wolf", "election", "cheese", "volcano", "tax"),
    *("kitchen", "sculpture", "storm", "robot", "river", "hospital", "comet", "violin"),
)
_EACH = 8


def measure(folder: Path, models: Path, count: int, seconds: float = _SECONDS) -> list[Figure]:
    """Quantiles of each kind of read, and of the time from a call to being recommendable."""
    found = []
    for workers in (1, 2):
        store = folder / f"live-{workers}-{time.monotonic_ns()}.db"
        server = Server(models, store, NOW, "--workers", str(workers))
        try:
            found += under_load(server, count, workers, seconds)
        finally:
            server.stop()
    return found


def streams_of(count: int, reads: int = _READS, events: int = _EVENTS) -> list[dict[str, Any]]:
    """Reads of four kinds, ``reads`` of each a second, and events, five in a call as a page sends them."""
    who = [f"session_id={reader_name(at)}" for at in range(200)]
    some = [f"article-{at}" for at in range(0, count, count // 200)][:200]
    paths = {
        "related": [f"/v1/articles/{one}/related" for one in some],
        "popular": ["/v1/popular"],
        "for_you": [f"/v1/page?lists=for_you&{one}" for one in who],
        "page": [f"/v1/page?article_id={a}&{b}" for a, b in zip(some, who, strict=True)],
    }
    told = {"name": "events", "rate": events / _A_CALL, "each": _A_CALL, "now": NOW.isoformat()}
    told |= {"sessions": 5_000, "articles": count}
    return [*({"name": name, "rate": reads, "paths": one} for name, one in paths.items()), told]


def under_load(server: Server, count: int, workers: int, seconds: float) -> list[Figure]:
    """Figures with one number of workers."""
    pids = workers_of(server.process.pid)
    assert len(pids) == workers
    publisher = Publisher(server.port)
    for which in range(_ARTICLES):
        publisher.publish(which, 0)
    before = [cpu_seconds(pid) for pid in pids]
    driver = open_loop.start(server.port, seconds, streams_of(count))
    threads = [threading.Thread(target=publisher.run, args=(at, seconds)) for at in range(_ARTICLES)]
    for thread in threads:
        thread.start()
    met = driver.result()
    busy = [(cpu_seconds(pid) - at) / seconds for pid, at in zip(pids, before, strict=True)]
    for thread in threads:
        thread.join()
    told = f"{_EVENTS:,} events/s, {_ARTICLES} articles/s, workers: {workers}"
    found = [Figure(f"processor share of each worker, {told}", max(busy), "cores")]
    for name, one in met.items():
        late = open_loop.quantile(one.lateness, 0.99)
        label = f"{name}, {told} (p50 {one.at(0.5):.1f}, p95 {one.at(0.95):.1f} ms;"
        label += f" {len(one.milliseconds):,} answers, {one.bad} failed; driver late p99 {late:.1f} ms)"
        found.append(Figure(label, one.at(0.99), "ms p99", bar="0 failed", good=not one.bad))
    took = sorted(publisher.took)
    p95 = open_loop.quantile(took, 0.95)
    label = f"publish to recommendable by every worker, {told} (p50 {open_loop.quantile(took, 0.5):.2f} s;"
    label += f" {len(took)} articles, {publisher.failed} failed)"
    good = p95 <= 1.0 and not publisher.failed
    return [*found, Figure(label, p95, "s p95", bar="<= 1", good=good)]


def article_of(which: int, number: int) -> str:
    """Id of a new article."""
    return f"new-{which}-{number}"


def title_of(which: int, number: int) -> str:
    """Articles on one matter that are no versions of one story."""
    block = number // _EACH
    # two articles on one matter share one word at most
    words = [
        _WORDS[group * _EACH + (number * (2 * group + 1) + block * group) % _EACH]
        for group in range(len(_WORDS) // _EACH)
    ]
    return f"{_SUBJECTS[which % len(_SUBJECTS)]}: {', '.join(words[:-1])} and {words[-1]}"


def section_of(which: int) -> str:
    """A section of its own for each matter: its list shows all of them, however little they were read."""
    return f"Live-{which}"


def put_article(port: int, article_id: str, fields: dict[str, str]) -> None:
    """Put an article; the call answers once its worker lists it."""
    asked(port, with_body("PUT", f"/v1/articles/{article_id}", json.dumps(fields).encode(), SECRET))


def asked(port: int, request: bytes) -> bytes:
    """The body of an answer, over a connection of its own."""
    connection = Connection(port)
    try:
        return connection.ask(request)
    finally:
        connection.close()


class Publisher:
    """Puts articles about one matter and waits until each stands beside an older one.

    Args:
        port: of the service.

    Attributes:
        took: seconds from the call to being recommendable.
        failed: calls that were not answered well, and articles that never came.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.took: list[float] = []
        self.failed = 0

    def run(self, which: int, seconds: float) -> None:
        """One article a second, each at its own time."""
        begun = time.perf_counter() + which / _ARTICLES
        for number in range(1, int(seconds)):
            time.sleep(max(begun + number - time.perf_counter(), 0.0))
            try:
                self.took.append(self.publish(which, number))
            except (OSError, AssertionError):
                self.failed += 1

    def publish(self, which: int, number: int) -> float:
        """Seconds until an article stands in the related list of the one before it on the same matter."""
        started = time.perf_counter()
        body = {"title": title_of(which, number), "section": section_of(which)}
        put_article(self._port, article_of(which, number), body)
        if number:
            before = article_of(which, number - 1)
            path = f"/v1/articles/{before}/related?limit=100&section={section_of(which)}"
            self._await(path, article_of(which, number))
        return time.perf_counter() - started

    def _await(self, path: str, article_id: str) -> None:
        in_a_row = 0
        for _ in range(500):
            items = json.loads(asked(self._port, get(path)))["items"]
            there = (article_id, "similar") in ((item["article_id"], item["source"]) for item in items)
            in_a_row = in_a_row + 1 if there else 0
            if in_a_row == _IN_A_ROW:
                return
            if in_a_row == 0:
                time.sleep(0.01)
        raise AssertionError(f"{article_id} never stood in {path}")
