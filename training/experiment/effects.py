"""The effect of one variant from two sides' sums: tea-tasting's means, delta method and CUPED.

What cannot be estimated is a marked result: no readers, one reader, nothing counted, no variance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import RatioOfMeans

from training.experiment.metrics import BEFORE, Metric
from training.experiment.results import Interval
from training.experiment.sequential import carriers

_ROUGH = 30
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Effect:
    """A variant against the control; the attributes are those of ``MetricResult``."""

    control_mean: float | None = None
    variant_mean: float | None = None
    effect: float | None = None
    ci: Interval | None = None
    relative_effect: float | None = None
    relative_ci: Interval | None = None
    p_value: float | None = None
    cuped_reduction: float | None = None
    note: str = ""


def effect_of(
    metric: Metric,
    control: Aggregates | None,
    variant: Aggregates | None,
    prefix: str = "",
    large_sample: bool = False,
) -> Effect:
    """Means, effect and 95% intervals of two sides.

    Args:
        metric: which.
        control, variant: sums of the sides; None for one without readers.
        prefix: of the columns.
        large_sample: the normal distribution instead of Student's with Welch's degrees of freedom.
    """
    if control is None or variant is None or not control.count() or not variant.count():
        empty = "the control" if control is None or not control.count() else "the variant"
        return Effect(note=f"No reader of {empty}.")
    own = [prefix + column for column in metric.columns]
    if metric.kind == "ratio" and min(control.mean(own[1]), variant.mean(own[1])) <= 0:
        return Effect(note="One side has nothing to divide by: its denominators sum to zero.")
    means = _level(control, own), _level(variant, own)
    plain = Effect(*means, effect=means[1] - means[0], relative_effect=_relative(*means))
    if min(control.count(), variant.count()) < 2:
        return replace(plain, note="A side has one reader only: there is no interval.")
    if max(_spread(side, own) for side in (control, variant)) <= 1e-12 * max(means) ** 2:
        return replace(plain, note="All readers of a side have the same value: there is no interval.")
    return _tested(metric, control, variant, own, plain, large_sample)


def standard_error(interval: Interval) -> float:
    """Of an effect, from its 95% interval by the normal distribution."""
    return (interval[1] - interval[0]) / (2.0 * _Z95)


def _tested(
    metric: Metric,
    control: Aggregates,
    variant: Aggregates,
    own: Sequence[str],
    plain: Effect,
    large_sample: bool,
) -> Effect:
    found = RatioOfMeans(*own[:2], use_t=not large_sample).analyze_aggregates(control, variant)
    note, reduction = _rough(own[0], control, variant), None
    covariates = [BEFORE + column for column in metric.columns]
    if _usable(covariates, control, variant):
        before = dict(zip(("numer_covariate", "denom_covariate"), covariates, strict=False))
        adjusted = RatioOfMeans(
            own[0], own[1] if len(own) > 1 else None, **before, use_t=not large_sample
        ).analyze_aggregates(control, variant)
        kept = (_width(adjusted) / _width(found)) ** 2
        if math.isfinite(kept) and kept > 1e-12:
            found, reduction = adjusted, max(1.0 - kept, 0.0)
    possible = found.control > 0
    return replace(
        plain,
        effect=float(found.effect_size),
        ci=_interval(found.effect_size_ci_lower, found.effect_size_ci_upper),
        relative_effect=_number(found.rel_effect_size) if possible else None,
        relative_ci=_interval(found.rel_effect_size_ci_lower, found.rel_effect_size_ci_upper)
        if possible and found.treatment > 0
        else None,
        p_value=_number(found.pvalue),
        cuped_reduction=reduction,
        note=note,
    )


def _usable(covariates: Sequence[str], control: Aggregates, variant: Aggregates) -> bool:
    """Whether readers differed before the experiment in what the metric counts."""
    sides = (control, variant)
    if any(column not in side.mean_ for column in covariates for side in sides):
        return False
    if len(covariates) > 1 and min(side.mean(covariates[1]) for side in sides) <= 0:
        return False
    return max(_spread(side, covariates) for side in sides) > 0


def _rough(column: str, control: Aggregates, variant: Aggregates) -> str:
    carried = min(carriers(side.count(), side.mean(column), side.var(column)) for side in (control, variant))
    if carried >= _ROUGH:
        return ""
    return f"Rough: what is counted rests on about {carried:.0f} readers of a side."


def _level(side: Aggregates, columns: Sequence[str]) -> float:
    return float(side.mean(columns[0]) / (side.mean(columns[1]) if len(columns) > 1 else 1.0))


def _spread(side: Aggregates, columns: Sequence[str]) -> float:
    return float(side.ratio_var(columns[0], columns[1] if len(columns) > 1 else None))


def _relative(control: float, variant: float) -> float | None:
    return variant / control - 1.0 if control > 0 else None


def _width(found: Any) -> float:
    return float(found.effect_size_ci_upper - found.effect_size_ci_lower)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _interval(low: float, high: float) -> Interval | None:
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None
