"""Articles, rules, models, keys: what changes on the very next request, and who may do it."""

import base64
import hashlib
import hmac
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from recsys.bundle import Registry
from tests.conftest import Newsroom, copy_models
from tests.serving.bundles import second_bundle
from tests.serving.conftest import made_event
from tests.serving.server import SECRET, Server, ids

CONTEXT = "world-arms-deal"
NEW = {
    "title": "Norland's parliament debates the missile deal with Veska",
    "section": "World",
    "abstract": "Deputies ask what the weapons contract means for the alliance.",
}


def related(server: Server) -> list[str]:
    return ids(server.get(f"/v1/articles/{CONTEXT}/related", limit=20).json()["items"])


def test_a_new_article_stands_in_the_lists_of_older_ones_once_it_is_answered(server: Server) -> None:
    answer = server.secret("PUT", "/v1/articles/debate", json=NEW)
    assert (answer.status_code, answer.json()["article_id"]) == (200, "debate")
    assert "debate" in related(server)[:5]
    assert ids(server.get("/v1/latest", limit=3).json()["items"])[0] == "debate"
    server.secret("PATCH", "/v1/articles/debate", json={"is_hidden": True})
    assert "debate" not in related(server)
    server.secret("PATCH", "/v1/articles/debate", json={"is_hidden": False})
    assert "debate" in related(server)
    assert server.secret("GET", "/v1/articles/debate").json()["title"] == NEW["title"]
    assert server.secret("DELETE", "/v1/articles/debate").status_code == 204
    assert "debate" not in related(server)
    assert server.secret("DELETE", "/v1/articles/debate").status_code == 404


def test_embargo_and_expiry_hold(server: Server, newsroom: Newsroom) -> None:
    for name, fields in (
        ("later", {"published_at": "2026-03-02T00:00:00Z"}),
        ("over", {"expires_at": newsroom.now.isoformat()}),
    ):
        assert server.secret("PUT", f"/v1/articles/{name}", json={**NEW, **fields}).status_code == 200
        assert name not in related(server)
    told = server.secret("GET", "/v1/explain", params={"article_id": CONTEXT, "candidate_id": "later"}).json()
    assert told["removed_by"] == "embargo"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "T", "headline": "x"}, "headline"),
        ({"title": "T", "published_at": "2026-01-01"}, "published_at"),
        ({"title": "T", "article_id": "other"}, "article_id"),
        ({"title": "x" * 3000}, "title"),
        ({"title": "T", "editor_priority": 2}, "editor_priority"),
    ],
)
def test_a_wrong_article_is_refused_with_its_field(
    server: Server, body: dict[str, object], field: str
) -> None:
    answer = server.secret("PUT", "/v1/articles/wrong", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_bulk_takes_the_good_ones_and_tells_the_bad(server: Server) -> None:
    rows = [
        {"article_id": "bulk1", "title": "One&nbsp;<b>x</b>"},
        {"article_id": "bulk 2", "title": "T"},
        {"title": "T"},
    ]
    body = server.secret("POST", "/v1/articles", json=rows).json()
    assert (body["accepted"], [r["index"] for r in body["rejected"]]) == (1, [1, 2])
    assert server.secret("GET", "/v1/articles/bulk1").json()["title"] == "One x"


def test_rules_act_on_the_next_request(server: Server) -> None:
    pinned, hidden = ids(server.get("/v1/latest", limit=50).json()["items"])[30], related(server)[0]
    rule = {
        "id": "r1",
        "surfaces": ["popular", "related"],
        "hide": [hidden],
        "pin": [{"article_id": pinned, "position": 2}],
    }
    answer = server.secret("PUT", "/v1/rules", json=[rule])
    assert answer.status_code == 200
    try:
        page = server.get("/v1/page", article_id=CONTEXT, limit=5, diversity=1).json()["lists"]
        assert ids(page["related"]["items"])[1] == pinned
        assert hidden not in ids(page["related"]["items"])
        assert ids(server.get("/v1/popular").json()["items"])[1] == pinned
        stale = server.secret("PUT", "/v1/rules", json=[], headers={"If-Match": '"0"'})
        assert stale.status_code == 409
        assert server.secret("GET", "/v1/rules").json()["rules"][0]["id"] == "r1"
        bad = server.secret("PUT", "/v1/rules", json=[{"id": "r", "pins": []}])
        assert (bad.status_code, "pins" in bad.text) == (422, True)
    finally:
        server.secret("PUT", "/v1/rules", json=[])
    assert hidden in related(server)


def test_a_user_can_be_forgotten(server: Server, newsroom: Newsroom) -> None:
    row = made_event(newsroom, CONTEXT) | {"user_id": "leaves"}
    server.send({key: value for key, value in row.items() if key != "session_id"})
    assert server.get("/v1/users/leaves/recommendations").json()["fallback"] is None
    assert server.secret("DELETE", "/v1/users/leaves").json()["erased"] >= 1
    assert server.get("/v1/users/leaves/recommendations").json()["fallback"] == "cold_reader"


def test_promote_and_rollback_and_a_damaged_bundle(
    newsroom: Newsroom, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    first, second = newsroom.bundle.version, second_bundle(models)
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        server.secret("PUT", "/v1/articles/debate", json=NEW)
        assert server.secret("POST", f"/v1/models/{second}:promote").json() == {"current": second}
        assert server.get("/v1/latest").json()["model_version"] == second
        assert "debate" in related(server), "the tail of the store belongs to every bundle"
        assert server.secret("POST", "/v1/models:rollback").json() == {"current": first}
        damage(models / second / "vectors.npy")
        refused = server.secret("POST", f"/v1/models/{second}:promote")
        assert refused.status_code == 422
        assert "digest" in refused.json()["detail"]
        assert server.get("/v1/latest").json()["model_version"] == first
        assert server.secret("POST", "/v1/models/v0:promote").status_code == 404
        listed = server.secret("GET", "/v1/models").json()
        assert (listed["current"], len(listed["models"])) == (first, 2)
    finally:
        server.stop()


def test_events_sent_during_swaps_are_counted_once_each(newsroom: Newsroom, tmp_path: Path) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    second = second_bundle(models)
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        for name in ("often", "steady"):
            server.secret("PUT", f"/v1/articles/{name}", json={"title": f"Read {name}", "section": "World"})
        server.send(*[made_event(newsroom, "often", f"r{n}") for n in range(900)])
        swaps = threading.Thread(target=swap_back_and_forth, args=(server.base, second))
        swaps.start()
        sent = 0
        while swaps.is_alive() and sent < 800:
            assert server.send(made_event(newsroom, "steady", f"q{sent}"))["accepted"] == 1
            sent += 1
        swaps.join()
        answer = server.get("/v1/popular", window="7d", explain=1).json()["items"]
        scores = {item["article_id"]: item["score"] for item in answer}
        assert scores["steady"] / scores["often"] == pytest.approx(sent / 900, abs=1e-6)
    finally:
        server.stop()


def swap_back_and_forth(base: str, second: str) -> None:
    with httpx.Client(base_url=base, headers={"X-API-Key": SECRET}, timeout=60) as http:
        for _ in range(3):
            assert http.post(f"/v1/models/{second}:promote").status_code == 200
            assert http.post("/v1/models:rollback").status_code == 200


def test_an_empty_key_file_opens_nothing(newsroom: Newsroom, tmp_path: Path) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    (models / "secret.key").write_text("")
    with pytest.raises(RuntimeError, match="has 0 characters, at least 16 are needed; delete the file"):
        Server(models, tmp_path / "s.db", newsroom.now, environment={})


def test_a_promotion_from_the_command_line_is_followed(newsroom: Newsroom, tmp_path: Path) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    second = second_bundle(models)
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        Registry(models).promote(second)
        for _ in range(100):
            if server.get("/v1/latest").json()["model_version"] == second:
                return
            time.sleep(0.1)
        raise AssertionError("the promoted bundle was not taken up within 10 s")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def guarded(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "c.toml").write_text('[auth]\nreads = "key"\ncors_origins = ["https://site.test"]\n')
    keys = {"RECSYS_SECRET_KEY": SECRET, "RECSYS_PUBLIC_KEY": "open-sesame"}
    server = Server(
        newsroom.models, folder / "s.db", newsroom.now, "--config", str(folder / "c.toml"), environment=keys
    )
    yield server
    server.stop()


PRIVATE = [
    ("PUT", "/v1/articles/a"),
    ("PATCH", "/v1/articles/a"),
    ("DELETE", "/v1/articles/a"),
    ("GET", "/v1/articles/a"),
    ("POST", "/v1/articles"),
    ("GET", "/v1/rules"),
    ("PUT", "/v1/rules"),
    ("GET", "/v1/models"),
    ("POST", "/v1/models/v1:promote"),
    ("POST", "/v1/models:rollback"),
    ("DELETE", "/v1/users/u"),
    ("GET", "/v1/explain?candidate_id=a"),
]


@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_steering_needs_the_secret_key(guarded: Server, method: str, path: str) -> None:
    body = {"json": []} if method in ("PUT", "POST") else {}
    assert guarded.http.request(method, path, **body).status_code == 401
    for key in ("open-sesame", "wrong", ""):
        assert guarded.http.request(method, path, headers={"X-API-Key": key}, **body).status_code == 403


@pytest.mark.parametrize("path", ["/v1/popular", "/v1/page", "/v1/articles/a/related"])
def test_reads_and_events_take_either_key_where_one_is_asked_for(guarded: Server, path: str) -> None:
    statuses = [
        guarded.http.get(path, headers={"X-API-Key": key}).status_code
        for key in ("open-sesame", SECRET, "wrong")
    ]
    assert (statuses, guarded.http.get(path).status_code) == ([200, 200, 403], 401)


def test_events_need_the_public_key_once_it_is_set(guarded: Server) -> None:
    keys = ({}, {"X-API-Key": "wrong"}, {"X-API-Key": "open-sesame"}, {"X-API-Key": SECRET})
    statuses = [guarded.http.post("/v1/events", json=[], headers=key).status_code for key in keys]
    assert statuses == [401, 403, 202, 202]


def token(user: str, expires: int, secret: str) -> str:
    """As docs/reader-identity.md tells a site's server to make one."""
    name = base64.urlsafe_b64encode(user.encode()).rstrip(b"=").decode()
    return (
        f"{name}.{expires}."
        + hmac.new(secret.encode(), f"{name}.{expires}".encode(), hashlib.sha256).hexdigest()
    )


def test_a_bare_user_from_elsewhere_needs_a_token_that_was_signed_and_is_not_over(
    guarded: Server, newsroom: Newsroom
) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.9", "X-API-Key": "open-sesame"}
    later = int(newsroom.now.timestamp()) + 3600

    def status(**params: object) -> int:
        return guarded.http.get("/v1/popular", params=params, headers=elsewhere).status_code

    assert status(user_id="u") == 403
    assert status(session_id="s") == 200
    assert status(user_token=token("u", later, SECRET)) == 200
    assert status(user_token=token("u", later, "guess")) == 403
    assert status(user_token=token("u", later - 7200, SECRET)) == 403
    assert status(user_token=token("u", later, SECRET).replace(str(later), str(later + 9))) == 403
    assert status(user_token="nonsense") == 403
    path = "/v1/users/other/recommendations"
    assert (
        guarded.http.get(
            path, params={"user_token": token("u", later, SECRET)}, headers=elsewhere
        ).status_code
        == 403
    )
    assert guarded.http.get(path, headers={**elsewhere, "X-API-Key": SECRET}).status_code == 200


def test_cross_origin_calls_are_allowed_by_list(guarded: Server) -> None:
    for origin, allowed in (("https://site.test", "https://site.test"), ("https://evil.test", None)):
        answer = guarded.http.get("/v1/popular", headers={"Origin": origin, "X-API-Key": "open-sesame"})
        assert answer.headers.get("access-control-allow-origin") == allowed


def test_without_keys_a_secret_one_is_made_for_its_owner_only(newsroom: Newsroom, tmp_path: Path) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    server = Server(models, tmp_path / "s.db", newsroom.now, environment={})
    try:
        path = models / "secret.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert str(path) in server.log.read_text()
        key = path.read_text().strip()
        assert key not in server.log.read_text()
        assert server.http.get("/v1/rules", headers={"X-API-Key": key}).status_code == 200
    finally:
        server.stop()


def start_fails(newsroom: Newsroom, models: Path, tmp_path: Path, *more: str) -> str:
    with pytest.raises(RuntimeError) as caught:
        Server(models, tmp_path / "s.db", newsroom.now, *more, environment={})
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_the_service_refuses_to_start_wrongly(
    newsroom: Newsroom, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    assert "without keys; set RECSYS_SECRET_KEY" in start_fails(
        newsroom, models, tmp_path, "--host", "0.0.0.0"
    )
    (tmp_path / "c.toml").write_text("[surfaces.related]\ncolour = 'red'\n")
    assert "surfaces.related.colour: unknown key" in start_fails(
        newsroom, models, tmp_path, "--config", str(tmp_path / "c.toml")
    )
    damage(models / newsroom.bundle.version / "vectors.npy")
    assert "vectors.npy does not have the digest" in start_fails(newsroom, models, tmp_path)
    (models / "current").unlink()
    assert "has no bundle in service" in start_fails(newsroom, models, tmp_path)


def test_a_serving_process_loads_no_torch(server: Server) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in maps
    assert "torch" not in maps
