"""The real service beside the reference app, driven from this process over 127.0.0.1."""

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from tests.benchmarks.common import Figure, in_turns, ratio_of
from tests.benchmarks.worlds import NOW, published
from tests.serving.server import Server, free_port

CONTEXT = "article-77"
READER = "session_id=reader-7"
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Resident memory without pages that only map files."""
    text = Path(f"/proc/{pid}/status").read_text()
    return (
        sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("RssAnon", "RssShmem")))
        / 1024
    )


class Connection:
    """One kept-alive connection that sends the same kind of request again and again."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask(self, request: bytes) -> int:
        """Send, read the whole answer; its size."""
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._socket.recv(65536)
        head, _, body = self._rest.partition(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] in (b"200", b"202"), head
        size = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        while len(body) < size:
            body += self._socket.recv(65536)
        self._rest = body[size:]
        return size

    def close(self) -> None:
        self._socket.close()


def get(path: str) -> bytes:
    """A GET request as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A POST request as bytes."""
    about = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{about}\r\n\r\n"
    return head.encode() + body


def cpu_each(port: int, pid: int, make: Callable[[int], bytes], times: int, connections: int = 4) -> float:
    """Processor microseconds of the server for one request, closed loop."""
    before = cpu_seconds(pid)

    def run(at: int) -> None:
        connection = Connection(port)
        for number in range(times // connections):
            connection.ask(make(at * times + number))
        connection.close()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (cpu_seconds(pid) - before) / times * 1e6


class Reference:
    """The reference app in a process of its own."""

    def __init__(self, size: int) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.benchmarks.reference", str(self.port), str(size)]
        self.process = subprocess.Popen(command)
        for _ in range(200):
            try:
                Connection(self.port).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def measure(folder: Path, model_id: str, count: int, rounds: int) -> list[Figure]:
    """Start, memory and the cost of requests at ``count`` articles."""
    found, starts, sizes = [], [], {}
    for size in (count // 4, count):
        models = published(folder, size, model_id)
        for _ in range(3 if size == count else 1):
            started = time.perf_counter()
            server = Server(models, folder / f"start-{size}-{time.monotonic_ns()}.db", NOW)
            took = time.perf_counter() - started
            sizes[size] = resident_mb(server.process.pid)
            server.stop()
            if size == count:
                starts.append(took)
    median = statistics.median(starts)
    found.append(
        Figure(f"service start to ready, {count:,} articles", median, "s", bar="<= 3", good=median <= 3)
    )
    found.append(
        Figure("anonymous memory of the service", sizes[count], "MB", bar="<= 600", good=sizes[count] <= 600)
    )
    each = (sizes[count] - sizes[count // 4]) * 1024 / (count - count // 4)
    found.append(
        Figure("memory an article, vectors mapped from the bundle", each, "KB", bar="<= 4", good=each <= 4)
    )
    return found + requests(folder, published(folder, count, model_id), rounds)


def requests(folder: Path, models: Path, rounds: int) -> list[Figure]:
    """Processor time of requests, as the share of the reference's throughput that is reached."""
    server = Server(models, folder / f"load-{time.monotonic_ns()}.db", NOW)
    kinds = {
        "related": (f"/v1/articles/{CONTEXT}/related", 0.70),
        "popular": ("/v1/popular", 0.70),
        "latest": ("/v1/latest", 0.70),
        "for_you of a reader with history": (f"/v1/page?lists=for_you&{READER}", 0.25),
        "page of four lists for a reader": (f"/v1/page?article_id={CONTEXT}&{READER}", None),
    }
    found, costs = [], {}
    try:
        for name, (path, bar) in kinds.items():
            request = get(path)
            reference = Reference(Connection(server.port).ask(request))
            constant = get("/?limit=10&session_id=s&explain=false")
            cpu_each(server.port, server.process.pid, lambda _, r=request: r, 200)
            a, b = in_turns(
                lambda r=request: cpu_each(server.port, server.process.pid, lambda _: r, 400),
                lambda ref=reference, c=constant: cpu_each(ref.port, ref.process.pid, lambda _: c, 2000),
                rounds,
            )
            reference.stop()
            ratio, spread = ratio_of(b, a)
            costs[name] = statistics.median(a)
            text = "" if bar is None else f">= {bar}"
            good = None if bar is None else ratio >= bar
            found.append(
                Figure(f"{name}: reference CPU / ours", costs[name], "CPU us", ratio, spread, text, good)
            )
        share = costs["page of four lists for a reader"] / costs["for_you of a reader with history"]
        found.append(Figure("page of four / one full list", share, "x", bar="<= 2.0", good=share <= 2.0))
        found.append(events(server, rounds))
    finally:
        server.stop()
    return found


def events(server: Server, rounds: int) -> Figure:
    """Durable events over 64 connections, against the same endpoint storing nothing."""
    reference, fresh = Reference(100), iter(range(10**9))
    lock = threading.Lock()

    def make(_: int) -> bytes:
        with lock:
            number = next(fresh)
        row = {"event_id": f"b{number}", "type": "view", "ts": NOW.isoformat(), "article_id": CONTEXT}
        return post("/v1/events", orjson.dumps({**row, "session_id": f"s{number % 5000}"}))

    def rate(port: int, path: str) -> float:
        started = time.perf_counter()
        bodies = [make(0).replace(b"/v1/events", path.encode(), 1) for _ in range(1280)]

        def run(part: list[bytes]) -> None:
            connection = Connection(port)
            for body in part:
                connection.ask(body)
            connection.close()

        threads = [threading.Thread(target=run, args=(bodies[at::64],)) for at in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(bodies) / (time.perf_counter() - started)

    a, b = in_turns(lambda: rate(server.port, "/v1/events"), lambda: rate(reference.port, "/events"), rounds)
    reference.stop()
    ratio, spread = ratio_of(a, b)
    return Figure(
        "durable events / storing nothing",
        statistics.median(a),
        "events/s",
        ratio,
        spread,
        ">= 0.50",
        ratio >= 0.5,
    )
