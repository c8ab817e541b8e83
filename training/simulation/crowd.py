"""Readers of an experiment as arrays: what each would do on either side, for thousands of experiments.

The log of ``training.simulation.experiments`` is one experiment; here are the columns that a report makes of
such logs, drawn at once. A few readers do much of what is done, they come first, and click rates differ.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = dict[str, Floats]
_LIST = 5


@dataclass(frozen=True)
class Crowd:
    """Readers of one experiment.

    Attributes:
        day: of the first exposure, counted from 0, in rising order.
        control: columns as ``training.experiment.metrics`` names them, with ``pre_``, on the control's side.
        variant: the same readers' columns on the variant's side; without a lift the same numbers.
    """

    day: NDArray[np.int64]
    control: Columns
    variant: Columns


def draw_crowd(
    rng: np.random.Generator, readers: int, lift: float = 0.0, days: int = 28, new_share: float = 0.3
) -> Crowd:
    """Readers who all come at least once.

    Args:
        rng: of everything.
        readers: how many.
        lift: relative, of every metric's numerator.
        days: of the experiment.
        new_share: readers with nothing before; they come evenly, the others the sooner the more they read.
    """
    activity, new = rng.lognormal(0.0, 1.4, readers), rng.random(readers) < new_share
    day = np.where(new, rng.integers(days, size=readers), _first_days(rng, activity, days))
    order = np.argsort(day, kind="stable")
    activity, new, day = activity[order], new[order], day[order]
    habits = {
        "click": rng.beta(2.0, 38.0, readers),
        "views": rng.gamma(2.0, 0.5, readers),
        "seconds": rng.lognormal(3.0, 0.7, readers),
    }
    pre = _period(rng, rng.poisson(np.where(new, 0.0, activity)), habits)
    control = _period(rng, 1 + rng.poisson(activity), habits)
    past = {f"pre_{name}": values for name, values in pre.items()}
    variant = _lifted(rng, control, lift) if lift else control
    return Crowd(day, control | past, variant | past)


def _first_days(rng: np.random.Generator, activity: Floats, days: int) -> NDArray[np.int64]:
    """First of exponential waiting times, given that it lies within the experiment."""
    rate = activity / 28.0
    within = -np.expm1(-rate * days)
    waited = -np.log1p(-rng.random(len(activity)) * within) / rate
    return np.minimum(waited.astype(np.int64), days - 1)


def _period(rng: np.random.Generator, sessions: NDArray[np.int64], habits: Columns) -> Columns:
    """What readers do in a number of sessions."""
    lists = sessions + rng.poisson(1.5 * sessions * habits["views"])
    shown = _LIST * lists
    clicks = rng.binomial(shown, habits["click"])
    views = lists + clicks
    counted = {
        "ctr__num": clicks,
        "ctr__den": shown,
        "clicks_per_reader__num": clicks,
        "read_seconds_per_reader__num": views * habits["seconds"] * rng.gamma(4.0, 0.25, len(views)),
        "page_views_per_session__num": views,
        "page_views_per_session__den": sessions,
        "sessions_per_reader__num": sessions,
        "diversity__num": lists + rng.binomial(4 * lists, 0.6),
        "diversity__den": shown,
        "fresh_share__num": rng.binomial(shown, 0.4),
        "fresh_share__den": shown,
        "latency_ms__num": rng.standard_gamma(2.0 * lists) * 5.0,
        "latency_ms__den": lists,
        "fallback_share__num": rng.binomial(lists, 0.02),
        "fallback_share__den": lists,
        "hides_per_reader__num": rng.poisson(0.02 * lists),
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in counted.items()}


def _lifted(rng: np.random.Generator, control: Columns, lift: float) -> Columns:
    """The same readers with ``lift`` more of what numerators count."""
    clicks = rng.binomial(control["ctr__num"].astype(np.int64), lift)
    lifted = dict(control)
    for name in control:
        if name in ("ctr__num", "clicks_per_reader__num"):
            lifted[name] = control[name] + clicks
        elif name in ("read_seconds_per_reader__num", "latency_ms__num"):
            lifted[name] = control[name] * (1.0 + lift)
        elif name.endswith("__num"):
            lifted[name] = control[name] + rng.binomial(control[name].astype(np.int64), lift)
    return lifted
