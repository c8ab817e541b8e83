"""Run by the Python of a venv with gbstats: sums of two sides in, effects and intervals out, as JSON."""

import json
import sys


def statistic(side):
    """A side as gbstats has it: a mean, a ratio, or a mean adjusted by the time before."""
    # imported when it is called: pytest, which collects this file, has no gbstats
    from gbstats.models.statistics import RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic

    def mean(name):
        return SampleMeanStatistic(n=side["n"], sum=side[name], sum_squares=side[f"{name}_squares"])

    if "den" in side:
        return RatioStatistic(
            n=side["n"], m_statistic=mean("num"), d_statistic=mean("den"), m_d_sum_of_products=side["num_den"]
        )
    if "pre" in side:
        return RegressionAdjustedStatistic(
            n=side["n"],
            post_statistic=mean("num"),
            pre_statistic=mean("pre"),
            post_pre_sum_of_products=side["num_pre"],
            theta=0,
        )
    return mean("num")


def judged(case):
    """One comparison."""
    from gbstats.frequentist import tests as gb

    sides = [statistic(side) for side in case["sides"]]
    once = gb.TwoSidedTTest(*sides, gb.FrequentistConfig(difference_type="absolute")).compute_result()
    config = gb.SequentialConfig(difference_type="absolute", sequential_tuning_parameter=case["planned"])
    always = gb.SequentialTwoSidedTTest(*sides, config).compute_result()
    return {
        "effect": once.expected,
        "ci": list(once.ci),
        "p_value": once.p_value,
        "sequential_ci": list(always.ci),
    }


if __name__ == "__main__":
    print(json.dumps([judged(case) for case in json.load(sys.stdin)]))
