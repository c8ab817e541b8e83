"""``recsys doctor`` finds what was broken on purpose, and nothing on a sound installation."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.bundle import Registry
from recsys.store import open_store
from tests.builders import article, event
from tests.conftest import Newsroom, copy_models
from tests.serving.server import Server
from tests.training.command import recsys
from training.doctor import Doctor, Finding


@pytest.fixture
def url(tmp_path: Path, newsroom: Newsroom) -> str:
    """A store with two days of events until the end of the newsroom's time."""
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    store.put_articles([article("a1")], newsroom.now)
    times = [newsroom.now - timedelta(hours=hours) for hours in (48, 24, 0)]
    store.append_events([event(f"e{i}", "a1").model_copy(update={"ts": at}) for i, at in enumerate(times)])
    store.close()
    return f"sqlite:///{tmp_path}/s.db"


def findings(
    models: Path | None, store: str | None, now: datetime, url: str | None = None
) -> dict[str, Finding]:
    return {finding.what: finding for finding in Doctor(models, store, url, now).look()}


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.wrong for name, finding in found.items() if finding.wrong is not None}


def test_a_sound_installation_is_told_as_it_is(own_models: Path, url: str, newsroom: Newsroom) -> None:
    found = findings(own_models, url, newsroom.now + timedelta(hours=1))
    assert wrong(found) == {}
    assert found["bundle in service"].state.startswith(newsroom.bundle.version)
    assert found["store"].state.startswith("opens, 3 events")
    assert found["newest event"].state == "3,600 s ago"
    assert found["writable"].state == "yes"
    assert "days of disk left" in found


def test_an_old_bundle_and_a_future_event_are_told(own_models: Path, url: str, newsroom: Newsroom) -> None:
    late = findings(own_models, url, newsroom.now + timedelta(days=9))
    assert "9 days old" in str(late["age of the bundle"].advice)
    assert wrong(late) == {}
    early = findings(own_models, url, newsroom.now - timedelta(hours=1))
    assert "set this machine's clock" in wrong(early)["newest event"]


def test_a_damaged_bundle_hides_nothing_else(
    own_models: Path, url: str, newsroom: Newsroom, damage: Callable[[Path], None]
) -> None:
    damage(next(Registry(own_models).path(newsroom.bundle.version).glob("*.npy")))
    found = findings(own_models, url, newsroom.now)
    assert "digest" in wrong(found)["bundle in service"]
    assert found["store"].wrong is None


def test_a_key_that_others_may_read_is_told_with_the_command_that_helps(
    own_models: Path, newsroom: Newsroom
) -> None:
    key = own_models / "secret.key"
    key.write_text("x" * 32)
    key.chmod(0o644)
    assert wrong(findings(own_models, None, newsroom.now))["secret key"].endswith(f"chmod 600 {key}")
    key.chmod(0o600)
    assert wrong(findings(own_models, None, newsroom.now)) == {}


def test_a_store_that_is_none_and_a_service_that_is_away_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "s.db").write_text("not a store at all, but long enough to be looked into " * 50)
    answer = recsys(
        capsys, "doctor", "--store", f"sqlite:///{tmp_path}/s.db", "--url", "http://127.0.0.1:9", "--json"
    )
    told: dict[str, Any] = json.loads(answer.out)
    assert answer.code == 1
    assert {entry["what"] for entry in told["findings"] if entry["wrong"]} == {"store", "service"}
    assert "no service answers at http://127.0.0.1:9" in " ".join(told["wrong"])
    assert recsys(capsys, "doctor", "--url", "nonsense").code == 1


def test_a_running_service_is_asked_and_compared_with_the_registry(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        found = findings(models, f"sqlite:///{tmp_path}/s.db", datetime.now(UTC), server.base)
        assert found["service"] == Finding("service", f"ready with {newsroom.bundle.version}")
        assert found["followed the store"].wrong is None
    finally:
        server.stop()


EXPERIMENT = """
[[experiment]]
id = "e"
unit = "session"
surfaces = ["related"]
start = 2020-01-01T00:00:00Z
end = 2099-01-01T00:00:00Z
primary_metric = "ctr"
variant = [{name = "a", weight = 0.5}, {name = "b", weight = WEIGHT, model_version = "v1"}]
"""


def test_experiments_are_looked_at_in_files_and_in_the_store(
    url: str, tmp_path: Path, newsroom: Newsroom, capsys: pytest.CaptureFixture[str]
) -> None:
    config, models = tmp_path / "e.toml", copy_models(newsroom.models, tmp_path / "models")
    config.write_text(EXPERIMENT.replace("WEIGHT", "0.4"))
    told = recsys(capsys, "doctor", "--config", config, "--json")
    assert told.code == 1
    assert "sum to 0.9" in told.out
    config.write_text(EXPERIMENT.replace("WEIGHT", "0.5"))
    checked = json.loads(recsys(capsys, "doctor", "--config", config, "--json").out)["findings"]
    assert {row["what"]: row["state"] for row in checked}["config"] == "good, experiments: e"
    recsys(capsys, "experiment", "start", "e", "--config", config, "--store", url)
    found = json.loads(recsys(capsys, "doctor", "--store", url, "--models", models, "--json").out)
    assert any("has no bundle 'v1'" in text for text in found["wrong"])
    recsys(capsys, "experiment", "stop", "e", "--store", url)
    found = json.loads(recsys(capsys, "doctor", "--store", url, "--models", models, "--json").out)
    assert {row["what"]: row["state"] for row in found["findings"]}["experiments"] == "none runs"
