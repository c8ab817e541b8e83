"""Each rule of the verdict, in its order."""

from dataclasses import replace

import pytest

from tests.training.experiment.tables import experiment
from training.experiment.ratio_mismatch import sample_ratio
from training.experiment.results import MetricResult
from training.experiment.verdict import decide, guarded

EVEN = sample_ratio({"old": 5000, "new": 5010}, {"old": 0.5, "new": 0.5})
VIEWS = "page_views_per_session"


def metric(low, high, name="ctr", role="primary", p=0.001, variant="new"):
    """A result whose two relative intervals are the same."""
    return MetricResult(
        name,
        role,
        "old",
        variant,
        control_mean=1.0,
        variant_mean=1.0 + (low + high) / 2,
        relative_effect=(low + high) / 2,
        ci=(low, high),
        relative_ci=(low, high),
        sequential_ci=(low, high),
        sequential_relative_ci=(low, high),
        p_value=p,
        adjusted_p_value=p,
    )


SAFE = metric(-0.004, 0.01, VIEWS, "guardrail")
BETTER, WORSE, OPEN = metric(0.02, 0.08), metric(-0.08, -0.02), metric(-0.02, 0.08, p=0.3)


def told(*results, ended=True, **changes):
    return decide(results, EVEN, experiment(**changes), ended)


def test_readers_out_of_proportion_are_broken_whatever_the_metrics_say():
    uneven = sample_ratio({"old": 5000, "new": 6000}, {"old": 0.5, "new": 0.5})
    found = decide([BETTER, SAFE], uneven, experiment(), True)
    assert (found.verdict, found.rule) == ("broken", "sample ratio")
    assert "6,000" in found.reasons[0]


@pytest.mark.parametrize(("ended", "verdict"), [(False, "keep_running"), (True, "broken")])
def test_nobody_came(ended, verdict):
    nobody = sample_ratio({}, {"old": 0.5, "new": 0.5})
    assert decide([], nobody, experiment(), ended).verdict == verdict


@pytest.mark.parametrize(
    ("primary", "ended", "verdict", "rule"),
    [
        (BETTER, True, "ship", "primary better"),
        (BETTER, False, "ship", "primary better"),
        (WORSE, True, "dont_ship", "primary worse"),
        (WORSE, False, "dont_ship", "primary worse"),
        (OPEN, True, "dont_ship", "not shown"),
        (OPEN, False, "keep_running", "undecided"),
        (metric(0.001, 0.008), True, "dont_ship", "too small"),
        (metric(-0.004, 0.008, p=0.5), False, "dont_ship", "too small"),
        # one look would find it, correction for several variants does not
        (metric(0.001, 0.08, p=0.06), True, "dont_ship", "not shown"),
    ],
)
def test_the_primary_metric_decides(primary, ended, verdict, rule):
    found = told(primary, SAFE, ended=ended)
    assert (found.verdict, found.rule) == (verdict, rule)
    assert found.variant == ("new" if verdict == "ship" else None)


def test_early_only_the_always_valid_interval_counts():
    tempting = replace(BETTER, sequential_relative_ci=(-0.05, 0.15), sequential_ci=(-0.05, 0.15))
    assert told(tempting, SAFE, ended=False).verdict == "keep_running"
    none_yet = replace(BETTER, sequential_relative_ci=None, sequential_ci=None, note="No look yet.")
    assert "No look yet." in told(none_yet, SAFE, ended=False).reasons[0]


@pytest.mark.parametrize(
    ("low", "high", "margin", "state"),
    [
        (-0.05, -0.03, 0.02, "harmed"),
        (-0.05, -0.01, 0.02, "suspect"),
        (-0.05, 0.01, 0.02, "open"),
        (-0.01, -0.001, 0.02, "safe"),
        (-0.05, -0.03, 0.0, "harmed"),
        (-0.05, 0.03, 0.0, "open"),
    ],
)
def test_a_guardrail_stands_by_its_interval_and_margin(low, high, margin, state):
    assert guarded(metric(low, high, VIEWS, "guardrail"), margin, True) == state


def test_more_latency_is_harm():
    assert guarded(metric(0.1, 0.2, "latency_ms", "guardrail"), 0.05, True) == "harmed"
    assert guarded(metric(-0.2, -0.1, "latency_ms", "guardrail"), 0.05, True) == "safe"


def test_harm_beyond_the_margin_stops_a_better_list_and_says_so():
    harmed = metric(-0.09, -0.03, VIEWS, "guardrail")
    rails = [{"metric": VIEWS, "margin": 0.02}]
    found = told(BETTER, harmed, guardrails=rails, ended=False)
    assert (found.verdict, found.rule) == ("dont_ship", "guardrail harmed")
    assert found.reasons[0].startswith("Page views per session is harmed by more than the 2.0%")


@pytest.mark.parametrize(("ended", "verdict"), [(True, "dont_ship"), (False, "keep_running")])
def test_shown_harm_that_may_be_tolerable_holds_a_better_list_back(ended, verdict):
    suspect = metric(-0.05, -0.01, VIEWS, "guardrail")
    rails = [{"metric": VIEWS, "margin": 0.02}]
    assert told(BETTER, suspect, guardrails=rails, ended=ended).verdict == verdict


def test_harm_that_is_not_excluded_is_said_but_does_not_stop():
    found = told(BETTER, metric(-0.03, 0.02, VIEWS, "guardrail"))
    assert found.verdict == "ship"
    assert any("harm is not excluded" in reason for reason in found.reasons)


def test_a_guardrail_without_data_is_said():
    assert any("guards nothing" in reason for reason in told(BETTER).reasons)


def test_fewer_fallbacks_are_better():
    lower = metric(-0.3, -0.1, "fallback_share")
    assert told(lower, SAFE, primary_metric="fallback_share").verdict == "ship"


def test_the_best_of_several_variants_is_shipped():
    sides = [{"name": name, "weight": 1 / 3} for name in ("old", "new", "third")]
    rows = [BETTER, SAFE, metric(0.05, 0.15, variant="third"), replace(SAFE, variant="third")]
    found = told(*rows, variant=sides)
    assert (found.verdict, found.variant) == ("ship", "third")
    found = told(WORSE, SAFE, replace(OPEN, variant="third"), variant=sides, ended=False)
    assert found.verdict == "keep_running"


def test_an_effect_without_a_relative_interval_is_judged_by_the_absolute_one():
    assert told(replace(BETTER, relative_ci=None), SAFE).verdict == "ship"
