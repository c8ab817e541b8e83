"""Effects against the textbook's own arithmetic on the same readers, and tables that hold almost nothing."""

import numpy as np
import pytest
from scipy import stats

from tests.training.experiment.tables import clicks, experiment, table
from training.experiment.effects import standard_error
from training.experiment.estimates import estimates
from training.experiment.sequential import MINIMUM_READERS, always_valid

READERS = clicks(1, 4000, lift=0.3)
NEW = READERS["variant"] == "new"


def found(columns, **changes):
    results = estimates(table(columns), experiment(**changes))
    return {(result.name, result.variant): result for result in results}


def without(prefix):
    return {name: values for name, values in READERS.items() if not name.startswith(prefix)}


def test_a_mean_is_welchs_test_on_values_cut_at_one_quantile_of_all():
    values = READERS["clicks_per_reader__num"]
    cut = np.minimum(values, np.quantile(values, 0.999))
    welch = stats.ttest_ind(cut[NEW], cut[~NEW], equal_var=False)
    result = found(without("pre_"))["clicks_per_reader", "new"]
    assert result.p_value == pytest.approx(welch.pvalue, rel=1e-9)
    assert result.ci == pytest.approx(tuple(welch.confidence_interval()), rel=1e-9)
    assert (result.n_control, result.n_variant) == ((~NEW).sum(), NEW.sum())
    assert result.cuped_reduction is None


def linear(side, prefix=""):
    """A ratio's readers as terms whose mean is the ratio, and their variance that of the delta method."""
    clicked, shown = READERS[f"{prefix}ctr__num"][side], READERS[f"{prefix}ctr__den"][side]
    ratio = clicked.sum() / shown.sum()
    return ratio + (clicked - ratio * shown) / shown.mean()


def test_a_ratio_is_welchs_test_on_its_linear_terms():
    welch = stats.ttest_ind(linear(NEW), linear(~NEW), equal_var=False)
    result = found(without("pre_"))["ctr", "new"]
    assert result.control_mean == pytest.approx(
        READERS["ctr__num"][~NEW].sum() / READERS["ctr__den"][~NEW].sum()
    )
    assert result.p_value == pytest.approx(welch.pvalue, rel=1e-9)
    assert result.ci == pytest.approx(tuple(welch.confidence_interval()), rel=1e-9)


def test_a_relative_interval_is_that_of_the_logarithm():
    result = found(without("pre_"))["ctr", "new"]
    parts = [linear(side).var(ddof=1) / side.sum() / linear(side).mean() ** 2 for side in (NEW, ~NEW)]
    half = stats.norm.isf(0.025) * np.sqrt(sum(parts))
    ratio = result.variant_mean / result.control_mean
    assert result.relative_effect == pytest.approx(ratio - 1)
    assert result.relative_ci == pytest.approx(
        (ratio * np.exp(-half) - 1, ratio * np.exp(half) - 1), rel=1e-3
    )


def test_cuped_is_the_regression_on_what_readers_did_before():
    cut = {
        prefix: np.minimum(values, np.quantile(values, 0.999))
        for prefix in ("", "pre_")
        for values in (READERS[f"{prefix}clicks_per_reader__num"],)
    }
    slope = np.cov(cut[""], cut["pre_"])[0, 1] / cut["pre_"].var(ddof=1)
    rest = cut[""] - slope * cut["pre_"]
    welch = stats.ttest_ind(rest[NEW], rest[~NEW], equal_var=False)
    result = found(READERS)["clicks_per_reader", "new"]
    assert result.p_value == pytest.approx(welch.pvalue, rel=1e-6)
    assert result.effect == pytest.approx(rest[NEW].mean() - rest[~NEW].mean(), rel=1e-9)
    plain = found(without("pre_"))["clicks_per_reader", "new"]
    assert result.control_mean == plain.control_mean
    kept = (standard_error(result.ci) / standard_error(plain.ci)) ** 2
    assert result.cuped_reduction == pytest.approx(1 - kept)
    assert result.cuped_reduction > 0.3


def test_cuped_of_a_ratio_is_the_regression_of_its_linear_terms():
    everybody = np.ones(len(NEW), dtype=bool)
    before, own = linear(everybody, "pre_"), linear(everybody)
    slope = np.cov(own, before)[0, 1] / before.var(ddof=1)
    rest = [linear(side) - slope * linear(side, "pre_") for side in (NEW, ~NEW)]
    welch = stats.ttest_ind(*rest, equal_var=False)
    result = found(READERS)["ctr", "new"]
    assert result.p_value == pytest.approx(welch.pvalue, rel=1e-9)
    assert result.ci == pytest.approx(tuple(welch.confidence_interval()), rel=1e-9)
    assert 0.3 < result.cuped_reduction < 1


def test_new_readers_count_with_nothing_before():
    before = READERS["pre_ctr__den"]
    assert (before == 0).sum() > 500
    result = found(READERS)["ctr", "new"]
    assert result.n_control + result.n_variant == len(before)
    assert result.cuped_reduction > 0


def test_the_always_valid_interval_is_wider_and_of_the_window():
    result = found(READERS)["ctr", "new"]
    window = {f"ctr__{part}": READERS[f"w_ctr__{part}"] for part in ("num", "den")}
    alone = found(without("w_") | window)["ctr", "new"]
    assert result.sequential_ci == pytest.approx(
        always_valid(alone.effect, standard_error(alone.ci), len(NEW)), rel=1e-3
    )
    assert result.sequential_relative_ci[0] < alone.relative_ci[0]


def test_readers_whose_window_has_not_ended_are_not_in_the_always_valid_interval():
    late = np.arange(len(NEW)) >= 3000
    columns = {
        name: np.where(late, np.nan, values) if name.startswith("w_") else values
        for name, values in READERS.items()
    }
    nulls = {
        name: [None if np.isnan(v) else v for v in columns[name]] for name in columns if name[:2] == "w_"
    }
    short = found({name: values[~late] for name, values in READERS.items()})["ctr", "new"]
    assert found(columns | nulls)["ctr", "new"].sequential_ci == pytest.approx(short.sequential_ci)


def test_no_always_valid_interval_before_the_first_look():
    few = {name: values[: 2 * MINIMUM_READERS - 100] for name, values in READERS.items()}
    result = found(few)["ctr", "new"]
    assert result.sequential_ci is None
    assert "begins at 500" in result.note
    assert result.ci is not None


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"ctr__num": np.zeros(4000), "pre_ctr__num": np.zeros(4000)}, "same value"),
        ({"ctr__den": np.zeros(4000)}, "nothing to divide by"),
        ({"variant": np.array(["old"] * 4000)}, "No reader of the variant"),
        ({"variant": np.array(["new"] * 4000)}, "No reader of the control"),
        ({"variant": np.array(["new", *["old"] * 3999])}, "one reader only"),
        ({"ctr__num": np.where(np.arange(4000) < 3, 1.0, 0.0)}, "Rough"),
    ],
)
def test_what_cannot_be_estimated_is_a_marked_result(changed, note):
    result = found(READERS | changed)["ctr", "new"]
    assert note in result.note
    assert result.p_value is None or "Rough" in note
    assert all(value is None or np.isfinite(value) for value in (result.effect, result.control_mean))


def test_clicks_on_one_side_only_have_an_absolute_interval():
    changed = READERS | {"ctr__num": np.where(NEW, READERS["ctr__num"], 0.0)}
    result = found({k: v for k, v in changed.items() if "pre_" not in k})["ctr", "new"]
    assert result.control_mean == 0
    assert result.ci[0] > 0
    assert result.relative_effect is None
    assert result.relative_ci is None


def test_an_empty_table_is_a_marked_result():
    result = found({name: values[:0] for name, values in READERS.items()})["ctr", "new"]
    assert result.note.startswith("No reader")


def test_no_time_before_means_no_adjustment():
    empty = {name: np.zeros(4000) for name in READERS if name.startswith("pre_")}
    assert found(READERS | empty)["ctr", "new"].ci == found(without("pre_"))["ctr", "new"].ci


def test_each_variant_is_compared_with_the_control_and_corrected():
    third = np.where(np.arange(4000) % 3 == 0, "third", READERS["variant"])
    sides = [{"name": name, "weight": 1 / 3} for name in ("old", "new", "third")]
    results = found(READERS | {"variant": third}, variant=sides)
    p_values = sorted(results["ctr", side].p_value for side in ("new", "third"))
    adjusted = sorted(results["ctr", side].adjusted_p_value for side in ("new", "third"))
    assert adjusted == pytest.approx([2 * p_values[0], max(2 * p_values[0], p_values[1])])


def test_an_interval_that_leans_on_one_reader_says_so():
    heavy = READERS | {f"ctr__{part}": READERS[f"ctr__{part}"].copy() for part in ("num", "den")}
    heavy["ctr__num"][7], heavy["ctr__den"][7] = 9000.0, 10_000.0
    assert "One reader makes" in found(heavy)["ctr", "new"].note
    assert "One reader" not in found(READERS)["ctr", "new"].note
