"""What goes wrong in experiments ends in a clear message or a marked, correct result."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.config import Config
from recsys.experiments.definition import Experiment
from recsys.schemas import Event, Exposure
from tests.training.experiment.logs import END, at, did, experiment, shown, write
from training.duck import opened
from training.experiment.outcomes import read_log
from training.experiment.report import Asked, report
from training.experiment.report_page import render

SIDES = ("control", "new")


def reported(
    folder: Path,
    exposures: list[Exposure],
    events: list[Event] = (),  # type: ignore[assignment]
    *,
    until: datetime = END,
    definition: Experiment | None = None,
) -> dict[str, Any]:
    """The values of a report; its page can always be made."""
    data = write(folder / "data", exposures, events)
    with opened(500) as duck:
        found = report(
            duck, read_log(duck, data), Asked(definition or experiment(), until, Config().clicklog)
        )
    assert "<h1>" in render(found)
    return found


def crowd(readers: int, clicking: float = 0.0, sides: tuple[str, ...] = SIDES) -> tuple[list[Any], list[Any]]:
    """Readers with one list each, in turn on each side, some of whom click."""
    rng = np.random.default_rng(3)
    lists, clicks = [], []
    for i in range(readers):
        when = at(float(rng.uniform(0, 9)))
        lists.append(shown(f"q{i}", f"r{i}", when, variant=sides[i % len(sides)]))
        if rng.random() < clicking:
            clicks.append(did(f"e{i}", "click", f"r{i}", when, request_id=f"q{i}"))
    return lists, clicks


def of(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in found["metrics"] if row["name"] == name)


@pytest.mark.parametrize("until", [at(-1), at(4), END])
def test_an_experiment_without_exposures_says_so_and_keeps_running(tmp_path: Path, until: datetime) -> None:
    found = reported(tmp_path, [shown("q1", "r", at(1))], until=until)
    assert found["verdict"] == "keep_running"
    assert "no list carries the experiment_id 'exp' on related" in found["reasons"][0]
    assert found["metrics"] == found["slices"] == []
    assert found["srm"]["counts"] == {"control": 0, "new": 0}
    assert found["srm"]["p_value"] is None


def test_an_empty_log_is_no_error(tmp_path: Path) -> None:
    assert reported(tmp_path, [])["verdict"] == "keep_running"


def test_where_everybody_was_left_out_the_reason_says_so(tmp_path: Path) -> None:
    both = [shown(f"q{side}", "r", at(1), variant=side) for side in SIDES]
    found = reported(tmp_path, both)
    assert "was left out" in found["reasons"][0]
    assert found["excluded"] == [{"what": "readers", "count": 1, "why": "were in more than one variant"}]


def test_one_variant_alone_is_broken_by_its_sample_ratio(tmp_path: Path) -> None:
    lists, clicks = crowd(60, 0.5, ("new",))
    found = reported(tmp_path, lists, clicks)
    assert found["verdict"] == "broken"
    assert found["rule"] == "sample ratio"
    assert found["srm"]["counts"] == {"control": 0, "new": 60}
    assert of(found, "ctr")["effect"] is None
    assert of(found, "ctr")["note"].startswith("No reader of the control.")


def test_a_variant_renamed_midway_is_broken_with_the_names(tmp_path: Path) -> None:
    lists, clicks = crowd(60, 0.5, ("control", "newer"))
    found = reported(tmp_path, lists, clicks)
    assert found["verdict"] == "broken"
    assert found["rule"] == "unknown variant"
    assert "'newer' (30 lists)" in found["reasons"][0]
    assert "control, new" in found["reasons"][0]
    # what can be counted stays in the file
    assert of(found, "ctr")["n_control"] == 30


def test_events_before_the_exposure_count_for_no_side(tmp_path: Path) -> None:
    lists, _ = crowd(60)
    before = [did(f"v{i}", "view", f"r{i}", at(-1)) for i in range(60)]
    late = [shown(f"l{i}", f"late{i}", at(8), variant=SIDES[i % 2]) for i in range(60)]
    between = [did(f"b{i}", "view", f"late{i}", at(7.5)) for i in range(60)]
    found = reported(tmp_path, lists + late, before + between)
    pages = of(found, "page_views_per_session")
    assert (pages["control_mean"], pages["note"][:8]) == (None, "One side")
    assert {
        "what": "events",
        "count": 60,
        "why": "lie between the start and the reader's first exposure",
    } in found["excluded"]


def test_zero_clicks_are_a_rate_of_zero_without_an_interval_to_decide_by(tmp_path: Path) -> None:
    found = reported(tmp_path, crowd(200)[0])
    rate = of(found, "ctr")
    assert (rate["control_mean"], rate["variant_mean"], rate["effect"]) == (0.0, 0.0, 0.0)
    assert rate["relative_effect"] is None
    assert rate["ci"] is None
    assert found["verdict"] == "dont_ship"
    assert "no interval" in found["reasons"][0]


def test_a_metric_without_variance_is_told_and_marked(tmp_path: Path) -> None:
    lists, _ = crowd(200)
    clicks = [did(f"e{i}", "click", f"r{i}", each.ts, request_id=f"q{i}") for i, each in enumerate(lists)]
    found = reported(tmp_path, lists, clicks)
    rate = of(found, "ctr")
    assert (rate["control_mean"], rate["effect"], rate["ci"]) == (0.5, 0.0, None)
    assert "same value" in rate["note"]


def test_clock_skew_is_counted_and_told(tmp_path: Path) -> None:
    lists, _ = crowd(60)
    behind = [
        did(f"e{i}", "click", f"r{i}", lists[i].ts - (at(0, 2) - at(0)), request_id=f"q{i}") for i in (0, 1)
    ]
    broken = [did("x", "click", "r5", lists[5].ts - (at(1) - at(0)), request_id="q5")]
    found = reported(tmp_path, lists, behind + broken)
    assert sum(side["clicks"] for side in found["sides"]) == 2
    assert any(note.startswith("2 clicks and impressions are dated up to 5") for note in found["notes"])
    assert any(row["why"].endswith("(clock skew)") and row["count"] == 1 for row in found["excluded"])


def test_impressions_that_one_side_does_not_report_are_told(tmp_path: Path) -> None:
    lists, _ = crowd(60)
    seen = [
        did(f"e{i}", "impression", f"r{i}", each.ts, request_id=f"q{i}")
        for i, each in enumerate(lists)
        if each.variant == "new"
    ]
    found = reported(tmp_path, lists, seen)
    assert any("Impressions are missing for control alone" in note for note in found["notes"])


def test_without_impressions_the_denominator_is_told(tmp_path: Path) -> None:
    found = reported(tmp_path, *crowd(60, 0.5))
    assert any(note.startswith("No impressions are logged") for note in found["notes"])
    assert [side["articles_seen"] for side in found["sides"]] == [None, None]


def test_three_variants_each_have_their_results_and_pictures(tmp_path: Path) -> None:
    sides = [{"name": name, "weight": 1 / 3} for name in ("control", "new", "bold")]
    definition = experiment(variant=sides)
    found = reported(tmp_path, *crowd(300, 0.4, ("control", "new", "bold")), definition=definition)
    assert [row["variant"] for row in found["metrics"] if row["name"] == "ctr"] == ["new", "bold"]
    assert {row["variant"] for row in found["so_far"]} == {"new", "bold"}
    page = render(found)
    assert 'id="figure-so_far-1-' in page
    assert 'id="figure-so_far-2-' in page
