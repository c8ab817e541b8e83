"""Experiments on a real service with two workers: who is in them, what is shown, what is logged."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.bundle import Registry
from recsys.config import load_config
from recsys.experiments.running import Run
from recsys.store import open_store
from tests.conftest import Newsroom, copy_models
from tests.serving.bundles import SECOND, marked, second_bundle
from tests.serving.server import SECRET, Server, ids
from tests.training.command import Answer, recsys
from training.replaying import Replayer

Capture = pytest.CaptureFixture[str]
READERS = [f"reader-{number}" for number in range(40)]


class Site:
    """A service, and experiments in its store."""

    def __init__(self, newsroom: Newsroom, folder: Path) -> None:
        self.newsroom, self.folder = newsroom, folder
        self.models = copy_models(newsroom.models, folder / "models")
        second_bundle(self.models, marked)
        self.server = Server(self.models, folder / "s.db", newsroom.now, "--workers", "2")
        self.url, self.at = f"sqlite:///{folder / 's.db'}", newsroom.now.isoformat()

    def define(self, name: str, surface: str, sides: list[dict[str, Any]], **more: Any) -> Path:
        """A file with one experiment."""
        fields = {"id": name, "unit": "session", "surfaces": [surface], "primary_metric": "ctr", **more}
        begin, end = self.newsroom.now - timedelta(days=1), self.newsroom.now + timedelta(days=14)
        lines = ["[[experiment]]", f"start = {begin.isoformat()}", f"end = {end.isoformat()}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
        for side in sides:
            lines += [
                "[[experiment.variant]]",
                *(f"{k} = {json.dumps(v)}" for k, v in side.items() if k != "over"),
            ]
            lines += ["[experiment.variant.overrides]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in side.get("over", {}).items()]
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join(lines))
        return path

    def run(self, capsys: Capture, what: str, name: str, *more: Any) -> Answer:
        """``recsys experiment`` at the service's time."""
        given = ("--config", self.folder / f"{name}.toml") if what == "start" else ()
        return recsys(capsys, "experiment", what, name, *given, "--store", self.url, "--at", self.at, *more)

    def asked(self, path: str, reader: str | None, **params: Any) -> dict[str, Any]:
        """The body of an answer; a connection of its own may meet another worker."""
        with type(self.server.http)(base_url=self.server.base) as http:
            answer = http.get(path, params={"session_id": reader, **params} if reader else params)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def logged(self, request_id: str) -> list[Any]:
        """The lists of an answer as the log has them."""
        store = open_store(self.url, create=False)
        for _ in range(100):
            if found := store.find_exposures(request_id):
                return list(found)
            time.sleep(0.05)
        raise AssertionError(f"{request_id} was not logged")


@pytest.fixture(scope="module")
def site(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(newsroom, tmp_path_factory.mktemp("experiments"))
    yield made
    made.server.stop()


RENAMED = [
    {"name": "control", "weight": 0.5},
    {"name": "named", "weight": 0.5, "over": {"surfaces.latest.title": "Fresh off the press"}},
]


def test_a_side_is_served_logged_and_gone_at_once(site: Site, capsys: Capture) -> None:
    site.define("titles", "latest", RENAMED)
    assert site.asked("/v1/latest", "reader-1")["experiment"] is None
    site.run(capsys, "start", "titles")
    sides: Counter[str] = Counter()
    answers = {}
    for reader in READERS:
        bodies = [site.asked("/v1/latest", reader) for _ in range(2)]
        assert bodies[0]["experiment"] == bodies[1]["experiment"]
        assert bodies[0]["experiment"]["id"] == "titles"
        side = bodies[0]["experiment"]["variant"]
        sides[side] += 1
        shown = {"control": "Latest Stories", "named": "Fresh off the press"}[side]
        assert bodies[0]["title"] == bodies[1]["title"] == shown
        answers[bodies[0]["request_id"]] = side
    assert min(sides.values()) >= 8
    site.logged(list(answers)[-1])
    for request_id, side in answers.items():
        (exposure,) = site.logged(request_id)
        assert (exposure.experiment_id, exposure.variant) == ("titles", side)
    # lists that it does not cover, and readers who are nobody
    assert site.asked("/v1/popular", "reader-1")["experiment"] is None
    public = site.asked("/v1/latest", None)
    assert (public["experiment"], "list_id" in public) == (None, True)
    page = site.asked("/v1/page", "reader-1", lists="popular,latest")
    assert page["experiment"]["id"] == "titles"
    by_surface = {each.surface: each.experiment_id for each in site.logged(page["request_id"])}
    assert by_surface == {"popular": None, "latest": "titles"}

    site.run(capsys, "stop", "titles", "--decision", "none")
    for reader in READERS[:8]:
        body = site.asked("/v1/latest", reader)
        assert (body["experiment"], body["title"]) == (None, "Latest Stories")
    listed = json.loads(recsys(capsys, "experiment", "list", "--store", site.url, "--json").out)
    assert [(each["experiment"], each["decision"]) for each in listed] == [("titles", "none")]
    assert listed[0]["definition"]["variant"][1]["overrides"] == RENAMED[1]["over"]


def test_the_secret_key_shows_a_side_without_being_counted(site: Site, capsys: Capture) -> None:
    site.define("looked-at", "latest", RENAMED)
    site.run(capsys, "start", "looked-at")
    named = {"session_id": "qa", "experiment": "looked-at:named"}
    assert site.server.get("/v1/latest", **named).status_code == 403
    shown = site.server.secret("GET", "/v1/latest", params=named).json()
    assert shown["title"] == "Fresh off the press"
    assert shown["experiment"] == {"id": "looked-at", "variant": "named"}
    other = site.server.secret(
        "GET", "/v1/latest", params={**named, "experiment": "looked-at:control"}
    ).json()
    assert other["title"] == "Latest Stories"
    wrong = site.server.secret("GET", "/v1/latest", params={**named, "experiment": "looked-at:blue"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "experiment")
    assert "it has control, named" in wrong.json()["detail"]
    assert site.server.get("/v1/latest", session_id="x", experiment="looked-at").status_code == 422
    # one that does not run changes nothing
    assert site.server.get("/v1/latest", session_id="x", experiment="gone:side").status_code == 200
    site.run(capsys, "stop", "looked-at")
    time.sleep(1.5)
    store = open_store(site.url, create=False)
    assert store.find_exposures(shown["request_id"]) == []


def test_the_caller_may_name_the_side(site: Site, capsys: Capture) -> None:
    site.define("theirs", "latest", RENAMED, assignment="external")
    site.run(capsys, "start", "theirs")
    assert site.asked("/v1/latest", "r")["experiment"] is None
    body = site.asked("/v1/latest", "r", experiment="theirs:named")
    assert (body["title"], body["experiment"]["variant"]) == ("Fresh off the press", "named")
    assert site.logged(body["request_id"])[0].variant == "named"
    assert site.server.get("/v1/latest", session_id="r", experiment="theirs:blue").status_code == 422
    site.run(capsys, "stop", "theirs")


def test_a_side_may_come_from_another_bundle(site: Site, capsys: Capture) -> None:
    sides = [{"name": "control", "weight": 0.5}, {"name": "new", "weight": 0.5, "model_version": SECOND}]
    site.define("bundles", "latest", sides)
    site.run(capsys, "start", "bundles")
    for _ in range(200):
        seen = {}
        for reader in READERS[:12]:
            body = site.asked("/v1/latest", reader)
            if body["experiment"] is not None:
                seen[reader] = body["experiment"]["variant"]
                assert (body["model_version"] == SECOND) == (seen[reader] == "new")
                assert all((name[:6] == "other-") == (seen[reader] == "new") for name in ids(body["items"]))
        if len(seen) == 12:
            break
        time.sleep(0.1)
    assert set(seen.values()) == {"control", "new"}
    reader = next(name for name, side in seen.items() if side == "new")
    # what is published and what is clicked reaches that bundle too
    article = {"title": "Norland's harbour is closed by ice", "section": "World"}
    assert site.server.secret("PUT", "/v1/articles/ice", json=article).status_code in (200, 201)
    in_a_row = 0
    for _ in range(200):
        # connections meet either worker
        in_a_row = in_a_row + 1 if "ice" in ids(site.asked("/v1/latest", reader)["items"]) else 0
        if in_a_row == 8:
            break
        time.sleep(0.05)
    assert in_a_row == 8
    assert site.server.secret("DELETE", "/v1/articles/ice").status_code == 204
    for _ in range(4):
        assert "ice" not in ids(site.asked("/v1/latest", reader)["items"])
    site.run(capsys, "stop", "bundles")
    assert site.asked("/v1/latest", reader)["model_version"] != SECOND


def test_lists_of_two_sides_are_interleaved(site: Site, capsys: Capture) -> None:
    sides = [
        {"name": "newest", "weight": 0.5},
        {"name": "varied", "weight": 0.5, "over": {"surfaces.related.diversity": 1.0}},
    ]
    site.define("drafted", "related", sides, kind="interleaving")
    site.run(capsys, "start", "drafted")
    teams: Counter[str] = Counter()
    answers = []
    for reader in READERS[:10]:
        page = site.asked("/v1/page", reader, article_id="world-arms-deal", lists="related,popular", limit=8)
        assert page["experiment"] == {"id": "drafted", "variant": "interleaved"}
        everything = [name for each in page["lists"].values() for name in ids(each["items"])]
        assert len(set(everything)) == len(everything) == 16
        answers.append(page["request_id"])
    for request_id in reversed(answers):
        logged = {each.surface: each for each in site.logged(request_id)}
        assert logged["related"].variant == "interleaved"
        assert logged["popular"].experiment_id is None
        teams.update(source for source in logged["related"].sources if source.startswith("team:"))
        assert all(0 < chance <= 1 for chance in logged["related"].propensities)
    assert set(teams) == {"team:newest", "team:varied"}
    site.run(capsys, "stop", "drafted")


def test_lists_under_an_experiment_are_replayed(site: Site) -> None:
    store = open_store(site.url, create=False)
    logged = [each for each in store.iter_exposures() if each.model_version != SECOND]
    names = {each.experiment_id: each.request_id for each in logged}
    assert {"titles", "theirs", "drafted", None} <= names.keys()
    replayer = Replayer(Registry(site.models), store, None, lambda *_: False)
    for name, request_id in names.items():
        found = replayer.replay(request_id)
        assert found.differences == [], (name, found.differences)


def test_two_people_who_start_at_once_lose_nothing(site: Site, capsys: Capture) -> None:
    site.define("one", "must_reads", RENAMED)
    site.define("two", "must_reads", RENAMED)
    assert site.run(capsys, "start", "one").code == 0
    again = site.run(capsys, "start", "one")
    assert (again.code, "runs already" in again.err) == (0, True)
    refused = site.run(capsys, "start", "two")
    assert (refused.code, "both change must_reads" in refused.err) == (2, True)
    grown = [{**RENAMED[0], "weight": 0.1}, {**RENAMED[1], "weight": 0.9}]
    site.define("one", "must_reads", grown)
    site.run(capsys, "start", "one")
    runs = [Run.model_validate(each) for each in open_store(site.url, create=False).get_runs()[1]]
    mine = [run for run in runs if run.experiment.id == "one"]
    assert [run.reason for run in mine] == ["its weights changed", None]
    stopped = recsys(capsys, "experiment", "stop", "nobody", "--store", site.url)
    assert (stopped.code, "has no experiment 'nobody'" in stopped.err) == (2, True)


def test_metrics_tell_how_many_answers_a_side_gave(site: Site) -> None:
    text = site.server.get("/metrics").text
    assert 'recsys_experiment_lists_total{experiment="titles",variant="named"}' in text
    assert load_config(None).surfaces.latest.title == "Latest Stories"
    assert SECRET not in text
