"""Metrics of a whole service: one worker or several, the one that answers speaks for all."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Newsroom, copy_models
from tests.serving.server import SECRET, Server
from training.newsroom import load_newsroom

DOCS = Path(__file__).parents[2] / "docs"
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def samples(text: str) -> dict[str, float]:
    """Values by name and labels as they are written."""
    return {
        name + (f"{{{labels}}}" if labels else ""): float(value)
        for name, labels, value in _SAMPLE.findall(text)
    }


def view(newsroom: Newsroom, name: str) -> dict[str, Any]:
    """An event of a session."""
    return {
        "event_id": name,
        "type": "view",
        "ts": newsroom.now.isoformat(),
        "article_id": "x",
        "session_id": "s",
    }


def start(newsroom: Newsroom, folder: Path, *more: str) -> Server:
    return Server(copy_models(newsroom.models, folder / "models"), folder / "s.db", newsroom.now, *more)


@pytest.fixture(scope="module")
def pair(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of two workers."""
    running = start(newsroom, tmp_path_factory.mktemp("pair"), "--workers", "2")
    until(lambda: samples(running.get("/metrics").text).get("recsys_workers_ready") == 2)
    yield running
    running.stop()


def until(true: Callable[[], bool]) -> None:
    """Wait for what must become true."""
    for _ in range(300):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not become true within 15 s")


def ask(server: Server, path: str, times: int) -> None:
    """As many new connections, so that the system gives them to both workers."""
    for _ in range(times):
        with httpx.Client(base_url=server.base) as fresh:
            assert fresh.get(path).status_code == 200


def test_any_worker_tells_what_all_have_counted(pair: Server) -> None:
    counted = 'recsys_request_seconds_count{route="/health/live",status="200"}'
    before = samples(pair.get("/metrics").text).get(counted, 0.0)
    ask(pair, "/health/live", 60)
    # no sample is older than an answer, whoever is asked
    for _ in range(8):
        with httpx.Client(base_url=pair.base) as fresh:
            assert samples(fresh.get("/metrics").text)[counted] == before + 60


def test_a_worker_that_was_killed_counts_no_longer_as_one_but_what_it_counted_stays(pair: Server) -> None:
    counted = 'recsys_request_seconds_count{route="/health/live",status="200"}'
    ask(pair, "/health/live", 20)
    before = samples(pair.get("/metrics").text)[counted]
    os.kill(workers_of(pair)[0], signal.SIGKILL)
    until(lambda: told(pair, "recsys_workers_ready") == 1)
    assert told(pair, counted) >= before
    until(lambda: told(pair, "recsys_workers_ready") == 2)
    assert told(pair, counted) >= before


def workers_of(server: Server) -> list[int]:
    """Processes that the service has started to answer."""
    mine = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in mine if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def answers(server: Server, path: str) -> tuple[int, str]:
    """Status and text on a new connection, 0 while nobody answers."""
    try:
        with httpx.Client(base_url=server.base) as fresh:
            answer = fresh.get(path)
            return answer.status_code, answer.text
    except httpx.TransportError:
        return 0, ""


def told(server: Server, name: str) -> float:
    """A sample, NaN while nobody answers."""
    return samples(answers(server, "/metrics")[1]).get(name, float("nan"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_answers_everything_and_says_that_it_is_one(
    workers: str, newsroom: Newsroom, tmp_path: Path
) -> None:
    """Requests come without a pause, as through a load balancer: until the service is not ready any more."""
    server = start(newsroom, tmp_path, "--workers", workers, "--drain-seconds", "1.5")
    answered: list[int] = []
    broken: list[str] = []
    sent: list[str] = []
    numbers, over = count(), threading.Event()

    def press() -> None:
        while not over.is_set():
            name = f"e{next(numbers)}"
            try:
                with httpx.Client(base_url=server.base, timeout=20) as fresh:
                    status = fresh.post("/v1/events", json=view(newsroom, name)).status_code
                    answered.append(status)
                    if status == 202:
                        sent.append(name)
            except httpx.TransportError as error:
                broken.append(repr(error))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answered) > 40)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: answers(server, "/health/ready")[0] == 503)
    over.set()
    for thread in threads:
        thread.join()
    server.stop()
    assert server.process.returncode in (0, -signal.SIGTERM)
    assert set(answered) == {202}
    assert broken == []
    server.start()
    # every acknowledged event is there: sent again, each is a duplicate
    again = server.send(*(view(newsroom, name) for name in sent[:1000]))
    server.stop()
    assert again["duplicates"] == len(sent[:1000])


def test_the_log_names_no_reader_no_key_no_text(newsroom: Newsroom, tmp_path: Path) -> None:
    server = start(newsroom, tmp_path)
    secret_words = ["reader-in-the-log", "session-in-the-log", "text-in-the-log", SECRET]
    article = load_newsroom(newsroom.now)[0]
    changed = {"title": "text-in-the-log", "body": "text-in-the-log " * 20}
    assert server.secret("PUT", "/v1/articles/new-1", json=changed).status_code == 200
    for who in ("user_id", "session_id"):
        name = "reader-in-the-log" if who == "user_id" else "session-in-the-log"
        event = {**view(newsroom, f"{who}1"), "article_id": article.article_id, who: name}
        server.send(event, {**event, "event_id": f"{who}2", "ts": "never"}, {**event, "event_id": "3 4"})
        server.get("/v1/page", article_id=article.article_id, lists="related,popular", **{who: name})
    server.get("/v1/users/reader-in-the-log/recommendations")
    server.get("/v1/latest", user_token="reader-in-the-log.1.text-in-the-log", nonsense="text-in-the-log")
    server.http.post("/v1/events", content=b'{"session_id": "session-in-the-log')
    server.http.get("/v1/rules", headers={"X-API-Key": "text-in-the-log"})
    server.secret("POST", "/v1/models/text-in-the-log:promote")
    server.secret("DELETE", "/v1/users/reader-in-the-log")
    server.stop()
    log = server.log.read_text()
    assert [word for word in secret_words if word in log] == []
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"ready", "stopping"} <= {line["event"] for line in lines}
    assert all(re.fullmatch(r"[a-z_]+", line["event"]) for line in lines)


def test_ages_follow_the_clock_and_the_newest_event(newsroom: Newsroom, tmp_path: Path) -> None:
    server = start(newsroom, tmp_path)
    try:
        article = load_newsroom(newsroom.now)[0].article_id
        recent = (newsroom.now - timedelta(seconds=5)).isoformat()
        server.send({"event_id": "a", "type": "view", "ts": recent, "article_id": article, "session_id": "s"})
        found = samples(server.get("/metrics").text)
        assert 5 <= found["recsys_data_age_seconds"] < 60
        assert found["recsys_follow_age_seconds"] < 5
        assert found["recsys_model_age_seconds"] >= 0
        assert found["recsys_articles"] > 50
        assert found['recsys_events_total{outcome="accepted"}'] == 1
    finally:
        server.stop()
