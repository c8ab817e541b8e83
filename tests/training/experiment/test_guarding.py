"""The automatic stop: harm beyond doubt ends an experiment, the luck of the draw does not."""

import time
from pathlib import Path

import numpy as np
import pytest

from recsys.experiments.running import Run, begin
from recsys.store import Store, open_store
from tests.conftest import Newsroom, copy_models
from tests.serving.server import Server
from tests.training.command import recsys
from tests.training.experiment.logs import START, at, experiment, shown


def running(path: Path, slower: float) -> Store:
    """A store in which 1,200 readers got lists, those of the new side so much slower."""
    store, rng = open_store(f"sqlite:///{path}"), np.random.default_rng(4)
    took = rng.gamma(4.0, 5.0, size=(1200, 3))
    store.append_exposures(
        shown(
            f"q{reader}-{turn}",
            f"r{reader}",
            at(1, reader % 60 + 60 * turn),
            variant=("control", "new")[reader % 2],
            took_ms=float(took[reader, turn] * (1.0 if reader % 2 == 0 else slower)),
        )
        for reader in range(1200)
        for turn in range(3)
    )
    guardrails = [{"metric": "latency_ms", "margin": 0.1}, "page_views_per_session"]
    store.put_runs([begin(experiment(guardrails=guardrails), [], START).to_json()], 0)
    return store


def run_of(store: Store) -> Run:
    (run,) = store.get_runs()[1]
    return Run.model_validate(run)


def test_harm_beyond_the_margin_stops_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = running(tmp_path / "s.db", slower=1.5)
    call = ("--store", f"sqlite:///{tmp_path}/s.db", "--at", at(5).isoformat())
    done = recsys(capsys, "experiment", "guard", *call)
    assert done.code == 0
    assert "exp is stopped: latency_ms of new is at +" in done.err
    run = run_of(store)
    assert run.stopped_at == at(5)
    assert "10.0% that is tolerated" in str(run.reason)
    assert "no experiment runs now" in recsys(capsys, "experiment", "guard", *call).err
    store.close()


@pytest.mark.parametrize("slower", [1.0, 1.08])
def test_no_harm_and_harm_within_the_margin_go_on(
    slower: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = running(tmp_path / "s.db", slower)
    call = ("--store", f"sqlite:///{tmp_path}/s.db", "--at", at(5).isoformat())
    assert "exp: no harm beyond doubt" in recsys(capsys, "experiment", "guard", *call).err
    assert run_of(store).stopped_at is None
    store.close()


def test_a_service_looks_by_itself(newsroom: Newsroom, tmp_path: Path) -> None:
    store = running(tmp_path / "s.db", slower=1.5)
    (tmp_path / "c.toml").write_text("[serving]\nguard_minutes = 0.05\n")
    models = copy_models(newsroom.models, tmp_path / "models")
    server = Server(models, tmp_path / "s.db", at(5), "--config", str(tmp_path / "c.toml"))
    try:
        for _ in range(1200):
            if run_of(store).stopped_at is not None:
                break
            time.sleep(0.05)
        assert "stopped by itself: latency_ms" in str(run_of(store).reason)
        body = server.get("/v1/articles/world-arms-deal/related", session_id="r1").json()
        assert body["experiment"] is None
    finally:
        server.stop()
        store.close()
