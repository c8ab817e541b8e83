"""Corrections, the sample ratio and the always-valid interval, against numbers that others published."""

import math

import pytest
from scipy import stats

from training.experiment.corrections import corrected
from training.experiment.ratio_mismatch import power, sample_ratio
from training.experiment.results import MetricResult
from training.experiment.sequential import always_valid, carriers, tuning, widening

# Benjamini and Hochberg, Journal of the Royal Statistical Society B, 1995, section 3.2
PUBLISHED = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719]
PUBLISHED += [0.6528, 0.7590, 1.0]


def results(role, p_values):
    return [MetricResult("ctr", role, "a", f"v{i}", p_value=p) for i, p in enumerate(p_values)]


def adjusted(role, p_values):
    return [result.adjusted_p_value for result in corrected(results(role, p_values))]


def test_secondary_metrics_are_corrected_as_benjamini_and_hochberg_did():
    found = adjusted("secondary", PUBLISHED)
    assert [p < 0.05 for p in found] == [True] * 4 + [False] * 11
    assert found == pytest.approx(stats.false_discovery_control(PUBLISHED))


def test_primary_metrics_are_corrected_as_holm_did():
    assert adjusted("primary", [0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_guardrails_stay_and_roles_do_not_mix():
    mixed = (
        results("primary", [0.04]) + results("guardrail", [0.04, 0.5]) + results("secondary", [0.04, None])
    )
    assert [result.adjusted_p_value for result in corrected(mixed)] == [0.04, 0.04, 0.5, 0.04, None]


def test_the_sample_ratio_of_a_published_experiment():
    # Kohavi, Tang and Xu, Trustworthy Online Controlled Experiments, chapter 3
    found = sample_ratio({"control": 821_588, "treatment": 815_482}, {"control": 0.5, "treatment": 0.5})
    assert found.p_value == pytest.approx(1.8e-6, rel=0.02)
    assert found.failed
    assert "821,588" in found.note


def test_three_unequal_sides_in_proportion_pass_and_out_of_it_fail():
    weights = {"a": 0.8, "b": 0.1, "c": 0.1}
    assert not sample_ratio({"a": 80_200, "b": 9_900, "c": 9_900}, weights).failed
    broken = sample_ratio({"a": 80_000, "b": 10_400, "c": 9_600}, weights)
    assert broken.failed
    assert broken.p_value == pytest.approx(stats.chi2.sf(400**2 / 10_000 * 2, 2))


def test_a_side_without_readers_is_found():
    assert sample_ratio({"a": 200}, {"a": 0.5, "b": 0.5}).failed


@pytest.mark.parametrize("counts", [{}, {"a": 4, "b": 1}])
def test_too_few_readers_do_not_fail(counts):
    found = sample_ratio(counts, {"a": 0.5, "b": 0.5})
    assert (found.p_value, found.failed) == (None, False)
    assert found.note


def test_a_loss_of_one_point_in_a_hundred_thousand_is_found():
    assert power(100_000, 0.5, 0.51) > 0.95
    assert power(100_000, 0.5, 0.5) == pytest.approx(0.001)


def test_the_width_is_the_papers_formula_and_tightest_near_the_plan():
    n, r = 5_000, tuning(20_000)
    formula = math.sqrt(2 * (n * r**2 + 1) / (n**2 * r**2) * math.log(math.sqrt(n * r**2 + 1) / 0.05))
    low, high = always_valid(0.3, 2.0 / math.sqrt(n), n)
    assert (high - low) / 2 == pytest.approx(2.0 * formula)
    widths = {planned: widening(20_000, planned) for planned in (2_000, 20_000, 200_000)}
    assert min(widths, key=widths.__getitem__) == 20_000
    assert widening(20_000, 20_000, alpha=0.01) > widths[20_000] > 1.96


def test_the_sum_of_one_rests_on_one():
    assert carriers(1000, 1 / 1000, (1 - 1 / 1000) / 1000) == pytest.approx(1.0)
