"""Thousands of experiments whose truth is known, and how often the statistics err.

Readers are drawn anew for every world; within a world sides are given anew for every experiment. Under no
effect that is what an experiment is: the same readers, split by chance. Worlds are many where the shape of a
distribution is judged, since experiments of one world share its heaviest readers.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.experiment_arrays import (
    ALL,
    Effects,
    Sides,
    effects,
    halves,
    per_impression,
    sums,
    values_of,
)
from training.experiment.metrics import METRICS, Metric
from training.simulation.crowd import Crowd, Floats, draw_crowd

NAIVE = "ctr, a test per impression"
_BATCH = 100


def no_effect(seed: int, worlds: int, splits: int, readers: int) -> dict[tuple[str, bool], Floats]:
    """p-values of experiments without effect.

    Returns:
        By metric and whether it was adjusted by the time before, (worlds * splits,); ``NAIVE`` is the
        test that takes impressions for independent.
    """
    rng, found = np.random.default_rng(seed), {}
    for _ in range(worlds):
        crowd, assigned = draw_crowd(rng, readers), halves(rng, splits, readers)
        for metric in ALL:
            for cuped in (False, True):
                values = values_of(crowd.control, metric, cuped)
                sides = sums(1 - assigned, values), sums(assigned, values)
                found.setdefault((metric.name, cuped), []).append(effects(metric, *sides, cuped).p_value)
                if metric.name == "ctr" and not cuped:
                    found.setdefault((NAIVE, False), []).append(per_impression(*sides))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def looks(crowd: Crowd, assigned: Floats, metric: Metric, days: int) -> Iterator[Effects]:
    """Effects as they stand at the end of each day, of the readers who came until then."""
    ends = np.searchsorted(crowd.day, np.arange(days), side="right")
    values = values_of(crowd.control, metric, True)
    control = variant = None
    start = 0
    for end in ends.tolist():
        if metric.winsorised_at is not None:
            # what is cut depends on who has come
            start, control = 0, None
            values = values_of({k: v[:end] for k, v in crowd.control.items()}, metric, True)
        part = slice(start, end)
        new = sums(1 - assigned[:, part], values[part]), sums(assigned[:, part], values[part])
        control, variant = new if control is None or variant is None else (control + new[0], variant + new[1])
        start = end
        yield effects(metric, control, variant, True)


def peeking(
    seed: int, worlds: int, splits: int, readers: int, days: int = 28, plans: tuple[float, ...] = (1.0,)
) -> dict[str, NDArray[np.bool_]]:
    """Experiments without effect that were looked at every day: who ever excluded zero.

    Args:
        plans: planned readers as multiples of those who come.

    Returns:
        By metric (1 + plans, worlds * splits): the fixed-horizon test at p < .05, then the always-valid
        interval for each plan. Both begin at the first look that is allowed.
    """
    rng, found = np.random.default_rng(seed), {}
    for _ in range(worlds):
        crowd, assigned = draw_crowd(rng, readers, days=days), halves(rng, splits, readers)
        for metric in ALL:
            ever = np.zeros((1 + len(plans), splits), dtype=bool)
            for seen in looks(crowd, assigned, metric, days):
                ever[0] |= seen.ready & (seen.p_value < 0.05)
                for at, plan in enumerate(plans):
                    ever[1 + at] |= seen.ready & (np.abs(seen.effect) > seen.always_valid(plan * readers))
            found.setdefault(metric.name, []).append(ever)
    return {name: np.concatenate(parts, axis=1) for name, parts in found.items()}


def every_reader(seed: int, experiments: int, readers: int) -> float:
    """Share of click-through experiments without effect that err with a look after every reader."""
    rng, erred, metric = np.random.default_rng(seed), 0, METRICS["ctr"]
    planned = readers / 4.0
    for _ in range(experiments // _BATCH):
        crowd, assigned = draw_crowd(rng, readers), halves(rng, _BATCH, readers)
        values = values_of(crowd.control, metric, False)
        for one in assigned:
            sides = [_running(values, own) for own in (1 - one, one)]
            begun = np.flatnonzero(np.minimum(sides[0].count, sides[1].count) >= 2)
            sides = [Sides(side.count[begun], side.first[begun], side.second[begun]) for side in sides]
            seen = effects(metric, *sides, False)
            erred += bool((seen.ready & (np.abs(seen.effect) > seen.always_valid(planned))).any())
    return erred / experiments


def _running(values: Floats, own: Floats) -> Sides:
    """Sums after each reader."""
    weighted = values * own[:, None]
    second = weighted[:, :, None] * values[:, None, :]
    return Sides(np.cumsum(own), np.cumsum(weighted, axis=0), np.cumsum(second, axis=0))


def truths(seed: int, lift: float, readers: int = 1_000_000) -> dict[str, tuple[float, float]]:
    """True effect and true relative effect of each metric, from many readers on both sides at once."""
    crowd, found = draw_crowd(np.random.default_rng(seed), readers, lift), {}
    for metric in ALL:
        both = {name: np.concatenate((crowd.control[name], crowd.variant[name])) for name in metric.columns}
        values = values_of(both, metric, False)
        means = [part.mean(axis=0) for part in (values[:readers], values[readers:])]
        control, variant = (part[0] / (part[1] if len(part) > 1 else 1.0) for part in means)
        found[metric.name] = (float(variant - control), float(variant / control - 1.0))
    return found


def lifted(
    seed: int,
    experiments: int,
    readers: int,
    lift: float,
    metrics: tuple[Metric, ...] = ALL,
    cuped: bool = True,
) -> dict[str, Effects]:
    """Experiments with a known lift, each with its own readers; by metric, (experiments,)."""
    rng, found = np.random.default_rng(seed), {}
    for _ in range(experiments):
        crowd, side = draw_crowd(rng, readers, lift), halves(rng, 1, readers)
        seen = {
            name: np.where(side[0] == 1, crowd.variant[name], crowd.control[name]) for name in crowd.control
        }
        for metric in metrics:
            values = values_of(seen, metric, cuped)
            found.setdefault(metric.name, []).append(
                effects(metric, sums(1 - side, values), sums(side, values), cuped)
            )
    return {name: _joined(parts) for name, parts in found.items()}


def _joined(parts: list[Effects]) -> Effects:
    return Effects(
        np.concatenate([part.control for part in parts]),
        np.concatenate([part.variant for part in parts]),
        np.concatenate([part.variances for part in parts], axis=1),
        np.concatenate([part.counts for part in parts], axis=1),
        np.concatenate([part.ready for part in parts]),
    )


def correlated(
    rng: np.random.Generator, readers: int, correlation: float, new_share: float = 0.3
) -> Mapping[str, Floats]:
    """Outcomes whose correlation with the time before is known; new readers have nothing there.

    The time before is X = known * gamma, the outcome Y = b X + log-normal, so that the correlation is
    b sd(X) / sqrt(b^2 var X + var of the rest), over all readers.
    """
    known, shape, sigma = 1.0 - new_share, 0.7, 0.8
    second = shape * (shape + 1.0)
    spread = known * second - (known * shape) ** 2
    rest = np.expm1(sigma**2) * np.exp(sigma**2)
    slope = correlation * np.sqrt(rest / spread / (1.0 - correlation**2))
    before = np.where(rng.random(readers) < known, rng.gamma(shape, 1.0, readers), 0.0)
    outcome = slope * before + rng.lognormal(0.0, sigma, readers)
    return {"sessions_per_reader__num": outcome, "pre_sessions_per_reader__num": before}


def kept_variance(seed: int, correlation: float, worlds: int, splits: int, readers: int) -> float:
    """Variance of the adjusted effect over replicates, as a share of that of the plain one."""
    rng, metric = np.random.default_rng(seed), METRICS["sessions_per_reader"]
    crowds = (correlated(rng, readers, correlation) for _ in range(worlds))
    return _kept(rng, crowds, metric, splits, readers)


def kept_variance_of_ratio(seed: int, worlds: int, splits: int, readers: int) -> tuple[float, float]:
    """The same for the click-through rate, and the share that its linear terms leave unexplained."""
    rng, metric = np.random.default_rng(seed), METRICS["ctr"]
    crowds = [draw_crowd(rng, readers).control for _ in range(worlds)]
    kept = _kept(rng, iter(crowds), metric, splits, readers)
    rest, whole = 0.0, 0.0
    for crowd in crowds:
        own, past = (_linear(crowd, prefix) for prefix in ("", "pre_"))
        whole += own.var()
        rest += own.var() * (1.0 - np.corrcoef(own, past)[0, 1] ** 2)
    return kept, float(rest / whole)


def _linear(crowd: Mapping[str, Floats], prefix: str) -> Floats:
    """Terms whose mean is the click-through rate, up to a constant."""
    clicks, shown = crowd[f"{prefix}ctr__num"], crowd[f"{prefix}ctr__den"]
    return (clicks - clicks.sum() / shown.sum() * shown) / shown.mean()


def _kept(
    rng: np.random.Generator,
    crowds: Iterator[Mapping[str, Floats]],
    metric: Metric,
    splits: int,
    readers: int,
) -> float:
    found: dict[bool, list[Floats]] = {False: [], True: []}
    for crowd in crowds:
        values = values_of(crowd, metric, True)
        for _ in range(splits // _BATCH):
            assigned = halves(rng, _BATCH, readers)
            sides = sums(1 - assigned, values), sums(assigned, values)
            for cuped, parts in found.items():
                parts.append(effects(metric, *sides, cuped).effect)
    plain, adjusted = (np.concatenate(parts).var() for parts in found.values())
    return float(adjusted / plain)
