"""Requests at a constant rate whatever the server does; a latency counts from when its request was due.

So a server that stalls is charged with every request that was due meanwhile (no coordinated omission). It
runs in a process of its own: one JSON object on standard input, one on standard output. Its loop stands on
``select``, whose waits are exact to microseconds; those of asyncio are rounded up to a millisecond.

    {"port", "seconds", "poisson": false, "streams": [{"name", "rate", "paths": [...]} or
     {"name": "events", "rate", "each", "now", "sessions", "articles"}]}
"""

import json
import random
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from tests.benchmarks.clients import get, with_body
from tests.benchmarks.socket_asker import Asker

_MOST_CONNECTIONS = 256
_GRACE = 20.0
# uvicorn closes a connection after five idle seconds
_IDLE = 3.0


@dataclass(frozen=True)
class Latencies:
    """What one stream met.

    Attributes:
        milliseconds: sorted, of all answers of 2xx.
        bad: other answers and lost connections.
        lateness: sorted milliseconds by which the driver itself sent too late; part of the latencies.
    """

    milliseconds: list[float]
    bad: int
    lateness: list[float]

    def at(self, share: float) -> float:
        """A quantile."""
        return quantile(self.milliseconds, share)


def quantile(values: list[float], share: float) -> float:
    """Of sorted values; NaN without any."""
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def start(port: int, seconds: float, streams: list[dict[str, Any]], poisson: bool = False) -> "Running":
    """Start the driver in a process of its own."""
    asked = {"port": port, "seconds": seconds, "streams": streams, "poisson": poisson}
    call = [sys.executable, "-m", "tests.benchmarks.open_loop"]
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked))
    process.stdin.close()
    return Running(process)


@dataclass
class Running:
    """A driver at work."""

    process: "subprocess.Popen[str]"

    def result(self) -> dict[str, Latencies]:
        """Wait for its end; by stream."""
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.read())
        if self.process.wait():
            raise RuntimeError("the open-loop driver failed")
        return {name: Latencies(**found) for name, found in told.items()}


def run(
    port: int, seconds: float, streams: list[dict[str, Any]], poisson: bool = False
) -> dict[str, Latencies]:
    """Drive a server and wait."""
    return start(port, seconds, streams, poisson).result()


@dataclass(order=True)
class Due:
    """A request that is due at ``at`` (seconds from the start)."""

    at: float
    name: str
    request: bytes = field(compare=False)


def requests_of(stream: dict[str, Any], seconds: float, poisson: bool) -> Iterator[Due]:
    """The requests of one stream in the order of time."""
    rng = random.Random(stream["name"])
    at, step, number = rng.random() / stream["rate"], 1.0 / stream["rate"], 0
    while at < seconds:
        yield Due(at, stream["name"], _request(stream, number, rng))
        number += 1
        at += rng.expovariate(stream["rate"]) if poisson else step


def _request(stream: dict[str, Any], number: int, rng: random.Random) -> bytes:
    if "paths" in stream:
        return get(stream["paths"][number % len(stream["paths"])])
    prefix = stream.get("prefix", "o")
    rows = [
        {
            "event_id": f"{prefix}{number}-{at}",
            "type": "view",
            "ts": stream["now"],
            "article_id": f"article-{min(int(rng.paretovariate(0.6)), stream['articles'] - 1)}",
            "session_id": f"reader-{rng.randrange(stream['sessions'])}",
        }
        for at in range(stream["each"])
    ]
    return with_body("POST", "/v1/events", json.dumps(rows).encode())


def drive(port: int, due: deque[Due]) -> dict[str, dict[str, Any]]:
    """Send each request when it is due, on a connection that is free; collect what came."""
    found: dict[str, dict[str, Any]] = {}
    for each in due:
        found.setdefault(each.name, {"milliseconds": [], "bad": 0, "lateness": []})
    free: list[tuple[Asker, float]] = []
    busy: dict[int, tuple[Asker, Due]] = {}
    began = time.perf_counter()
    ends = began + due[-1].at + _GRACE
    while (due or busy) and time.perf_counter() < ends:
        while due and began + due[0].at <= time.perf_counter() and (free or len(busy) < _MOST_CONNECTIONS):
            each = due.popleft()
            asker = _taken(free) or Asker(port)
            asker.send(each.request)
            busy[asker.fileno()] = asker, each
            found[each.name]["lateness"].append((time.perf_counter() - began - each.at) * 1e3)
        wait = max(began + due[0].at - time.perf_counter(), 0.0) if due else 0.5
        for number in select.select(list(busy), [], [], min(wait, 0.5))[0]:
            asker, each = busy[number]
            status = asker.receive()
            if status is None:
                continue
            del busy[number]
            if 200 <= status < 300:
                found[each.name]["milliseconds"].append((time.perf_counter() - began - each.at) * 1e3)
                free.append((asker, time.perf_counter()))
            else:
                found[each.name]["bad"] += 1
                asker.close()
    for _, each in busy.values():
        found[each.name]["bad"] += 1
    for one in found.values():
        one["milliseconds"].sort()
        one["lateness"].sort()
    return found


def _taken(free: list[tuple[Asker, float]]) -> Asker | None:
    """The connection that was used last, unless it is so idle that the server may be closing it."""
    while free:
        asker, since = free.pop()
        if time.perf_counter() - since < _IDLE:
            return asker
        asker.close()
    return None


def main() -> None:
    """As a process."""
    asked = json.load(sys.stdin)
    streams = [requests_of(one, asked["seconds"], asked["poisson"]) for one in asked["streams"]]
    print(json.dumps(drive(asked["port"], deque(merge(*streams)))))


if __name__ == "__main__":
    main()
