"""``recsys replay`` makes the same lists again: of every request of a busy hour, in any order."""

import json
import time
from pathlib import Path

import pytest

from recsys.bundle import Registry
from recsys.config import load_config
from recsys.store import open_store
from tests.conftest import Newsroom, copy_models
from tests.serving.bundles import SECOND, second_bundle
from tests.serving.conftest import made_event
from tests.serving.server import Server, ids
from tests.training.command import recsys
from training.replaying import Replayer

CONTEXT = "world-arms-deal"
NEW = {
    "title": "Norland's parliament debates the missile deal with Veska",
    "section": "World",
    "abstract": "Deputies ask what the weapons contract means for the alliance.",
}


def busy_hour(server: Server, newsroom: Newsroom) -> list[str]:
    """Requests between events, new and changed articles, rules and a promotion; their ids."""
    latest = ids(server.get("/v1/latest", limit=40).json()["items"])
    found = []

    def ask(path: str, reader: str, **params: object) -> None:
        body = server.get(path, session_id=reader, **params).json()
        found.append(body["request_id"])

    for turn in range(24):
        reader = f"r{turn % 5}"
        server.send(made_event(newsroom, latest[turn], reader))
        server.send(made_event(newsroom, latest[(7 * turn) % 40], f"r{(turn + 1) % 5}", "impression"))
        if turn == 4:
            assert server.secret("PUT", "/v1/articles/debate", json=NEW).status_code == 200
        if turn == 9:
            changed = {"title": "Parliament of Norland votes on missiles for Veska", "editor_priority": 0.9}
            assert server.secret("PATCH", "/v1/articles/debate", json=changed).status_code == 200
        if turn == 12:
            rule = {"id": "r1", "surfaces": ["related"], "hide": [latest[3]]}
            pin = {"id": "r2", "pin": [{"article_id": latest[30], "position": 2}]}
            assert server.secret("PUT", "/v1/rules", json=[rule, pin]).status_code == 200
        if turn == 15:
            assert server.secret("DELETE", "/v1/articles/debate").status_code == 204
        if turn == 18:
            assert server.secret("POST", f"/v1/models/{SECOND}:promote").status_code == 200
        if turn == 21:
            assert server.secret("PUT", "/v1/rules", json=[]).status_code == 200
        ask(f"/v1/articles/{CONTEXT}/related", reader, limit=8)
        click = {"request_id": found[-1], "surface": "related", "position": 1}
        server.send(made_event(newsroom, latest[turn + 2], reader, "click", **click))
        ask("/v1/page", reader, article_id=latest[turn + 1], lists="related,popular,latest,for_you")
        ask("/v1/popular", reader, section="World", exclude=latest[0], rising=turn % 2)
    return found


def test_every_answer_of_a_busy_hour_comes_again(
    newsroom: Newsroom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    second_bundle(models)
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        requests = busy_hour(server, newsroom)
    finally:
        server.stop()
    wrong = []
    for request_id in requests[::-7]:
        answer = recsys(
            capsys,
            "replay",
            request_id,
            "--store",
            f"sqlite:///{tmp_path / 's.db'}",
            "--models",
            models,
            "--json",
        )
        wrong += [answer.out] if answer.code else []
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    replayer = Replayer(Registry(models), store, None, lambda *_: False)
    found = [replayer.replay(request_id) for request_id in requests]
    store.close()
    assert [each.differences for each in found if each.differences] == []
    assert sum(len(each.lists) for each in found) == 6 * 24
    assert wrong == []


@pytest.mark.parametrize("method", ["plackett_luce", "swap"])
def test_lists_that_were_drawn_come_again_with_their_chances(
    newsroom: Newsroom, tmp_path: Path, method: str
) -> None:
    models, settings = copy_models(newsroom.models, tmp_path / "models"), tmp_path / "site.toml"
    second_bundle(models)
    settings.write_text(
        f'[randomisation]\nshare = 0.7\nmethod = "{method}"\nsurfaces = ["related", "for_you", "popular"]\n'
        '[exploration]\nshare = 0.2\nsurfaces = ["for_you", "related"]\n'
    )
    server = Server(models, tmp_path / "s.db", newsroom.now, "--config", str(settings))
    try:
        requests = busy_hour(server, newsroom)
    finally:
        server.stop()
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    replayer = Replayer(Registry(models), store, load_config(settings), lambda *_: False)
    found = [replayer.replay(request_id) for request_id in requests]
    shown = [each for name in requests for each in store.find_exposures(name)]
    store.close()
    assert [each.differences for each in found if each.differences] == []
    drawn = [each for each in shown if min(each.propensities or [1.0]) < 1.0]  # type: ignore[type-var]
    assert len(drawn) > 40
    assert {each.surface for each in drawn} == {"related", "for_you", "popular"}


def test_answers_from_kept_rankings_under_a_stream_of_events_come_again(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    server, requests = Server(models, tmp_path / "s.db", newsroom.now), []
    try:
        latest = ids(server.get("/v1/latest", limit=40).json()["items"])
        until, turn = time.monotonic() + 2.5, 0
        while time.monotonic() < until:
            turn += 1
            server.send(*[made_event(newsroom, latest[(turn * at) % 40], f"e{turn}-{at}") for at in range(4)])
            place = {"article_id": CONTEXT, "session_id": f"r{turn % 3}"}
            requests.append(server.get("/v1/page", **place).json()["request_id"])
        time.sleep(1.0)
        requests += [server.get("/v1/page", **place).json()["request_id"] for _ in range(2)]
    finally:
        server.stop()
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    replayer = Replayer(Registry(models), store, None, lambda *_: False)
    kept = sum(each.ranked is not None for name in requests for each in store.find_exposures(name))
    assert kept > 0, "the last request shares its rankings with the one before"
    found = [replayer.replay(request_id) for request_id in requests[-25:]]
    store.close()
    assert [each.differences for each in found if each.differences] == []


def test_what_cannot_be_known_again_is_said(
    newsroom: Newsroom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    second_bundle(models)
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        body = {"article_id": CONTEXT, "session_id": "s", "history": [CONTEXT]}
        own = server.http.post("/v1/page", json=body).json()["request_id"]
        server.secret("POST", f"/v1/models/{SECOND}:promote")
        other = server.get("/v1/latest", session_id="s").json()["request_id"]
    finally:
        server.stop()
    place = ("--store", f"sqlite:///{tmp_path / 's.db'}", "--models", models)
    told = recsys(capsys, "replay", own, *place)
    assert (told.code, "its own history, which is never stored" in " ".join(told.err.split())) == (1, True)
    assert json.loads(recsys(capsys, "replay", other, *place, "--json").out)["identical"]
    (models / SECOND).rename(tmp_path / "gone")
    gone = recsys(capsys, "replay", other, *place)
    assert (gone.code, "the bundle that answered cannot be used" in " ".join(gone.err.split())) == (1, True)
    nobody = recsys(capsys, "replay", "never", *place)
    assert (nobody.code, "the log has no list of 'never'" in " ".join(nobody.err.split())) == (1, True)
