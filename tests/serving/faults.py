"""Ways to harm a running service, and to look at what it then does."""

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Newsroom
from tests.serving.conftest import made_event
from tests.serving.server import Server

LISTS = ("/v1/popular", "/v1/latest", "/v1/page?lists=related,popular,latest,must_reads&session_id=s")


def lists_go_on(service: Server, context: str) -> None:
    """Every list answers, and none is empty."""
    assert service.get(f"/v1/articles/{context}/related", session_id="s").json()["items"]
    for path in LISTS:
        answer = service.http.get(path, params={"article_id": context} if "page" in path else None)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        for slate in body["lists"].values() if "lists" in body else [body]:
            assert slate["items"]


def refused(service: Server, rows: list[dict[str, Any]]) -> httpx.Response:
    """Sends events that cannot be kept now."""
    answer = service.http.post("/v1/events", json=rows)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    return answer


def some(newsroom: Newsroom, count: int = 20) -> list[dict[str, Any]]:
    return [made_event(newsroom, "sport-cup-final", f"r{number}") for number in range(count)]


def eventually(look: Callable[[], bool], seconds: float = 15.0) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Another process's long transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def full_disk(pid: int, size: int) -> Iterator[None]:
    """No file of a process grows beyond ``size`` bytes, as if the disk had no more."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def workers_of(parent: int) -> list[int]:
    """Process ids of the workers that a service has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == parent and b"spawn_main" in command:
                found.append(int(folder.name))
    return found


def kill_worker(service: Server, which: int) -> None:
    workers = workers_of(service.process.pid)
    if workers:
        os.kill(workers[which % len(workers)], signal.SIGKILL)
