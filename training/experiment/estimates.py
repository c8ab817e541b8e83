"""Effects of an experiment from a table of readers: means, ratios by the delta method, CUPED, two intervals.

Sums are made where the table is (DuckDB), in one pass; the statistics of means and ratios are tea-tasting's.
The reader is the unit of every variance, however many lists or clicks they have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, cast

import ibis
from tea_tasting.aggr import Aggregates, read_aggregates

from recsys.experiments.definition import Experiment
from training.experiment.corrections import corrected
from training.experiment.effects import effect_of, standard_error
from training.experiment.metrics import BEFORE, METRICS, WINDOW, Metric, columns_of
from training.experiment.results import MetricResult, Role
from training.experiment.sequential import (
    MINIMUM_CARRIERS,
    MINIMUM_READERS,
    PLANNED_READERS,
    always_valid,
    carriers,
)

Expr = Any
Sums = Mapping[str, Aggregates]
_LEANING = 0.2
_OF_SQUARES = ("max", "sum")


def roles_of(experiment: Experiment) -> dict[str, Role]:
    """Metrics of a report with what they are for; without named secondary ones all others are.

    A guardrail that is the primary metric as well decides as the primary one.
    """
    roles: dict[str, Role] = {experiment.primary_metric: "primary"}
    for guardrail in experiment.guardrails:
        roles.setdefault(guardrail.metric, "guardrail")
    for name in experiment.secondary_metrics or METRICS:
        roles.setdefault(name, "secondary")
    return roles


def estimates(
    readers: Expr,
    experiment: Experiment,
    planned_readers: int = PLANNED_READERS,
    sequential: bool = True,
    alpha: float = 0.05,
) -> list[MetricResult]:
    """Every metric that the table has columns for, of every variant, in the order of roles.

    Args:
        readers: ibis table, one row a reader, with ``variant`` and the columns of ``metrics``.
        experiment: its definition.
        planned_readers: of one variant and the control together; from the design, fixed before the start.
        sequential: whether to give the always-valid interval.
        alpha: of the always-valid interval; variants share that of the primary metric.
    """
    roles = {
        name: role
        for name, role in roles_of(experiment).items()
        if set(METRICS[name].columns) <= set(readers.columns)
    }
    names = list(roles)
    whole = sums_of(readers, names)
    leaning = heaviest(readers, names, whole)
    window = _windows(readers, names) if sequential else {}
    variants = [variant.name for variant in experiment.variants[1:]]
    results = []
    for name, role in roles.items():
        own = alpha / len(variants) if role == "primary" else alpha
        for variant in variants:
            result = compared(METRICS[name], role, whole, experiment.control.name, variant)
            if sequential:
                result = with_sequential(result, window, planned_readers, own)
            if leaning.get(name, 0.0) >= _LEANING and result.ci is not None:
                told = f"One reader makes {leaning[name]:.0%} of the variance: the interval leans on them."
                result = replace(result, note=f"{result.note} {told}".strip())
            results.append(result)
    return corrected(results)


def sums_of(readers: Expr, names: Sequence[str], prefix: str = "") -> dict[str, Aggregates]:
    """Counts, means, variances and covariances by variant, after winsorising.

    Args:
        readers: ibis table, one row a reader.
        names: metrics.
        prefix: ``w_`` for the fixed window.

    Returns:
        By variant; columns carry ``prefix``, those of before the experiment ``pre_``. The quantile at which
        values are cut is that of the readers of all variants, so that no side is cut lower than another.
    """
    columns = [name for name in columns_of(list(names), (prefix, BEFORE)) if name in readers.columns]
    table = _winsorised(readers.select("variant", *columns), names, prefix)
    pairs = [
        pair
        for name in names
        for pair in combinations([c for c in columns_of([name], (prefix, BEFORE)) if c in columns], 2)
    ]
    found = read_aggregates(
        table, "variant", has_count=True, mean_cols=columns, var_cols=columns, cov_cols=pairs
    )
    return cast("dict[str, Aggregates]", found)


def heaviest(readers: Expr, names: Sequence[str], sums: Sums) -> dict[str, float]:
    """Share that one reader has of a metric's variance, for the metrics that are not winsorised.

    A normal distribution of the effect needs many readers, none of whom is most of it.

    Args:
        readers: ibis table, one row a reader.
        names: metrics.
        sums: of ``sums_of``, all variants.
    """
    squares = {}
    for name in names:
        metric = METRICS[name]
        totals = [
            sum(side.count() * side.mean(column) for side in sums.values()) for column in metric.columns
        ]
        count = sum(side.count() for side in sums.values())
        below = totals[1] if metric.kind == "ratio" else count
        if metric.winsorised_at is None and below > 0:
            base = readers[metric.columns[1]].cast("float64") if metric.kind == "ratio" else 1.0
            squares[name] = (readers[metric.columns[0]].cast("float64") - totals[0] / below * base) ** 2
    wanted = {
        f"{name}_{what}": getattr(square, what)() for name, square in squares.items() for what in _OF_SQUARES
    }
    found = readers.aggregate(**wanted).to_pyarrow().to_pylist()[0] if wanted else {}
    return {name: found[f"{name}_max"] / found[f"{name}_sum"] for name in squares if found[f"{name}_sum"]}


def _windows(readers: Expr, names: Sequence[str]) -> dict[str, Aggregates]:
    """Sums of the fixed window, over the readers for whom it has ended; empty without such columns."""
    first = f"{WINDOW}{METRICS[names[0]].columns[0]}" if names else ""
    if first not in readers.columns:
        return {}
    return sums_of(readers.filter(readers[first].notnull()), names, WINDOW)


def _winsorised(readers: Expr, names: Sequence[str], prefix: str) -> Expr:
    wanted = {
        prefixed: METRICS[name].winsorised_at
        for name in names
        if METRICS[name].winsorised_at is not None
        for prefixed in columns_of([name], (prefix, BEFORE))
        if prefixed in readers.columns
    }
    if not wanted:
        return readers
    quantiles = {name: readers[name].cast("float64").quantile(at) for name, at in wanted.items()}
    caps = readers.aggregate(**quantiles).to_pyarrow().to_pylist()[0]
    return readers.mutate(
        **{
            # a quantile of zero would make everybody the same
            name: ibis.least(readers[name].cast("float64"), ibis.literal(float(cap)))
            for name, cap in caps.items()
            if cap is not None and cap > 0
        }
    )


def compared(metric: Metric, role: Role, sums: Sums, control: str, variant: str) -> MetricResult:
    """One metric of one variant, with the interval for the planned end.

    Args:
        metric: which.
        role: what for.
        sums: by variant, as ``sums_of`` makes them.
        control, variant: the sides.
    """
    found = effect_of(metric, sums.get(control), sums.get(variant))
    sides = [0 if side not in sums else sums[side].count() for side in (control, variant)]
    return MetricResult(
        name=metric.name,
        role=role,
        control=control,
        variant=variant,
        n_control=sides[0],
        n_variant=sides[1],
        **vars(found),
    )


def with_sequential(
    result: MetricResult, window: Sums, planned_readers: int = PLANNED_READERS, alpha: float = 0.05
) -> MetricResult:
    """The same result with the always-valid interval, or with the reason why there is none yet."""
    control, variant = window.get(result.control), window.get(result.variant)
    early = _too_early(METRICS[result.name], control, variant)
    if early or control is None or variant is None:
        return replace(result, note=f"{result.note} {early}".strip())
    found = effect_of(METRICS[result.name], control, variant, WINDOW, large_sample=True)
    if found.effect is None or found.ci is None:
        return result
    readers = control.count() + variant.count()
    relative = None
    if found.relative_effect is not None and found.relative_ci is not None:
        log_low, log_high = (math.log1p(bound) for bound in found.relative_ci)
        middle, error = math.log1p(found.relative_effect), standard_error((log_low, log_high))
        low, high = always_valid(middle, error, readers, planned_readers, alpha)
        relative = (math.expm1(low), math.expm1(high))
    return replace(
        result,
        sequential_ci=always_valid(found.effect, standard_error(found.ci), readers, planned_readers, alpha),
        sequential_relative_ci=relative,
    )


def _too_early(metric: Metric, control: Aggregates | None, variant: Aggregates | None) -> str:
    sides = [side for side in (control, variant) if side is not None]
    fewest = min((side.count() for side in sides), default=0) if len(sides) == 2 else 0
    if fewest < MINIMUM_READERS:
        return (
            f"No always-valid interval yet: {fewest:,} readers on the smaller side have had their whole "
            f"window, and it begins at {MINIMUM_READERS:,}."
        )
    column = WINDOW + metric.columns[0]
    carried = min(carriers(side.count(), side.mean(column), side.var(column)) for side in sides)
    if carried < MINIMUM_CARRIERS:
        return "No always-valid interval yet: what is counted rests on too few readers."
    return ""
