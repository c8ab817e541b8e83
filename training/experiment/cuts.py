"""The primary metric in parts of the readers: to look at and to ask further, never to decide by."""

from typing import Any

import ibis

from training.duck import Duck, Expr
from training.experiment.estimates import compared, sums_of
from training.experiment.metrics import METRICS
from training.experiment.outcomes import Outcomes

_MOST = 8
_MARK = "\x1f"
DIMENSIONS = ("reader", "device", "section")


def slices(duck: Duck, outcomes: Outcomes) -> list[dict[str, Any]]:
    """New and returning readers, devices, sections of the first exposure: a result each, marked exploratory.

    Of a dimension the parts with the most readers are given. A part is told by what readers were before the
    side could change them.
    """
    found = []
    for dimension in DIMENSIONS:
        table = outcomes.table.mutate(part=_part(outcomes.table, dimension))
        counted = table.filter(table.part.notnull()).group_by("part").agg(n=ibis._.count())
        largest = duck.arrow(counted.order_by(ibis.desc("n"), "part").limit(_MOST)).column("part").to_pylist()
        # one part alone is the whole
        if len(largest) > 1:
            found += _of_dimension(outcomes, table.filter(table.part.isin(largest)), dimension, largest)
    return found


def _part(table: Expr, dimension: str) -> Expr:
    if dimension == "reader":
        return ibis.ifelse(table.is_new, "new", "returning")
    return table[dimension]


def _of_dimension(outcomes: Outcomes, table: Expr, dimension: str, parts: list[str]) -> list[dict[str, Any]]:
    experiment = outcomes.experiment
    metric, control = METRICS[experiment.primary_metric], experiment.control.name
    sums = sums_of(table.mutate(variant=table.part + _MARK + table.variant), [metric.name])
    found = []
    for part in parts:
        own = {
            name: sums[f"{part}{_MARK}{name}"]
            for name in (variant.name for variant in experiment.variants)
            if f"{part}{_MARK}{name}" in sums
        }
        for variant in experiment.variants[1:]:
            result = compared(metric, "primary", own, control, variant.name)
            found.append({"dimension": dimension, "slice": part, "exploratory": True, **result.to_json()})
    return found
