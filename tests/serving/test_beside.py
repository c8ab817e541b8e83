"""Beside the service: a decayed bundle is found out, a shadow is judged by real clicks."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from recsys.bundle import Registry
from recsys.exposed import Exposed, Known
from recsys.schemas import Event
from recsys.shadowed import folder_of, read_shadowed
from recsys.store.sqlite import SqliteStore
from serving.rescoring import leans, rescored, standing
from tests.conftest import Newsroom, copy_models
from tests.serving.bundles import SECOND, rewrite_manifest, second_bundle
from tests.serving.server import Server
from tests.training.command import recsys

_PLACES = 10


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.1)


def shown_and_clicked(newsroom: Newsroom, store: Path, taste: float, lists: int = 600) -> None:
    """Lists of the bundle in service, one click each.

    Args:
        newsroom: whose articles and version.
        store: to be filled.
        taste: 1 clicks what has the best score, 0 anything.
        lists: how many.
    """
    rng, opened = np.random.default_rng(3), SqliteStore(str(store))
    names = [row.article_id for row in _articles(newsroom)]
    shown, clicks = [], []
    for number in range(lists):
        ids = rng.choice(names, _PLACES, replace=False).tolist()
        at = newsroom.now - timedelta(hours=5, seconds=number)
        scores = rng.random(_PLACES)
        place = int(scores.argmax()) if rng.random() < taste else int(rng.integers(_PLACES))
        reader, request = f"s{number % 200}", f"r{number}"
        shown.append(
            Exposed(
                request_id=request,
                surface="related",
                ts=at.timestamp(),
                reader=("session_id", reader),
                article_ids=ids,
                scores=scores.tolist(),
                sources=[None] * _PLACES,
                context_article_id=names[0],
                model_version=newsroom.bundle.version,
                known=Known(0, 0, 0),
            )
        )
        clicks.append(
            Event(
                event_id=f"c{number}",
                type="click",
                ts=at + timedelta(seconds=20),
                article_id=ids[place],
                session_id=reader,
                request_id=request,
            )
        )
    opened.append_exposures(shown)
    opened.append_events(clicks)
    opened.close()


def _articles(newsroom: Newsroom) -> list:  # type: ignore[type-arg]
    from recsys.snapshot import read_articles

    return list(read_articles(newsroom.bundle))[:80]


def promise(manifest: dict) -> None:  # type: ignore[type-arg]
    figures = {"auc": 0.70, "ndcg@10": 0.5, "ci": {"auc": [0.65, 0.75], "ndcg@10": [0.45, 0.55]}}
    manifest["metrics"] = {"gate": {"models": {"funnel": figures}}}


@pytest.mark.parametrize(("taste", "state"), [(0.0, "decayed"), (0.12, "decayed"), (0.6, "good")])
def test_a_bundle_is_judged_by_the_clicks_on_what_it_showed(
    newsroom: Newsroom, tmp_path: Path, taste: float, state: str
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    version = newsroom.bundle.version
    rewrite_manifest(models / version, promise)
    shown_and_clicked(newsroom, tmp_path / "s.db", taste)
    store = SqliteStore(str(tmp_path / "s.db"))
    from recsys.bundle import open_bundle

    bundle = open_bundle(models / version)
    found = rescored(store, bundle, newsroom.now, 500, 0.9)
    assert (found["state"], found["lists"]) == (state, 600)
    assert found["skill"] == pytest.approx(taste / 2, abs=0.05)
    assert rescored(store, bundle, newsroom.now, 601, 0.9)["state"] == "not_enough"
    rewrite_manifest(models / version, lambda manifest: manifest.update(metrics={}))
    assert rescored(store, open_bundle(models / version), newsroom.now, 500, 0.9)["state"] == "no_gate"
    store.close()


def test_leaning_begins_below_the_interval_and_ends_at_the_value() -> None:
    good, weak = ({"state": "good", "ratio": ratio, "below": 0.9} for ratio in (0.95, 0.85))
    assert leans({"state": "decayed"}, False)
    assert [leans(weak, before) for before in (False, True)] == [False, True]
    assert not leans(good, True)
    assert [leans({"state": "not_enough"}, before) for before in (False, True)] == [False, True]


def value(server: Server, name: str) -> float:
    lines = server.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_serving_leans_on_counters_and_content_until_another_bundle_comes(
    newsroom: Newsroom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    rewrite_manifest(models / newsroom.bundle.version, promise)
    second_bundle(models)
    shown_and_clicked(newsroom, tmp_path / "s.db", 0.0)
    (tmp_path / "c.toml").write_text("[serving]\nrescore_hours = 0.0005\nrescore_min_lists = 100\n")
    server = Server(models, tmp_path / "s.db", newsroom.now, "--config", str(tmp_path / "c.toml"))
    try:
        eventually(lambda: value(server, "recsys_model_leaning") == 1.0)
        assert value(server, "recsys_model_skill_ratio") < 0.9
        assert "model_decayed" in server.log.read_text()
        told = recsys(capsys, "models", "list", "--models", models).out
        assert "serving leans on fresh counters" in " ".join(told.split())
        doctor = recsys(capsys, "doctor", "--models", models)
        assert (doctor.code, "has decayed" in " ".join(doctor.err.split())) == (1, True)
        assert server.secret("POST", f"/v1/models/{SECOND}:promote").status_code == 200
        eventually(lambda: value(server, "recsys_model_leaning") == 0.0)
        entry = standing(models, newsroom.bundle.version)
        assert entry is not None
        assert entry["leaning"]
    finally:
        server.stop()


def test_a_shadow_scores_what_is_served_and_its_report_compares(
    newsroom: Newsroom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models, store = copy_models(newsroom.models, tmp_path / "models"), tmp_path / "s.db"
    version, url = second_bundle(models), f"sqlite:///{store}"
    folder = folder_of(url)
    assert folder is not None
    (tmp_path / "c.toml").write_text("[serving]\nshadow_share = 1.0\n")
    server = Server(models, store, newsroom.now, "--config", str(tmp_path / "c.toml"))
    try:
        assert recsys(capsys, "models", "shadow", version, "--models", models).code == 0
        nothing = recsys(capsys, "models", "shadow", version, "--models", models, "--report", "--store", url)
        assert (nothing.code, "has scored nothing" in " ".join(nothing.err.split())) == (1, True)
        eventually(lambda: (store.with_name(f"{store.name}.shadow")).is_dir())
        shown_and_clicked(newsroom, store, 0.5, lists=300)
        eventually(lambda: len(list(read_shadowed(folder, version))) == 300)
        first = next(read_shadowed(folder, version))
        assert len(first.scores) == _PLACES
        assert None not in first.scores
        told = recsys(
            capsys, "models", "shadow", version, "--models", models, "--report", "--store", url, "--json"
        )
        found = json.loads(told.out)
        assert (found["clicked_lists"], found["in_service"]) == (300, [newsroom.bundle.version])
        assert found["skill"]["in_service"]["value"] == pytest.approx(0.25, abs=0.05)
        assert found["difference"]["high"] < 0.0, "it never saw the scores that the clicks follow"
        plain = recsys(capsys, "models", "shadow", "--models", models, "--report", "--store", url).out
        assert "only an experiment shows" in " ".join(plain.split())
        assert recsys(capsys, "models", "shadow", "--off", "--models", models).code == 0
        assert Registry(models).shadow() is None
    finally:
        server.stop()
