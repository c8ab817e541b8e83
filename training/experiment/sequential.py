"""An interval that is right at every look: a confidence sequence.

Who looks at a 95% interval every day and stops when it excludes zero errs far more often than in 5% of
experiments. The interval here holds at all looks at once, however many there are and whatever decides when to
stop. It is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 2024: with an
estimate that is a mean of ``n`` independent terms of standard deviation ``s``,

    estimate +- s/sqrt(n) * sqrt(2 (n r^2 + 1) / (n r^2) * log(sqrt(n r^2 + 1) / alpha))

Why it may be used on the effects of an experiment:

1. *Each reader enters once, with an outcome that never changes again*: what they did within a fixed window
   after their first exposure, when that window has ended. Readers are thus a sequence of independent terms,
   in the order of first exposure. A sum that still grows after it was looked at would not be one.
2. *The effect is a mean, up to what vanishes faster than the interval.* With A = 1 for the variant and p
   its share, a difference of means is the true effect plus the mean over all readers of (A/p - (1-A)/(1-p))
   (Y - mean of the side). A ratio R = N/D has (N - R D) / E[D] in the place of Y - mean (the delta method,
   so a reader is the unit however many impressions they have), and CUPED takes theta (X - E[X]) off. What
   is left out are products of two terms that are each O(sqrt(log log n / n)) almost surely by the law of
   the iterated logarithm: (E[D]/mean of D - 1), (estimated theta - theta) or (observed share - p), each
   times a centred mean. They are O(log log n / n); the interval's width is of order sqrt(log n / n).
3. *The variance is estimated consistently*: of each side, divided by its readers. Finite moments of an
   order above two suffice (outcomes are winsorised, or shares).
4. *Readers who come early are heavier*, so terms are not identically distributed. Without an effect every
   term is centred whatever the reader, since sides are given independently of who comes; the sequence then
   holds under the Lindeberg condition with the running mean of variances (the paper's martingale version),
   which is what is estimated.

What is asymptotic must not be looked at too early: ``MINIMUM_READERS`` a side, and ``MINIMUM_CARRIERS`` who
carry the sum. A later start only drops looks, so it may depend on the data.

``r`` decides where the interval is tightest, never whether it holds: it is set for the planned number of
readers, before the experiment. tests/benchmarks/experiments.py shows the error in 10,000 experiments.
"""

import math

from training.experiment.results import Interval

MINIMUM_READERS = 500
MINIMUM_CARRIERS = 100.0
PLANNED_READERS = 20_000


def tuning(planned_readers: float, alpha: float = 0.05) -> float:
    """The ``r`` that makes the interval tightest at a number of readers.

    There n r^2 = c + log(1 + n r^2) with c = -2 log(alpha); one step from c is taken, the width is
    flat there.

    Args:
        planned_readers: of the two sides together.
        alpha: of the interval, 0.05 for 95%.
    """
    if planned_readers < 1:
        raise ValueError(f"planned_readers is {planned_readers}; it must be at least 1")
    bound = -2.0 * math.log(alpha)
    return math.sqrt((bound + math.log(bound + 1.0)) / planned_readers)


def widening(readers: float, planned_readers: float = PLANNED_READERS, alpha: float = 0.05) -> float:
    """Half the width of the interval in standard errors; 1.96 would be the interval for one look.

    Args:
        readers: of the two sides together, whose window has ended.
        planned_readers: for which it is tightest.
        alpha: of the interval.

    Example:
        >>> round(widening(20_000, 20_000), 2), round(widening(2_000, 20_000), 2)
        (3.04, 3.86)
    """
    scaled = readers * tuning(planned_readers, alpha) ** 2
    return math.sqrt(2.0 * (scaled + 1.0) / scaled * math.log(math.sqrt(scaled + 1.0) / alpha))


def always_valid(
    effect: float,
    standard_error: float,
    readers: int,
    planned_readers: float = PLANNED_READERS,
    alpha: float = 0.05,
) -> Interval:
    """The interval of an effect that holds at every look.

    Args:
        effect: estimated from the readers whose window has ended.
        standard_error: of it.
        readers: of the two sides together.
        planned_readers: for which the interval is tightest.
        alpha: of the interval.
    """
    half = standard_error * widening(readers, planned_readers, alpha)
    return effect - half, effect + half


def carriers(readers: float, mean: float, variance: float) -> float:
    """How many readers the sum rests on: (sum x)^2 / sum x^2, all of them where all have the same.

    Example:
        >>> carriers(100, 2.0, 0.0), round(carriers(100, 0.1, 0.09), 6)
        (100.0, 10.0)
    """
    second = variance + mean * mean
    return readers * mean * mean / second if second > 0 else 0.0
