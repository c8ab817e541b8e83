"""Events: what is taken, what is refused, and that an acknowledged one is never lost."""

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from recsys.store import open_store
from tests.conftest import Newsroom
from tests.serving.conftest import made_event
from tests.serving.server import SECRET, Server


def test_one_event_an_array_and_a_beacon_are_taken_once_each(server: Server, newsroom: Newsroom) -> None:
    one, two = made_event(newsroom, "a1"), made_event(newsroom, "a2")
    assert server.http.post("/v1/events", json=one).json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    beacon = server.http.post(
        "/v1/events", content=json.dumps([one, two]), headers={"Content-Type": "text/plain"}
    )
    assert (beacon.status_code, beacon.json()) == (202, {"accepted": 1, "duplicates": 1, "rejected": []})


def test_a_bad_event_is_told_by_index_and_field_and_stops_none_of_the_others(
    server: Server, newsroom: Newsroom
) -> None:
    good = made_event(newsroom, "a1")
    bad: list[Any] = [
        {**good, "event_id": "x1", "ts": "2100-01-01T00:00:00Z"},
        {**good, "event_id": "x2", "ts": "2026-01-01T00:00:00"},
        {**good, "event_id": "x3", "article_id": "y" * 10_000},
        {**good, "event_id": "x4", "type": "clik"},
        {**good, "event_id": "x5", "colour": "red"},
        {key: value for key, value in good.items() if key != "session_id"},
        "no object",
        {**good, "event_id": "x6", "position": 0},
        {**good, "event_id": "nul\u0000"},
        {**good, "event_id": "x7", "position": 2**63},
        {**good, "event_id": "x8", "ts": "0001-01-01T00:00:00+05:00"},
    ]
    answer = server.send(good, *bad)
    assert (answer["accepted"], len(answer["rejected"])) == (1, len(bad))
    fields = [rejected["field"] for rejected in answer["rejected"]]
    assert fields == [
        "ts",
        "ts",
        "article_id",
        "type",
        "colour",
        "event",
        "event",
        "position",
        "event_id",
        "position",
        "ts",
    ]
    assert [rejected["index"] for rejected in answer["rejected"]] == list(range(1, 12))
    assert server.send(bad[0])["accepted"] == 0


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{not json", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"event_id": NaN}', "application/json", 400),
        (b'"\\ud800"', "application/json", 400),
        (b"\xff\xfe", "text/plain", 400),
        (b"", "application/json", 400),
        (b"<x/>", "application/xml", 422),
        (b"x" * 3_000_000, "application/json", 413),
        (json.dumps([{}] * 1001).encode(), "application/json", 422),
        (b"[]", "application/json", 202),
        (b"null", "application/json", 202),
    ],
)
def test_hostile_bodies_get_a_problem_and_never_a_crash(
    server: Server, content: bytes, kind: str, status: int
) -> None:
    answer = server.http.post("/v1/events", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    if status >= 400:
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "Traceback" not in answer.text
        assert "/" not in answer.json()["detail"].replace("application/", "").replace("text/", "")


def test_an_event_for_an_unknown_article_is_kept_and_joins_up_when_it_arrives(
    server: Server, newsroom: Newsroom
) -> None:
    server.send(*[made_event(newsroom, "arrives-later", f"early-{i}") for i in range(900)])
    assert "arrives-later" not in server.get("/v1/popular").text
    server.secret("PUT", "/v1/articles/arrives-later", json={"title": "Worth the wait"})
    assert server.get("/v1/popular").json()["items"][0]["article_id"] == "arrives-later"


def test_a_personal_answer_leaves_its_exposure(server: Server) -> None:
    answer = server.get("/v1/page", article_id="world-arms-deal", session_id="exposed", limit=3).json()
    store = open_store(f"sqlite:///{server.store}")
    try:
        found: list[Any] = []
        for _ in range(50):
            found = [e for e in store.iter_exposures() if e.request_id == answer["request_id"]]
            if found:
                break
            time.sleep(0.1)
        assert {exposure.surface for exposure in found} == set(answer["lists"])
        for exposure in found:
            shown = answer["lists"][exposure.surface]["items"]
            assert [item.article_id for item in exposure.items] == [item["article_id"] for item in shown]
            assert [item.position for item in exposure.items] == [1, 2, 3]
            assert exposure.session_id == "exposed"
            assert exposure.model_version == answer["model_version"]
    finally:
        store.close()


class Storm:
    """Threads that send events until the service dies, and remember what was acknowledged."""

    def __init__(self, base: str, now: str, tag: str) -> None:
        self.acknowledged: set[str] = set()
        self.sent: list[dict[str, Any]] = []
        self._base, self._now, self._tag = base, now, tag
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(6)]
        for thread in self._threads:
            thread.start()

    def _run(self, thread: int) -> None:
        with httpx.Client(base_url=self._base, timeout=10) as http:
            for number in range(5000):
                name = f"{self._tag}-{thread}-{number}"
                row = {
                    "event_id": name,
                    "type": "view",
                    "ts": self._now,
                    "article_id": "a",
                    "session_id": name,
                }
                self.sent.append(row)
                try:
                    answer = http.post("/v1/events", json=row)
                except httpx.TransportError:
                    return
                if answer.status_code == 202 and answer.json()["accepted"] == 1:
                    self.acknowledged.add(name)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def kill_again_and_again(newsroom: Newsroom, folder: Path, times: int) -> None:
    service, chance = Server(newsroom.models, folder / "s.db", newsroom.now), random.Random(7)
    promised: set[str] = set()
    for number in range(times):
        storm = Storm(service.base, newsroom.now.isoformat(), f"k{number}")
        while len(storm.acknowledged) < 20:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.3)
        service.kill()
        storm.join()
        promised |= storm.acknowledged
        service.start()
        again = service.send(*storm.sent[-500:])
        assert again["rejected"] == []
        promised |= {row["event_id"] for row in storm.sent[-500:]}
    service.stop()
    store = open_store(f"sqlite:///{folder / 's.db'}")
    kept = [event.event_id for event in store.iter_events()]
    store.close()
    assert len(promised) >= 20 * times
    assert promised <= set(kept)
    assert len(kept) == len(set(kept))


def test_no_acknowledged_event_is_lost_or_doubled_by_sigkill(newsroom: Newsroom, tmp_path: Path) -> None:
    kill_again_and_again(newsroom, tmp_path, 4)


@pytest.mark.slow
def test_a_hundred_kills_lose_and_double_nothing(newsroom: Newsroom, tmp_path: Path) -> None:
    kill_again_and_again(newsroom, tmp_path, 100)


def test_counts_are_the_same_after_a_restart(newsroom: Newsroom, tmp_path: Path) -> None:
    service = Server(newsroom.models, tmp_path / "s.db", newsroom.now)
    service.send(*[made_event(newsroom, "food-sourdough-basics", f"r{i}") for i in range(300)])
    service.http.put("/v1/articles/new", json={"title": "New"}, headers={"X-API-Key": SECRET})
    before = [item["article_id"] for item in service.get("/v1/popular", limit=20).json()["items"]]
    service.kill()
    service.start()
    try:
        assert [item["article_id"] for item in service.get("/v1/popular", limit=20).json()["items"]] == before
        assert (
            service.get("/v1/page", article_id="new", lists="related").json()["lists"]["related"]["fallback"]
            is None
        )
    finally:
        service.stop()


def test_two_workers_see_every_event_and_article(newsroom: Newsroom, tmp_path: Path) -> None:
    service = Server(newsroom.models, tmp_path / "s.db", newsroom.now, "--workers", "2")
    try:
        name = "sport-cup-final"
        service.secret("PUT", f"/v1/articles/{name}", json={"title": "The cup final", "section": "Sport"})
        service.send(*[made_event(newsroom, name, f"r{i}") for i in range(900)])
        deadline, streak = time.monotonic() + 20, 0
        while streak < 20 and time.monotonic() < deadline:
            with httpx.Client(base_url=service.base) as http:
                first = http.get("/v1/popular", params={"limit": 1}).json()["items"][0]["article_id"]
            streak = streak + 1 if first == name else 0
        assert streak == 20
    finally:
        service.stop()
