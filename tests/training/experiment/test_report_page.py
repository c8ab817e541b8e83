"""The report as an editor and a program get it: JSON of the contract, and a page that says the same."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config
from recsys.experiments.running import begin
from recsys.store import open_store
from tests.training.command import recsys
from tests.training.experiment.logs import END, START, at, did, experiment, shown
from tests.training.seen import needs_nothing_else
from training.duck import opened
from training.experiment.outcomes import read_log
from training.experiment.report import Asked, report
from training.experiment.report_page import render
from training.experiment.words import as_json
from training.pages import value_at
from training.simulation.experiments import Lift, Traffic, write_experiment

EVIL = "<img/src=x/onerror=alert(1)>"
RESULT = ("name", "role", "control", "variant", "control_mean", "variant_mean", "effect", "ci")
RESULT += ("relative_effect", "relative_ci", "p_value", "sequential_ci")
TOML = """
[[experiment]]
id = "exp"
unit = "session"
surfaces = ["related"]
start = 2026-03-01T00:00:00Z
end = 2026-03-11T00:00:00Z
primary_metric = "ctr"
outcome_days = 2
variant = [{name = "control", weight = 0.5}, {name = "new", weight = 0.5}]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment") / "data"
    lifts = {"new": Lift(clicks=0.5, latency=0.5)}
    write_experiment(folder, experiment(), Traffic(readers=3000), lifts, seed=1)
    return folder


@pytest.fixture(scope="module")
def values(data: Path) -> dict[str, Any]:
    with opened(500) as duck:
        found = report(duck, read_log(duck, data), Asked(experiment(), END, Config().clicklog))
    return json.loads(as_json(found))  # type: ignore[no-any-return]


def test_the_json_is_that_of_the_contract(values: dict[str, Any]) -> None:
    assert {"experiment", "verdict", "reasons", "srm", "metrics", "slices"} <= set(values)
    assert set(values["srm"]) >= {"p_value", "counts"}
    assert values["verdict"] == "ship"
    for row in values["metrics"]:
        assert set(RESULT) <= set(row)
        for name in ("ci", "relative_ci", "sequential_ci"):
            assert row[name] is None or (len(row[name]) == 2 and row[name][0] <= row[name][1])
    assert {row["role"] for row in values["metrics"]} == {"primary", "guardrail", "secondary"}
    assert all(row["exploratory"] for row in values["slices"])
    assert {row["dimension"] for row in values["slices"]} >= {"reader", "device"}


def test_the_page_is_whole_and_its_figures_are_those_of_the_json(values: dict[str, Any]) -> None:
    text = render(values)
    page = needs_nothing_else(text)
    assert page.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") >= 6
    assert tags.count("figure") == tags.count("figcaption") == tags.count("svg") == 6
    assert len(page.cells) > 80
    for path, told in page.cells:
        assert says(value_at(values, path), told), (path, told)
    shown_paths = {json.dumps(path) for path, _ in page.cells}
    for row in range(len(values["metrics"])):
        for name in ("control_mean", "variant_mean", "relative_effect", "relative_ci"):
            assert json.dumps(["metrics", row, name]) in shown_paths
    assert render(copy.deepcopy(values)) == text


def says(value: Any, told: str) -> bool:
    """Whether a cell says what the JSON holds, to the digits that it has."""
    if value is None:
        return told == "-"
    if isinstance(value, list):
        return all(says(part, word) for part, word in zip(value, told.split(" to "), strict=True))
    if told == "under 0.001":
        return bool(value < 0.001)
    number = re.sub(r"[,+ a-z]", "", told.replace("−", "-"))
    scale = 100.0 if number.endswith("%") else 1.0
    number = number.rstrip("%")
    digits = len(number.partition(".")[2])
    return abs(float(number) - scale * value) <= 0.5 * 10.0**-digits + 1e-9


def test_the_sample_ratio_stands_before_the_verdict_and_that_before_any_figure(
    values: dict[str, Any],
) -> None:
    text = render(values)
    places = [
        text.index(f'id="{name}"') for name in ("ratio", "verdict", "primary", "guardrails", "secondary")
    ]
    assert places == sorted(places)
    assert text.index("data-path") > places[1]


def test_what_people_wrote_is_text(values: dict[str, Any]) -> None:
    hostile = copy.deepcopy(values)
    hostile["experiment"] = EVIL
    hostile["definition"]["variant"][1]["overrides"] = {"a.b": EVIL}
    hostile["slices"][0]["slice"] = EVIL
    hostile["notes"] = [EVIL]
    page = needs_nothing_else(render(hostile))
    assert "".join(page.words).count(EVIL) >= 4


def test_the_command_writes_both_files_and_ends_well(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.toml").write_text(TOML)
    html, figures = tmp_path / "r.html", tmp_path / "r.json"
    call = ("experiment", "report", "exp", "--config", tmp_path / "e.toml", "--data", data)
    done = recsys(capsys, *call, "--html", html, "--json", figures)
    assert done.code == 0
    assert "Ship it." in done.out
    found = json.loads(figures.read_text())
    assert found["verdict"] == "ship"
    assert found["ended"]
    needs_nothing_else(html.read_text())
    early = recsys(capsys, *call, "--json", figures, "--until", "2026-03-04T00:00:00Z")
    assert early.code == 0
    found = json.loads(figures.read_text())
    assert (found["ended"], found["until"]) == (False, "2026-03-04T00:00:00+00:00")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--data", "DATA", "--store", "sqlite:///x.db"), "give one of --data DATA and --store URL"),
        ((), "give one of --data DATA and --store URL"),
        (("--data", "nowhere"), "there is no folder nowhere"),
        (("--data", "DATA", "--internal", "nowhere"), "--internal nowhere"),
        (("--data", "DATA", "--until", "noon"), "--until"),
    ],
)
def test_a_wrong_call_is_told(
    change: tuple[str, ...], says: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.toml").write_text(TOML)
    flags = [str(data) if flag == "DATA" else flag for flag in change]
    done = recsys(capsys, "experiment", "report", "exp", "--config", tmp_path / "e.toml", *flags)
    assert done.code == 2
    assert says in done.err


def test_an_experiment_that_is_not_in_the_file_is_told_with_those_that_are(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.toml").write_text(TOML)
    done = recsys(capsys, "experiment", "report", "x", "--config", tmp_path / "e.toml", "--data", data)
    assert done.code == 2
    assert "'x'; it has: exp" in done.err


def test_a_store_gives_the_same_figures_goes_by_what_was_started_and_keeps_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    store = open_store(url)
    sides = ("control", "new")
    store.append_exposures([shown(f"q{i}", f"r{i}", at(1, i), variant=sides[i % 2]) for i in range(40)])
    store.append_events(
        [did(f"e{i}", "click", f"r{i}", at(1, i), request_id=f"q{i}") for i in range(0, 40, 4)]
    )
    store.append_events([did("old", "view", "r1", at(-1))])
    assert store.age_events(at(2)) > 0
    started = experiment(guardrails=["sessions_per_reader"])
    store.put_runs([begin(started, [], START).to_json()], store.get_runs()[0])
    (tmp_path / "e.toml").write_text(TOML)
    figures = tmp_path / "r.json"
    call = ("--config", tmp_path / "e.toml", "--store", url, "--json", figures)
    done = recsys(capsys, "experiment", "report", "exp", *call)
    assert done.code == 0
    found = json.loads(figures.read_text())
    by_name = {row["name"]: row for row in found["metrics"]}
    assert by_name["ctr"]["control_mean"] == 10 / 40
    assert by_name["sessions_per_reader"]["role"] == "guardrail"
    assert found["config_hash"] == started.config_hash()
    assert "is not the one that was started" in found["notes"][0]
    (kept,) = store.get_runs()[1][0]["reports"]
    assert (kept["verdict"], kept["readers"]) == (found["verdict"], 40)
    store.close()
