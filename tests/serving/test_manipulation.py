"""Forged events against real readers, on a real service with keys."""

import random
import secrets
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from recsys.store import open_store
from tests.conftest import Newsroom
from tests.serving.conftest import made_event
from tests.serving.server import SECRET, Server, ids

PUBLIC = {"X-API-Key": "shown-to-browsers"}
BATCH = 1_000


@pytest.fixture
def guarded(newsroom: Newsroom, tmp_path: Path) -> Iterator[Server]:
    keys = {"RECSYS_SECRET_KEY": SECRET, "RECSYS_PUBLIC_KEY": PUBLIC["X-API-Key"]}
    service = Server(newsroom.models, tmp_path / "s.db", newsroom.now, environment=keys)
    yield service
    service.stop()


def send(service: Server, events: list[dict[str, Any]], headers: dict[str, str] = PUBLIC) -> None:
    for start in range(0, len(events), BATCH):
        answer = service.http.post("/v1/events", json=events[start : start + BATCH], headers=headers)
        assert (answer.status_code, answer.json()["rejected"]) == (202, [])


def popular(service: Server, limit: int = 10) -> list[str]:
    return ids(service.get("/v1/popular", limit=limit).json()["items"])


def readers(
    service: Server, newsroom: Newsroom, count: int, tag: str
) -> tuple[list[str], list[dict[str, Any]]]:
    """Their request ids, and a click of each: beside widely read articles and high up more often."""
    chance, requests, clicks = random.Random(8), [], []
    contexts, falling = popular(service, 12), [1 / place for place in range(1, 13)]
    for number in range(count):
        reader = f"{tag}{number}"
        context = chance.choices(contexts, falling)[0]
        answer = service.get(f"/v1/articles/{context}/related", session_id=reader).json()
        requests.append(answer["request_id"])
        named = {"request_id": answer["request_id"], "surface": "related"}
        chosen = chance.choices(ids(answer["items"])[:8], falling[:8])[0]
        clicks.append(made_event(newsroom, chosen, reader, "click", **named))
    return requests, clicks


def outcomes(service: Server) -> dict[str, float]:
    lines = [
        line
        for line in service.get("/metrics").text.splitlines()
        if line.startswith("recsys_event_trust_total{")
    ]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def attack(service: Server, newsroom: Newsroom, honest: int, forged: int) -> None:
    everything = popular(service, 100)
    target = everything[-1]
    public = service.get("/v1/latest", limit=100).json()
    assert target in ids(public["items"])
    requests, clicks = readers(service, newsroom, honest, "real")
    named = [
        {"request_id": secrets.token_hex(12)},
        {"request_id": requests[0]},
        {"list_id": public["list_id"]},
        {},
    ]
    kinds = cycle(["click", "click", "click", "view"])
    lies = [
        made_event(newsroom, target, secrets.token_hex(8), kind, **named[at % 4])
        for at, kind in zip(range(forged), kinds, strict=False)
    ]
    # what an article of the top ten needs is what any bound can be held against
    assert sorted(Counter(click["article_id"] for click in clicks).values())[-10] > 13.6
    send(service, lies[: forged // 2])
    send(service, clicks)
    send(service, lies[forged // 2 :])
    assert target not in popular(service)
    assert target not in ids(service.get("/v1/popular", limit=10, window="1h").json()["items"])
    assert target not in ids(service.get("/v1/popular", limit=10, rising=True).json()["items"])
    told = outcomes(service)
    assert told["attributed"] == len(clicks)
    assert told["listed"] + told["bounded"] == 30
    assert told["beyond"] == forged - 30
    assert "recsys_event_bursts_total 1.0" in service.get("/metrics").text
    assert target in service.log.read_text()
    assert "real0" not in service.log.read_text()


def test_ten_thousand_forged_clicks_do_not_reach_the_top_ten(guarded: Server, newsroom: Newsroom) -> None:
    attack(guarded, newsroom, honest=500, forged=10_000)


@pytest.mark.slow
def test_a_hundred_thousand_forged_clicks_against_a_thousand_readers(
    guarded: Server, newsroom: Newsroom
) -> None:
    attack(guarded, newsroom, honest=1_000, forged=100_000)


def test_four_hundred_readers_of_one_office_count_in_full(guarded: Server, newsroom: Newsroom) -> None:
    context = popular(guarded, 1)[0]
    shown = [
        guarded.get(f"/v1/articles/{context}/related", session_id=f"office{at}").json() for at in range(400)
    ]
    chosen = ids(shown[0]["items"])[-1]
    assert all(chosen in ids(answer["items"]) for answer in shown)
    clicks = [
        made_event(newsroom, chosen, f"office{at}", "click", request_id=answer["request_id"])
        for at, answer in enumerate(shown)
    ]
    send(guarded, clicks)
    # the page that opens tells of its view and of the reading, without the list
    send(guarded, [made_event(newsroom, chosen, f"office{at}") for at in range(400)])
    send(guarded, [made_event(newsroom, chosen, f"office{at}", "read", value=30.0) for at in range(400)])
    assert popular(guarded, 1) == [chosen]
    assert outcomes(guarded)["attributed"] == 1_200


def test_ids_hold_after_a_restart_and_a_forged_event_stays_in_the_log(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    keys = {"RECSYS_SECRET_KEY": SECRET, "RECSYS_PUBLIC_KEY": PUBLIC["X-API-Key"]}
    service = Server(newsroom.models, tmp_path / "s.db", newsroom.now, "--workers", "2", environment=keys)
    try:
        _, clicks = readers(service, newsroom, 10, "r")
        service.kill()
        service.start()
        send(service, clicks)
        copied = {**clicks[0], "event_id": "copied", "session_id": "thief", "ts": newsroom.now.isoformat()}
        bare = [made_event(newsroom, clicks[0]["article_id"], f"x{at}") for at in range(200)]
        send(service, [*bare, copied])
    finally:
        service.stop()
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    kept = {event.event_id: event.trust for event in store.iter_events()}
    store.close()
    assert len(kept) == len(clicks) + 201
    assert [kept[click["event_id"]] for click in clicks] == [None] * len(clicks)
    # workers share the bounds, and one call has one worker
    counts = Counter(kept[event["event_id"]] for event in bare)
    assert 5 <= 200 - counts[0.0] <= 10
    assert kept["copied"] == 0.0


def test_trust_is_taken_from_the_sites_server_alone(guarded: Server, newsroom: Newsroom) -> None:
    name = popular(guarded, 50)[-1]
    told = made_event(newsroom, name, trust=0.5)
    answer = guarded.http.post("/v1/events", json=told, headers=PUBLIC).json()
    assert [row["field"] for row in answer["rejected"]] == ["trust"]
    send(guarded, [told], {"X-API-Key": SECRET})
    send(guarded, [made_event(newsroom, name, f"f{at}") for at in range(600)], {"X-API-Key": SECRET})
    assert popular(guarded, 1) == [name]
    assert outcomes(guarded)["trusted"] == 601


def test_a_proxy_of_the_site_tells_the_address_and_another_caller_cannot(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[auth]\ntrusted_proxies = ["127.0.0.0/8"]\n')
    keys = {"RECSYS_SECRET_KEY": SECRET}
    service = Server(
        newsroom.models, tmp_path / "s.db", newsroom.now, "--config", str(config), environment=keys
    )
    try:
        name = popular(service, 50)[-1]
        for house in range(4):
            events = [made_event(newsroom, name, f"h{house}-{at}") for at in range(25)]
            send(service, events, {"X-Forwarded-For": f"6.6.6.{house}, 203.0.113.{house % 2}"})
        assert outcomes(service) == {"bounded": 20.0, "beyond": 80.0}
        send(service, [made_event(newsroom, name, "here")], {})
        assert outcomes(service)["trusted"] == 1.0
        log = service.log.read_text()
        assert "203.0.113" not in log
        assert "6.6.6" not in log
    finally:
        service.stop()
