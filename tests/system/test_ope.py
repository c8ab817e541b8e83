"""``recsys ope`` on a log of the real service: what a policy earns that was never served."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.bundle import Registry
from recsys.config import load_config
from recsys.store import open_store
from tests.conftest import Newsroom, copy_models
from tests.serving.conftest import made_event
from tests.serving.server import Server
from tests.training.command import recsys
from training.ope.judging import policy_config
from training.ope.log import read_log
from training.replaying import Replayer

READERS, EACH, CONTEXTS, PLACES = 220, 2, 6, 1
SERVED = """
[randomisation]
share = 1.0
surfaces = ["related"]
pool = 4
temperature = 2.0
[exploration]
share = 0.0
"""
POLICIES = {
    # the list as it is, without chance
    "plain.toml": "",
    "varied.toml": "[surfaces.related]\ndiversity = 0.6\n",
    # brings articles that stood behind the best four
    "far.toml": "[surfaces.related.weights]\nsimilarity = -1.0\n",
    "worse.toml": "[surfaces.related.wights]\nsimilarity = 0.0\n",
}


@dataclass(frozen=True)
class Site:
    """A store after some days of readers.

    Attributes:
        store: its URL.
        folder: of models, configuration and policies.
    """

    store: str
    folder: Path


def liked(article_id: str) -> float:
    """The chance that an article is clicked, at whatever place."""
    return 0.05 + 0.5 * hashlib.blake2b(article_id.encode()).digest()[0] / 255


@pytest.fixture(scope="module")
def site(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("ope")
    models, rng = copy_models(newsroom.models, folder / "models"), np.random.default_rng(4)
    (folder / "site.toml").write_text(SERVED)
    for name, text in POLICIES.items():
        (folder / name).write_text(text)
    server = Server(models, folder / "s.db", newsroom.now, "--config", str(folder / "site.toml"))
    try:
        articles = [item["article_id"] for item in server.get("/v1/latest", limit=40).json()["items"]]
        for reader in range(READERS):
            clicks = []
            for number in range(EACH):
                context = articles[5 * ((reader + number) % CONTEXTS)]
                path = f"/v1/articles/{context}/related"
                body = server.get(path, session_id=f"s{reader}", limit=PLACES).json()
                for item in body["items"]:
                    if rng.random() < liked(item["article_id"]):
                        named = {"request_id": body["request_id"], "surface": "related"}
                        clicks.append(
                            made_event(newsroom, item["article_id"], f"s{reader}", "click", **named)
                        )
            server.send(*clicks) if clicks else None
    finally:
        server.stop()
    return Site(f"sqlite:///{folder / 's.db'}", folder)


def judged(
    capsys: pytest.CaptureFixture[str], site: Site, policy: str, *more: object
) -> tuple[int, str, dict[str, Any]]:
    out, models = site.folder / "ope.json", site.folder / "models"
    out.unlink(missing_ok=True)
    place = ("--store", site.store, "--models", models, "--policy", site.folder / policy)
    answer = recsys(capsys, "ope", *place, "--json", out, *more)
    told = " ".join((answer.out + answer.err).split())
    return answer.code, told, json.loads(out.read_text()) if out.exists() else {}


def config_of(site: Site) -> tuple[str, Path]:
    return "--config", site.folder / "site.toml"


def truth(site: Site, policy: str) -> float:
    """Clicks of the policy's own lists at the moments of the log."""
    store, served = open_store(site.store), load_config(site.folder / "site.toml")
    config = policy_config(served, site.folder / policy)
    replayer = Replayer(Registry(site.folder / "models"), store, config, lambda *_: False)
    worth = []
    for answer in read_log(store, None, None, 10**9).answers:
        made = replayer.near(answer.first, str(answer.first.model_version))
        ids = made.funnel.state.catalog.ids
        worth.append(sum(liked(ids[item.row]) for item in made.slates["related"].items))
    store.close()
    return float(np.mean(worth))


@pytest.mark.parametrize("policy", ["plain.toml", "varied.toml"])
def test_a_policy_earns_what_is_told(site: Site, capsys: pytest.CaptureFixture[str], policy: str) -> None:
    code, told, report = judged(capsys, site, policy, *config_of(site))
    assert code == 0, told
    found = report["estimates"][0]
    assert (report["answers"], found["lists"], found["readers"]) == (440, 440, 220)
    assert (found["made_again"], found["estimator"]) == (1.0, "cascade-dr")
    assert report["policy"]["randomisation_share"] == 0.0
    half = (found["ci"][1] - found["ci"][0]) / 2
    # the requests' draws are new in every run: more than the 95% of the interval
    assert found["value"] == pytest.approx(truth(site, policy), abs=2.2 * half)
    assert 0.0 < half < 0.12
    assert found["effect"] == pytest.approx(found["value"] - found["served"])
    assert "The policy would earn" in told


def test_what_was_never_shown_is_refused_with_the_reason(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told, report = judged(capsys, site, "far.toml", *config_of(site))
    found = report["estimates"][0]
    assert (code, found["estimator"], found["value"], found["ci"]) == (1, None, None, None)
    assert found["support"]["cascade"]["unsupported"] > 0.5
    assert "has a logged propensity of 0" in told
    asked = judged(capsys, site, "far.toml", *config_of(site), "--estimator", "cascade-ips")
    assert (asked[0], asked[2]["estimates"][0]["value"]) == (1, None)


def test_lists_that_do_not_come_again_are_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, told, _ = judged(capsys, site, "plain.toml")
    assert (code, "give the --config that the service had" in told) == (1, True)


def test_an_estimator_that_was_asked_for_is_used(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, report = judged(capsys, site, "plain.toml", *config_of(site), "--estimator", "item-snips")
    found = report["estimates"][0]
    assert (code, found["estimator"], found["rule"]) == (0, "item-snips", "asked for")


def test_wrong_calls_are_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, told, _ = judged(capsys, site, "plain.toml", *config_of(site), "--estimator", "magic")
    assert (code, "'magic' is none of item-ips" in told) == (2, True)
    code, told, _ = judged(capsys, site, "none.toml", *config_of(site))
    assert (code, "there is no such file" in told) == (2, True)
    code, told, _ = judged(capsys, site, "worse.toml", *config_of(site))
    assert (code, "surfaces.related.wights: unknown key" in told) == (2, True)
    code, told, _ = judged(capsys, site, "plain.toml", *config_of(site), "--surface", "popular")
    assert (code, "nothing of popular was left to chance" in told) == (1, True)
    code, told, _ = judged(capsys, site, "plain.toml", *config_of(site), "--since", "2030-01-01T00:00:00Z")
    assert (code, "the log has no list that can be made again" in told) == (1, True)
