"""The read endpoints, as the contract has them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Newsroom
from tests.serving.conftest import made_event
from tests.serving.server import Server, ids

CONTEXT = "world-arms-deal"
LISTS = ("related", "popular", "latest", "must_reads")
READS = [
    f"/v1/articles/{CONTEXT}/related",
    "/v1/popular",
    "/v1/latest",
    "/v1/must-reads",
    "/v1/users/u1/recommendations",
]


@pytest.mark.parametrize("path", READS)
def test_every_list_is_full_and_complete(server: Server, path: str) -> None:
    body = server.get(path, limit=7).json()
    assert {"surface", "title", "model_version", "experiment", "fallback", "items"} <= body.keys()
    assert [item["position"] for item in body["items"]] == list(range(1, 8))
    for item in body["items"]:
        assert item["reason"]
        assert {"title", "url", "section", "image_url", "published_at"} == item["article"].keys()
        assert "&" + "nbsp" not in str(item)


def test_a_page_has_no_article_twice_and_never_its_own(server: Server) -> None:
    page = server.get("/v1/page", article_id=CONTEXT, limit=10).json()
    shown = [name for surface in LISTS for name in ids(page["lists"][surface]["items"])]
    assert len(shown) == len(set(shown)) == 40
    assert CONTEXT not in shown
    related = page["lists"]["related"]["items"]
    assert {item["article"]["section"] for item in related[:3]} <= {"World", "Business", "Politics"}


@pytest.mark.parametrize("path", [*READS, "/v1/page?article_id=" + CONTEXT])
def test_explained_parts_sum_to_the_score(server: Server, path: str) -> None:
    body = server.get(path, explain="true").json()
    lists = body["lists"].values() if "lists" in body else [body]
    items = [item for found in lists for item in found["items"]]
    assert items
    for item in items:
        assert sum(item["explain"]["parts"].values()) == pytest.approx(item["score"], abs=1e-6)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limt": 5}, "limt"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"max_age": "soon"}, "max_age"),
        ({"diversity": 1.5}, "diversity"),
        ({"explain": "yes"}, "explain"),
        ({"window": "3h"}, "window"),
        ({"exclude": "two words"}, "exclude"),
        ({"session_id": "x" * 200}, "session_id"),
    ],
)
def test_a_parameter_that_is_unknown_or_out_of_range_is_named(
    server: Server, params: dict[str, Any], field: str
) -> None:
    answer = server.get("/v1/popular", **params)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert field in str(problem)


@pytest.mark.parametrize("value", ["true", "1", "false", "0"])
def test_booleans_are_written_in_four_ways(server: Server, value: str) -> None:
    item = server.get("/v1/popular", explain=value).json()["items"][0]
    assert ("explain" in item) == (value in ("true", "1"))


def test_an_unknown_article_falls_back_and_with_strict_is_not_found(server: Server) -> None:
    body = server.get("/v1/articles/nobody-knows/related").json()
    assert body["fallback"] == "unknown_article"
    assert len(body["items"]) == 10
    answer = server.get("/v1/articles/nobody-knows/related", strict=1)
    assert (answer.status_code, "nobody-knows" in answer.json()["detail"]) == (404, True)
    assert server.get("/v1/users/nobody/recommendations").json()["fallback"] == "cold_reader"
    assert server.get("/v1/users/nobody/recommendations", strict=1).status_code == 404


def test_sections_exclusions_and_ages_filter_before_the_cut(server: Server, newsroom: Newsroom) -> None:
    sport = server.get("/v1/popular", section="Sport", limit=20).json()["items"]
    assert {item["article"]["section"] for item in sport} == {"Sport"}
    assert len(sport) == 20
    first = ids(server.get("/v1/latest", limit=3).json()["items"])
    assert ids(server.get("/v1/latest", limit=2, exclude=first[0]).json()["items"]) == first[1:]
    fresh = server.get("/v1/latest", max_age="12h", limit=100).json()["items"]
    assert 0 < len(fresh) < 100


def test_a_public_answer_can_be_cached_and_checked_again(server: Server) -> None:
    answer = server.get("/v1/page", article_id=CONTEXT)
    control = answer.headers["cache-control"]
    assert "public" in control
    assert "stale-while-revalidate" in control
    assert int(control.split("max-age=")[1].split(",")[0]) <= 30
    assert f"article-{CONTEXT}" in answer.headers["surrogate-key"].split()
    assert "dur=" in answer.headers["server-timing"]
    assert answer.json()["list_id"]
    again = server.http.get(
        "/v1/page", params={"article_id": CONTEXT}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code in (200, 304), again.headers["cache-control"]) == (True, control)
    first, second = (server.get("/v1/latest").json()["list_id"] for _ in range(2))
    assert first == second


def test_a_304_answers_while_the_list_stays_and_200_once_it_changed(
    server: Server, newsroom: Newsroom
) -> None:
    tag = server.get("/v1/latest", section="Cars").headers["etag"]
    again = server.http.get("/v1/latest", params={"section": "Cars"}, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    newest = {"title": "Breaking: cars", "section": "Cars", "published_at": newsroom.now.isoformat()}
    server.secret("PUT", "/v1/articles/breaking-cars", json=newest)
    changed = server.http.get("/v1/latest", params={"section": "Cars"}, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert ids(changed.json()["items"])[0] == "breaking-cars"
    tag = changed.headers["etag"]
    server.secret("PATCH", "/v1/articles/breaking-cars", json={"title": "Corrected: cars"})
    retitled = server.http.get("/v1/latest", params={"section": "Cars"}, headers={"If-None-Match": tag})
    assert retitled.json()["items"][0]["article"]["title"] == "Corrected: cars"


def test_a_personal_answer_is_private_and_fresh(server: Server) -> None:
    answers = [server.get("/v1/page", article_id=CONTEXT, session_id="s1") for _ in range(2)]
    assert all(answer.headers["cache-control"].startswith("private") for answer in answers)
    assert answers[0].json()["request_id"] != answers[1].json()["request_id"]


def test_history_from_the_browser_makes_a_personal_list_and_is_not_kept(server: Server) -> None:
    sport = ids(server.get("/v1/latest", section="Sport", limit=6).json()["items"])
    body = {"lists": ["for_you"], "history": sport, "limit": 10, "session_id": "keeps-its-own"}
    answer = server.http.post("/v1/page", json=body)
    items = answer.json()["lists"]["for_you"]["items"]
    assert sum(item["article"]["section"] == "Sport" for item in items) >= 5
    assert not set(sport) & set(ids(items))
    later = server.get("/v1/page", lists="for_you", session_id="keeps-its-own").json()
    assert later["lists"]["for_you"]["fallback"] == "cold_reader"
    for wrong in ({"histry": []}, {"history": ["a"] * 51}, {"lists": "popular,nonsense"}, {"limit": 0}):
        assert server.http.post("/v1/page", json=wrong).status_code == 422


def test_an_article_can_be_named_by_its_url(server: Server) -> None:
    server.secret(
        "PUT", "/v1/articles/with-url", json={"title": "Arms exports", "url": "https://www.site.test/a/?x=1"}
    )
    for params in ({"url": "http://site.test/a"}, {"article_id": "with-url"}):
        page = server.get("/v1/page", lists="related", **params).json()
        assert page["lists"]["related"]["fallback"] is None
    by_url = server.get("/v1/related", url="https://site.test/a/").json()
    assert ids(by_url["items"]) == ids(server.get("/v1/articles/with-url/related").json()["items"])


def test_explain_tells_why_or_what_removed_it(server: Server) -> None:
    related = server.get(f"/v1/articles/{CONTEXT}/related").json()["items"]
    found = server.secret(
        "GET", "/v1/explain", params={"article_id": CONTEXT, "candidate_id": related[0]["article_id"]}
    ).json()
    assert (found["removed_by"], found["rank"]) == (None, 1)
    own = server.secret("GET", "/v1/explain", params={"article_id": CONTEXT, "candidate_id": CONTEXT}).json()
    assert own["removed_by"] == "excluded"
    none = server.secret("GET", "/v1/explain", params={"candidate_id": "nobody-knows"}).json()
    assert none["removed_by"] == "unknown_article"


def test_live_events_move_popular_on_the_next_request(server: Server, newsroom: Newsroom) -> None:
    target = ids(server.get("/v1/latest", section="Food", limit=20).json()["items"])[-1]
    assert target not in ids(server.get("/v1/popular", limit=10).json()["items"])
    server.send(*[made_event(newsroom, target, f"crowd-{i}") for i in range(400)])
    assert ids(server.get("/v1/popular", limit=10).json()["items"])[0] == target
    assert ids(server.get("/v1/popular", window="1h").json()["items"])[0] == target
    assert ids(server.get("/v1/popular", rising=1).json()["items"])[0] == target


def test_live_events_move_for_you_on_the_next_request(server: Server, newsroom: Newsroom) -> None:
    science = ids(server.get("/v1/latest", section="Science", limit=4).json()["items"])
    before = server.get("/v1/users/u77/recommendations").json()
    assert before["fallback"] == "cold_reader"
    events = [made_event(newsroom, name) | {"user_id": "u77", "session_id": None} for name in science]
    server.send(*[{key: value for key, value in made.items() if value} for made in events])
    after = server.get("/v1/users/u77/recommendations").json()
    assert after["fallback"] is None
    sections = [item["article"]["section"] for item in after["items"]]
    assert sections.count("Science") >= 5
    assert not set(science) & set(ids(after["items"]))


def test_what_a_reader_hides_stays_away(server: Server, newsroom: Newsroom) -> None:
    first = ids(server.get("/v1/latest").json()["items"])[0]
    server.send(made_event(newsroom, first, "picky", kind="hide"))
    assert first not in ids(server.get("/v1/latest", session_id="picky").json()["items"])
    assert first in ids(server.get("/v1/latest").json()["items"])


def test_health_metrics_and_the_api_description(server: Server) -> None:
    assert server.get("/health/live").json() == {"status": "live"}
    assert server.get("/health/ready").json()["model_version"]
    text = server.get("/metrics").text
    assert 'recsys_request_seconds_count{route="/v1/popular",status="200"}' in text
    assert {"/v1/page", "/v1/events", "/v1/popular"} <= server.get("/openapi.json").json()["paths"].keys()
    assert server.get("/docs").status_code == 200


def test_a_body_of_any_route_is_bounded(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 1_000_000

    answer = server.http.post("/v1/page", content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (413, "The body is too large")
