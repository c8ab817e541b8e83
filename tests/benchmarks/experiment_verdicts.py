"""The verdict as it is lived with: read every day, obeyed as soon as it is one."""

from collections import Counter
from datetime import timedelta

import numpy as np

from recsys.experiments.definition import DEFAULT_GUARDRAIL, Experiment
from tests.benchmarks.experiment_arrays import Effects, effects, halves, sums, values_of
from training.experiment.metrics import METRICS
from training.experiment.ratio_mismatch import sample_ratio
from training.experiment.results import Interval, MetricResult, Role
from training.experiment.verdict import decide
from training.simulation.crowd import draw_crowd

_ROLES: dict[str, Role] = {"ctr": "primary", DEFAULT_GUARDRAIL: "guardrail"}


def obeyed(seed: int, experiment: Experiment, experiments: int, readers: int, lift: float) -> Counter[str]:
    """Verdicts on which experiments ended, with the share of time that they took as ``days``.

    Args:
        seed: of everything.
        experiment: two variants, the click-through rate as the primary metric.
        experiments: how many, each with its own readers.
        readers: of each.
        lift: relative, of every metric.
    """
    rng, found = np.random.default_rng(seed), Counter[str]()
    days = (experiment.end - experiment.start) // timedelta(days=1)
    for _ in range(experiments):
        crowd, side = draw_crowd(rng, readers, lift, days), halves(rng, 1, readers)[0]
        seen = {name: np.where(side == 1, crowd.variant[name], crowd.control[name]) for name in crowd.control}
        ends = np.searchsorted(crowd.day, np.arange(days), side="right").tolist()
        for day, end in enumerate(ends, start=1):
            part = {name: values[:end] for name, values in seen.items()}
            verdict = _verdict(experiment, part, side[:end], readers, day == days)
            if verdict != "keep_running":
                found.update({verdict: 1, "days": day})
                break
    return found


def _verdict(
    experiment: Experiment, seen: dict[str, np.ndarray], side: np.ndarray, planned: int, ended: bool
) -> str:
    names, results = [variant.name for variant in experiment.variants], []
    for name, role in _ROLES.items():
        values = values_of(seen, METRICS[name], True)
        found = effects(METRICS[name], sums(1 - side[None], values), sums(side[None], values), True)
        results.append(_result(name, role, names, found, planned))
    counts = dict(zip(names, (int((side == 0).sum()), int((side == 1).sum())), strict=True))
    weights = {variant.name: variant.weight for variant in experiment.variants}
    return decide(results, sample_ratio(counts, weights), experiment, ended).verdict


def _result(name: str, role: Role, names: list[str], found: Effects, planned: int) -> MetricResult:
    """What the report would have of the metric; relative always-valid bounds by the control's mean."""
    control, effect = float(found.control[0]), float(found.effect[0])
    half, p_value = float(found.always_valid(planned)[0]), float(found.p_value[0])
    always: Interval | None = (
        ((effect - half) / control, (effect + half) / control) if found.ready[0] else None
    )
    return MetricResult(
        name,
        role,
        *names,
        control_mean=control,
        effect=effect,
        relative_effect=effect / control,
        relative_ci=tuple(float(bound[0]) for bound in found.relative_interval()),
        p_value=p_value,
        adjusted_p_value=p_value,
        sequential_relative_ci=always,
    )
