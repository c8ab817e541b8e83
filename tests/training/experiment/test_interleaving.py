"""Interleaving: credit goes where it belongs, the verdict follows, and few readers are enough."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.drafted_lists import clicked, readers_needed
from tests.training.command import recsys
from tests.training.experiment.logs import at, did, experiment, shown, write
from training.duck import opened
from training.experiment.frame import Frame
from training.experiment.interleaving import credits_of, preference, report
from training.experiment.outcomes import read_log

DRAFTED = experiment(kind="interleaving")
TOML = """
[[experiment]]
id = "exp"
unit = "session"
surfaces = ["related"]
start = 2026-03-01T00:00:00Z
end = 2026-03-11T00:00:00Z
primary_metric = "ctr"
kind = "interleaving"
variant = [{name = "control", weight = 0.5}, {name = "new", weight = 0.5}]
"""


def drafted(number: int, reader: str, days: float = 1.0):
    """A list whose first article the control picked, the second the new side, the third nobody."""
    made = shown(f"q{number}", reader, at(days), ("a1", "a2", "a3"), variant="interleaved")
    sources = ("team:control", "team:new", "similar")
    for item, source in zip(made.items, sources, strict=True):
        item.__dict__["source"] = source
    return made


def test_a_click_counts_for_the_side_that_picked_the_article(tmp_path: Path) -> None:
    lists = [drafted(number, f"r{number}") for number in range(5)]
    clicks = [
        did("e0", "click", "r0", at(1, 2), "a2", request_id="q0"),
        did("again", "click", "r0", at(1, 3), "a2", request_id="q0"),
        did("e1", "click", "r1", at(1, 2), "a1", request_id="q1"),
        did("e2", "click", "r2", at(1, 2), "a3", request_id="q2"),
        did("late", "click", "r3", at(1, 31), "a2", request_id="q3"),
        did("elsewhere", "click", "r4", at(1, 2), "a2", request_id="other"),
    ]
    with opened(500) as duck:
        log = read_log(duck, write(tmp_path / "d", lists, clicks))
        ours, theirs = credits_of(duck, log, DRAFTED, Frame.of(DRAFTED, at(9)))
    assert sorted(zip(ours.tolist(), theirs.tolist(), strict=True)) == [(0, 0)] * 3 + [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("wins", "days", "verdict"),
    [
        ((60, 20), 10, "dont_ship"),
        ((20, 60), 10, "ship"),
        ((40, 41), 10, "dont_ship"),
        ((20, 60), 5, "keep_running"),
    ],
)
def test_the_verdict_follows_the_readers(
    wins: tuple[int, int], days: float, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = sum(wins) + 30
    lists = [drafted(number, f"r{number}") for number in range(count)]
    picks = ["a1"] * wins[0] + ["a2"] * wins[1]
    clicks = [
        did(f"e{n}", "click", f"r{n}", at(1, 2), name, request_id=f"q{n}") for n, name in enumerate(picks)
    ]
    data = write(tmp_path / "d", lists, clicks)
    (tmp_path / "e.toml").write_text(TOML)
    out, page = tmp_path / "r.json", tmp_path / "r.html"
    call = ("--config", tmp_path / "e.toml", "--data", data, "--json", out, "--html", page)
    done = recsys(capsys, "experiment", "report", "exp", *call, "--until", at(days).isoformat())
    assert done.code == 0, done.err
    found = json.loads(out.read_text())
    assert found["verdict"] == verdict
    told = found["preference"]
    assert (told["control_wins"], told["variant_wins"], told["readers"]) == (*wins, count)
    assert found["reasons"][0] in page.read_text().replace("&#39;", "'")
    assert "http" not in page.read_text().replace("http://www.w3.org", "")


def test_without_a_list_nothing_is_decided(tmp_path: Path) -> None:
    with opened(500) as duck:
        log = read_log(duck, write(tmp_path / "d", [shown("q", "r", at(1))]))
        found = report(duck, log, DRAFTED, Frame.of(DRAFTED, at(10)))
    assert found["verdict"] == "keep_running"
    assert found["metrics"][0]["effect"] is None


def test_equal_sides_are_told_apart_as_often_as_chance_has_it() -> None:
    rng = np.random.default_rng(3)
    found = [
        preference("a", "b", rng.poisson(0.3, 400).astype(float), rng.poisson(0.3, 400).astype(float))
        for _ in range(2000)
    ]
    exact = np.mean([each.p_value is not None and each.p_value < 0.05 for each in found])
    outside = np.mean([each.ci is not None and not each.ci[0] <= 0.0 <= each.ci[1] for each in found])
    assert exact <= 0.06
    assert 0.04 <= outside <= 0.06


def test_interleaving_needs_a_tenth_of_the_readers_at_most() -> None:
    split, drafted_readers = readers_needed(clicked(4000, (1.5, 1.0), seed=11))
    assert split >= 10.0 * drafted_readers
