"""The short way of a request gives what the framework's way gives; answers from memory stay true."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from serving import quick
from serving.problems import Problem
from serving.wire import PageParams, PopularParams, ReadParams, UrlParams
from tests.conftest import Newsroom, copy_models
from tests.serving.conftest import made_event
from tests.serving.server import Server, ids

PATHS = {
    "/v1/page": PageParams,
    "/v1/popular": PopularParams,
    "/v1/latest": ReadParams,
    "/v1/must-reads": ReadParams,
    "/v1/related": UrlParams,
    "/v1/articles/a%20b/related": ReadParams,
}
NAMES = (
    *("limit", "session_id", "section", "exclude", "max_age", "diversity", "explain", "strict", "site"),
    *("timeout_ms", "window", "rising", "url", "lists", "article_id", "limt", "user_id"),
)
VALUES = ("1", "true", "7", "0", "a b", "x", "36h", "24h", "related,latest", "", "-1", "0.5", "é", "a&b=c%")


def by_framework() -> TestClient:
    app = FastAPI()

    @app.get("/page")
    def page(params: Annotated[PageParams, Query()]) -> Any:
        return params

    @app.get("/popular")
    def popular(params: Annotated[PopularParams, Query()]) -> Any:
        return params

    @app.get("/read")
    def read(params: Annotated[ReadParams, Query()]) -> Any:
        return params

    @app.get("/url")
    def url(params: Annotated[UrlParams, Query()]) -> Any:
        return params

    return TestClient(app)


FRAMEWORK = by_framework()
TWIN = {PageParams: "/page", PopularParams: "/popular", ReadParams: "/read", UrlParams: "/url"}


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(PATHS)),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4),
)
def test_the_short_way_reads_parameters_as_the_framework_does(
    path: str, pairs: list[tuple[str, str]]
) -> None:
    query = httpx.QueryParams(pairs)
    told = FRAMEWORK.get(f"{TWIN[PATHS[path]]}?{query}")
    try:
        asked = quick.asked_of(path.replace("%20", ""), str(query).encode(), 0.0)
    except (ValidationError, ValueError, Problem):
        asked = None
    if asked is not None:
        assert told.status_code == 200, told.text
        assert asked.params.model_dump(mode="json") == told.json()
    elif told.status_code == 200:
        # refused further on: a list that does not exist, or an article that is not named
        assert "lists" in query or (path == "/v1/related" and "url" not in query)


def found(server: Server) -> dict[str, float]:
    text = server.get("/metrics").text
    return {
        name: float(count)
        for name, count in re.findall(r'recsys_cache_total\{found="(\w+)"[^}]*\} (\S+)', text)
    }


def test_the_second_to_ask_is_answered_from_memory_until_something_changes(
    server: Server, newsroom: Newsroom
) -> None:
    path, before = "/v1/articles/world-arms-deal/related", found(server)
    first, second = server.get(path), server.get(path)
    assert first.content == second.content
    assert found(server)["hit"] == before.get("hit", 0.0) + 1
    known = server.http.get(path, headers={"If-None-Match": second.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert "content-length" not in known.headers
    assert known.headers["etag"] == second.headers["etag"]
    server.send(made_event(newsroom, "food-rice-guide", "somebody"))
    server.get(path)
    assert found(server)["outdated"] == before.get("outdated", 0.0) + 1


def test_personal_answers_are_made_anew_and_kept_by_nobody(server: Server) -> None:
    before = found(server)
    answers = [server.get("/v1/popular", session_id="same") for _ in range(2)]
    assert answers[0].json()["request_id"] != answers[1].json()["request_id"]
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-store"}
    assert found(server).get("hit", 0.0) == before.get("hit", 0.0)


def test_what_comes_and_goes_by_the_clock_does_so_in_kept_answers_too(
    server: Server, newsroom: Newsroom
) -> None:
    soon = (newsroom.now + timedelta(seconds=time.monotonic() - STARTED[0] + 2.5)).isoformat()
    server.secret("PUT", "/v1/articles/leaves", json={"title": "Leaves shortly", "expires_at": soon})
    server.secret("PUT", "/v1/articles/comes", json={"title": "Comes shortly", "published_at": soon})
    shown = ids(server.get("/v1/latest", limit=5).json()["items"])
    assert "leaves" in shown
    assert "comes" not in shown
    deadline = time.monotonic() + 20
    while "comes" not in shown and time.monotonic() < deadline:
        time.sleep(0.05)
        shown = ids(server.get("/v1/latest", limit=5).json()["items"])
    assert "comes" in shown
    assert "leaves" not in shown


STARTED = [0.0]


@pytest.fixture(scope="module")
def server(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("quick")
    STARTED[0] = time.monotonic()
    running = Server(copy_models(newsroom.models, folder / "models"), folder / "s.db", newsroom.now)
    yield running
    running.stop()


def test_a_hidden_article_is_gone_on_the_next_request_of_every_worker(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    service = Server(newsroom.models, tmp_path / "s.db", newsroom.now, "--workers", "2")
    path = f"{service.base}/v1/latest?limit=20"

    def ask(_: int) -> list[str]:
        # a connection of its own, so that either worker may take it
        return ids(httpx.get(path, timeout=30).json()["items"])

    try:
        for number in range(4):
            name = f"withdrawn-{number}"
            service.secret("PUT", f"/v1/articles/{name}", json={"title": f"To be withdrawn {number}"})
            deadline = time.monotonic() + 10
            with ThreadPoolExecutor(4) as pool:
                while not all(name in shown for shown in pool.map(ask, range(12))):
                    assert time.monotonic() < deadline
            change = {"is_hidden": True} if number % 2 else {"published_at": "2099-01-01T00:00:00Z"}
            if number == 2:
                service.secret("DELETE", f"/v1/articles/{name}")
            else:
                service.secret("PATCH", f"/v1/articles/{name}", json=change)
            with ThreadPoolExecutor(4) as pool:
                assert not any(name in shown for shown in pool.map(ask, range(12)))
    finally:
        service.stop()


def test_a_rule_holds_on_the_next_request(server: Server) -> None:
    hidden = ids(server.get("/v1/latest", limit=5).json()["items"])[1]
    rule = {"id": "hide-one", "hide": [hidden]}
    server.secret("PUT", "/v1/rules", json=[rule])
    assert hidden not in ids(server.get("/v1/latest", limit=5).json()["items"])
    server.secret("PUT", "/v1/rules", json=[])
    assert hidden in ids(server.get("/v1/latest", limit=5).json()["items"])


def test_a_short_time_leaves_lists_full_and_is_told(server: Server) -> None:
    told = set()
    for number in range(30):
        answer = server.get("/v1/page", timeout_ms=1, article_id="world-arms-deal", session_id=f"s{number}")
        assert answer.status_code == 200
        lists = answer.json()["lists"]
        assert all(len(one["items"]) == 10 for one in lists.values())
        told |= {one["fallback"] for one in lists.values()}
    assert told <= {None, "timeout"}
