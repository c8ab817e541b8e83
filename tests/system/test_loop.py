"""The whole loop: what a service wrote is exported, learned from, judged, promoted, and served."""

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from recsys.bundle import Registry
from recsys.store import open_store
from tests.conftest import Newsroom
from tests.serving.server import Server
from tests.training.command import recsys
from training.demo import SHOWN
from training.readers import read_articles, read_events, read_exposures


def fill(path: Path, newsroom: Newsroom) -> None:
    """The newsroom's articles and seven days of its readers."""
    store = open_store(f"sqlite:///{path}")
    store.put_articles(list(read_articles(newsroom.data)), newsroom.now)
    store.append_events(list(read_events(newsroom.data)))
    store.append_exposures(list(read_exposures(newsroom.data)))
    store.close()


def read_and_click(server: Server, newsroom: Newsroom) -> tuple[str, str]:
    """A visitor is shown a list and opens its first article; the request's id and the article's."""
    shown = server.get(f"/v1/articles/{SHOWN}/related", session_id="visitor").json()
    first = shown["items"][0]["article_id"]
    server.send({
        "event_id": "visitors-click", "type": "click", "ts": newsroom.now.isoformat(), "article_id": first,
        "session_id": "visitor", "request_id": shown["request_id"], "surface": "related", "position": 1,
    })  # fmt: skip
    return shown["request_id"], first


def served_by(server: Server) -> str:
    return str(server.get(f"/v1/articles/{SHOWN}/related", session_id="visitor").json()["model_version"])


def test_from_the_store_to_a_promoted_bundle_by_one_command_each(
    newsroom: Newsroom, own_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, metrics = tmp_path / "data", tmp_path / "metrics.json"
    fill(tmp_path / "site.db", newsroom)
    server = Server(own_models, tmp_path / "site.db", newsroom.now)
    try:
        request_id, clicked = read_and_click(server, newsroom)
        assert served_by(server) == newsroom.bundle.version
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            store = f"sqlite:///{tmp_path / 'site.db'}"
            assert recsys(capsys, "store", "export", "--store", store, "--out", data).code == 0
            if any(exposure.request_id == request_id for exposure in read_exposures(data)):
                break
        assert clicked in {made.article_id for made in read_events(data) if made.request_id == request_id}

        trained = recsys(capsys, "train", "--data", data, "--models", own_models, "--set=gate.min_lists=40")
        assert trained.code == 0, trained.err
        version = trained.out.split("bundle ")[1].split()[0]
        since = (newsroom.now - timedelta(hours=12)).isoformat()
        judged = recsys(
            capsys, "evaluate", "--data", data, "--models", own_models, "--version", version,
            "--judge-from", since, "--json", metrics,
        )  # fmt: skip
        assert judged.code == 0, judged.err
        assert json.loads(metrics.read_text())["rankings"]["funnel"]["impressions"] > 20
        assert served_by(server) == newsroom.bundle.version

        assert recsys(capsys, "models", "promote", version, "--models", own_models).code == 0
        deadline = time.monotonic() + 20
        while served_by(server) != version and time.monotonic() < deadline:
            time.sleep(0.1)
        assert served_by(server) == version == Registry(own_models).current()
    finally:
        server.stop()
