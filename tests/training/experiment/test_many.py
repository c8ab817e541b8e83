"""The arithmetic on arrays is the report's, and the experiments it judges err as often as they say."""

import numpy as np
import pytest

from tests.benchmarks import experiments
from tests.benchmarks.experiment_arrays import ALL, effects, halves, sums, values_of
from tests.benchmarks.experiment_trials import NAIVE, kept_variance, lifted, no_effect, peeking, truths
from tests.training.experiment.tables import experiment, table
from training.experiment.estimates import estimates
from training.experiment.metrics import METRICS
from training.experiment.ratio_mismatch import sample_ratio
from training.simulation.crowd import draw_crowd


@pytest.mark.parametrize("cuped", [False, True])
def test_arrays_and_the_report_agree(cuped):
    rng = np.random.default_rng(11)
    crowd = draw_crowd(rng, 3000)
    assigned = halves(rng, 3, 3000)
    for one in assigned:
        columns = {name: values for name, values in crowd.control.items() if cuped or "pre_" not in name}
        windows = {f"w_{name}": values for name, values in crowd.control.items() if "pre_" not in name}
        side = np.where(one == 1, "new", "old")
        reported = {r.name: r for r in estimates(table(columns | windows | {"variant": side}), experiment())}
        for metric in ALL:
            values, result = values_of(crowd.control, metric, cuped), reported[metric.name]
            ours = effects(metric, sums(1 - one[None], values), sums(one[None], values), cuped)
            assert result.effect == pytest.approx(ours.effect[0], rel=1e-7, abs=1e-12)
            assert result.p_value == pytest.approx(ours.p_value[0], rel=1e-7)
            assert result.ci == pytest.approx([bound[0] for bound in ours.interval()], rel=1e-7)
            assert result.relative_ci == pytest.approx([b[0] for b in ours.relative_interval()], rel=1e-7)
            assert (result.sequential_ci is not None) == ours.ready[0]
            if result.sequential_ci is not None:
                half = (result.sequential_ci[1] - result.sequential_ci[0]) / 2
                assert half == pytest.approx(ours.always_valid(20_000)[0], rel=1e-7)


def test_without_an_effect_one_in_twenty_is_below_005_and_per_impression_far_more():
    found = {name: (p_values < 0.05).mean() for name, p_values in no_effect(12, 12, 50, 4000).items()}
    assert found.pop((NAIVE, False)) > 0.15
    # five standard deviations of a share of 600
    assert {name: share for name, share in found.items() if abs(share - 0.05) > 0.045} == {}


def test_looking_every_day_errs_with_the_test_for_one_look_only():
    for name, ever in peeking(13, 4, 100, 8000).items():
        naive, valid = ever.mean(axis=1)
        assert naive > 0.09, name
        assert valid < 0.05, name


def test_intervals_hold_the_true_lift_and_the_always_valid_one_more_often():
    known = truths(14, 0.1, 200_000)
    for name, seen in lifted(15, 150, 2000, 0.1).items():
        low, high = seen.interval()
        once = ((low <= known[name][0]) & (known[name][0] <= high)).mean()
        always = (np.abs(seen.effect - known[name][0]) <= seen.always_valid(2000)).mean()
        assert 0.87 < once < 1.0, name
        assert once <= always > 0.97, name


def test_cuped_leaves_one_minus_the_squared_correlation():
    assert kept_variance(16, 0.7, 5, 200, 10_000) == pytest.approx(0.51, abs=0.06)


def test_a_loss_is_found_as_often_as_the_table_says():
    rng = np.random.default_rng(17)
    readers = round(experiments.readers_to_find(0.02))
    sides = rng.multinomial(readers, (1 / 1.98, 0.98 / 1.98), 400)
    found = [sample_ratio({"a": a, "b": b}, {"a": 0.5, "b": 0.5}).failed for a, b in sides.tolist()]
    assert np.mean(found) == pytest.approx(0.95, abs=0.045)


@pytest.mark.parametrize("cuped", [False, True])
def test_power_is_as_designed(cuped):
    history = draw_crowd(np.random.default_rng(18), 50_000).control
    readers = experiments.designed(history, "page_views_per_session", 0.1, cuped)
    metric = METRICS["page_views_per_session"]
    seen = lifted(19, 300, readers, 0.1, (metric,), cuped)[metric.name]
    assert (seen.p_value < 0.05).mean() == pytest.approx(0.8, abs=0.1)
