"""How long an experiment must run, told from the past of its own readers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.command import recsys
from tests.training.experiment.logs import experiment
from training.simulation.experiments import Traffic, write_experiment

TOML = """
[[experiment]]
id = "next"
unit = "session"
surfaces = ["related"]
start = 2026-03-11T00:00:00Z
end = 2026-03-21T00:00:00Z
primary_metric = "ctr"
minimum_effect = EFFECT
traffic = TRAFFIC
variant = [{name = "control", weight = 0.5}, {name = "new", weight = 0.5}]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("design") / "data"
    write_experiment(folder, experiment(), Traffic(readers=4000), {}, seed=2)
    return folder


def designed(
    data: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    effect: float = 0.1,
    traffic: float = 1.0,
    **more: str,
) -> tuple[dict[str, Any], str]:
    config, out = folder / "next.toml", folder / "design.json"
    config.write_text(TOML.replace("EFFECT", str(effect)).replace("TRAFFIC", str(traffic)))
    answer = recsys(capsys, "experiment", "design", "next", "--config", config, "--data", data, "--json", out)
    assert answer.code == 0, answer.err
    return json.loads(out.read_text()), answer.out


def test_twice_the_effect_needs_a_quarter_of_the_readers(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, told = designed(data, tmp_path, capsys, 0.05)
    large, _ = designed(data, tmp_path, capsys, 0.1)
    first, second = small["metrics"][0], large["metrics"][0]
    assert (first["name"], first["role"]) == ("ctr", "primary")
    # the side with the effect varies a little more, so not exactly four times
    assert first["readers"] / second["readers"] == pytest.approx(4.0, rel=0.1)
    assert first["days"] >= second["days"]
    assert f"{first['readers']:,}" in told
    assert [row["role"] for row in small["metrics"]].count("primary") == 1


def test_what_readers_did_before_spares_readers(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = designed(data, tmp_path, capsys)
    for row in found["metrics"]:
        if row["readers"] is not None:
            assert row["readers"] <= row["readers_without_cuped"] * 1.001
    by_name = {row["name"]: row for row in found["metrics"]}
    for name in ("clicks_per_reader", "sessions_per_reader"):
        assert by_name[name]["readers"] < 0.9 * by_name[name]["readers_without_cuped"]
    assert found["history"]["readers"] > 1000


def test_half_of_the_readers_take_longer(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, _ = designed(data, tmp_path, capsys, 0.02)
    half, told = designed(data, tmp_path, capsys, 0.02, traffic=0.5)
    assert half["metrics"][0]["readers"] == whole["metrics"][0]["readers"]
    assert half["metrics"][0]["days"] > 1.5 * whole["metrics"][0]["days"]
    assert "too few" in told
    assert "interleaving" in told


def test_a_past_without_the_lists_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "other.toml"
    config.write_text(
        TOML.replace("EFFECT", "0.1").replace("TRAFFIC", "1.0").replace('"related"', '"popular"')
    )
    answer = recsys(capsys, "experiment", "design", "next", "--config", config, "--data", data)
    assert answer.code == 1
    assert "no list of popular was served" in answer.err
