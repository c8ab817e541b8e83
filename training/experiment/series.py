"""The primary metric over time: by day since a reader's first exposure, and so far at each day's end."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray
from tea_tasting.aggr import Aggregates

from training.duck import Duck, Expr
from training.experiment.estimates import compared, sums_of, with_sequential
from training.experiment.metrics import METRICS, WINDOW, Metric
from training.experiment.outcomes import Outcomes
from training.experiment.results import MetricResult
from training.experiment.sequential import PLANNED_READERS

_DAY = 86_400_000_000
_MOST_DAYS = 400
_MOST_AGES = 28
_MOMENTS = ("top", "below", "top_top", "below_below", "top_below")


@dataclass(frozen=True)
class Point:
    """The metric on one day.

    Attributes:
        day: 1 for the first.
        begin, end: unix seconds of the day; None for a day of the reader's own.
        result: without adjustment by the time before, except for its always-valid interval.
    """

    day: int
    begin: float | None
    end: float | None
    result: MetricResult


def by_day_of_reader(duck: Duck, outcomes: Outcomes) -> list[Point]:
    """The metric on a reader's first day in the experiment, the second, and so on.

    Only readers whose day has ended count, so that no day is cut short; a new thing that wears off shows as
    an effect that shrinks.
    """
    metric, frame = METRICS[outcomes.experiment.primary_metric], outcomes.frame
    rows = _dated(outcomes, metric)
    rows = rows.mutate(day=ibis.greatest(rows.us - rows["first"], 0) // _DAY)
    whole = rows["first"] + (rows.day + 1) * _DAY <= frame.until
    rows = rows.filter(whole, rows.day < _MOST_AGES)
    daily = rows.group_by("code", "unit", "day").agg(top=rows.top.sum(), below=rows.below.sum())
    people = outcomes.people.rows
    ended = (frame.until - people["first"]) // _DAY
    readers = _table(duck, people.mutate(day=ended).group_by("code", "day").agg(n=ibis._.count()))
    moments = _table(duck, _squares(_capped(duck, outcomes, metric, daily)))
    days = min(int(readers["day"].max(initial=0)), _MOST_AGES)
    counts = _grid(readers, ("n",), outcomes, int(readers["day"].max(initial=0)) + 1)["n"]
    # who has seen d whole days has seen all earlier ones
    counts = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1 : days + 1]
    return list(_points(outcomes, metric, _grid(moments, _MOMENTS, outcomes, days), counts, None))


def so_far(duck: Duck, outcomes: Outcomes, planned_readers: int = PLANNED_READERS) -> list[Point]:
    """What a report would have said at the end of each day: both intervals."""
    metric, frame = METRICS[outcomes.experiment.primary_metric], outcomes.frame
    rows = _dated(outcomes, metric)
    rows = rows.mutate(day=(rows.us - frame.start) // _DAY)
    days = min(-(-(frame.until - frame.start) // _DAY), _MOST_DAYS)
    daily = rows.group_by("code", "unit", "day").agg(top=rows.top.sum(), below=rows.below.sum())
    moments = _grid(_table(duck, _grown(_running(duck, outcomes, metric, daily))), _MOMENTS, outcomes, days)
    people = outcomes.people.rows
    came = people.mutate(day=(people["first"] - frame.start) // _DAY)
    arrived = _grid(_table(duck, came.group_by("code", "day").agg(n=ibis._.count())), ("n",), outcomes, days)
    summed = {name: values.cumsum(axis=1) for name, values in moments.items()}
    spans = [
        ((frame.start + day * _DAY) / 1e6, min(frame.start + (day + 1) * _DAY, frame.until) / 1e6)
        for day in range(days)
    ]
    points = list(_points(outcomes, metric, summed, arrived["n"].cumsum(axis=1), spans))
    windows = _windows(duck, outcomes, metric, days)
    alpha = 0.05 / (len(outcomes.experiment.variants) - 1)
    return [
        replace(p, result=with_sequential(p.result, windows[p.day - 1], planned_readers, alpha))
        for p in points
    ]


def _dated(outcomes: Outcomes, metric: Metric) -> Expr:
    """code, unit, first, us, top and below of the running time."""
    above, under = outcomes.measures(metric.name)
    zero = ibis.literal(0.0, "float64")
    tops = outcomes.facts.measure(above).rename(top="value").mutate(below=zero)
    rows = tops
    if under is not None:
        belows = outcomes.facts.measure(under).rename(below="value").mutate(top=zero)
        rows = tops.union(belows.select(tops.columns))
    rows = rows.filter(~rows.pre)
    return rows.inner_join(outcomes.people.rows.select("unit", "first", "code"), "unit")


def _cap(duck: Duck, outcomes: Outcomes, metric: Metric) -> float | None:
    """Where a reader's total is cut, as in the estimates."""
    if metric.winsorised_at is None:
        return None
    cap = duck.arrow(outcomes.table[metric.columns[0]].quantile(metric.winsorised_at)).as_py()
    return float(cap) if cap else None


def _capped(duck: Duck, outcomes: Outcomes, metric: Metric, rows: Expr) -> Expr:
    cap = _cap(duck, outcomes, metric)
    return rows if cap is None else rows.mutate(top=ibis.least(rows.top, ibis.literal(cap)))


def _running(duck: Duck, outcomes: Outcomes, metric: Metric, daily: Expr) -> Expr:
    """Each reader's sums so far, and those of their day before."""
    own = ibis.window(group_by="unit", order_by="day")
    upto = ibis.window(group_by="unit", order_by="day", preceding=None, following=0)
    rows = daily.mutate(top=daily.top.sum().over(upto), below=daily.below.sum().over(upto))
    rows = _capped(duck, outcomes, metric, rows)
    return rows.mutate(**{f"last_{name}": rows[name].lag(default=0.0).over(own) for name in ("top", "below")})


def _squares(rows: Expr) -> Expr:
    return rows.group_by("code", "day").agg(
        top=rows.top.sum(),
        below=rows.below.sum(),
        top_top=(rows.top * rows.top).sum(),
        below_below=(rows.below * rows.below).sum(),
        top_below=(rows.top * rows.below).sum(),
    )


def _grown(rows: Expr) -> Expr:
    """By how much each day adds to the sums over readers, so that days can be added up."""
    products = {
        "top_top": rows.top * rows.top - rows.last_top * rows.last_top,
        "below_below": rows.below * rows.below - rows.last_below * rows.last_below,
        "top_below": rows.top * rows.below - rows.last_top * rows.last_below,
        "top": rows.top - rows.last_top,
        "below": rows.below - rows.last_below,
    }
    return rows.group_by("code", "day").agg(**{name: value.sum() for name, value in products.items()})


def _table(duck: Duck, rows: Expr) -> dict[str, NDArray[Any]]:
    return duck.columns(rows)


def _grid(
    columns: dict[str, NDArray[Any]], names: tuple[str, ...], outcomes: Outcomes, days: int
) -> dict[str, NDArray[np.float64]]:
    """(variants, days) of each name, 0 where there is nothing."""
    found = {}
    for name in names:
        grid = np.zeros((len(outcomes.experiment.variants), days))
        inside = columns["day"] < days
        grid[columns["code"][inside], columns["day"][inside]] = columns[name][inside]
        found[name] = grid
    return found


def _points(
    outcomes: Outcomes,
    metric: Metric,
    sums: dict[str, NDArray[np.float64]],
    readers: NDArray[np.float64],
    spans: list[tuple[float, float]] | None,
) -> Iterator[Point]:
    names = [variant.name for variant in outcomes.experiment.variants]
    for day in range(readers.shape[1]):
        sides = {
            name: _aggregates(metric, readers[code, day], {k: v[code, day] for k, v in sums.items()})
            for code, name in enumerate(names)
        }
        for name in names[1:]:
            begin, end = (None, None) if spans is None else spans[day]
            yield Point(day + 1, begin, end, compared(metric, "primary", sides, names[0], name))


def _aggregates(metric: Metric, readers: float, sums: dict[str, float]) -> Aggregates:
    """Means, variances and the covariance of a side from its sums; readers without a row have zeros."""
    n = max(float(readers), 1.0)
    less = max(n - 1.0, 1.0)
    means = {"top": sums["top"] / n, "below": sums["below"] / n}

    def spread(product: str, first: str, second: str) -> float:
        return (sums[product] - n * means[first] * means[second]) / less

    ends = dict(zip(("top", "below"), metric.columns, strict=False))
    return Aggregates(
        int(readers),
        {column: means[end] for end, column in ends.items()},
        {column: max(spread(f"{end}_{end}", end, end), 0.0) for end, column in ends.items()},
        {metric.columns: spread("top_below", "top", "below")} if len(ends) == 2 else {},
    )


def _with_spread(side: Aggregates | None) -> Aggregates | None:
    """One reader alone has no variance, and adds none of their own."""
    if side is None or side.count() > 1:
        return side
    return Aggregates(side.count(), side.mean_, dict.fromkeys(side.var_, 0.0), dict.fromkeys(side.cov_, 0.0))


def _windows(duck: Duck, outcomes: Outcomes, metric: Metric, days: int) -> list[dict[str, Aggregates]]:
    """At each day the sums of the fixed window, over readers for whom it had ended."""
    table, frame = outcomes.table, outcomes.frame
    done = table.filter(table[WINDOW + metric.columns[0]].notnull())
    over = done.first_at + ibis.literal(frame.window / 1e6) - ibis.literal(frame.start / 1e6)
    day = ibis.greatest((over / ibis.literal(_DAY / 1e6)).ceil().cast("int64") - 1, 0)
    keyed = done.mutate(variant=day.cast("string") + "/" + done.variant)
    if not duck.number(keyed.count()):
        return [{} for _ in range(days)]
    found = sums_of(keyed, [metric.name], WINDOW)
    sides: list[dict[str, Aggregates]] = []
    names = [variant.name for variant in outcomes.experiment.variants]
    for at in range(days):
        before = sides[-1] if at else {}
        both = {name: [before.get(name), _with_spread(found.get(f"{at}/{name}"))] for name in names}
        sides.append(
            {
                name: reduce(add, parts)
                for name, given in both.items()
                if (parts := [part for part in given if part is not None])
            }
        )
    return sides
