"""How often the statistics of experiments err, over thousands of experiments whose truth is known.

Seeds were fixed before the figures were seen. ``docs/experiments.md`` tells what the figures mean.
"""

import time
from collections import Counter

import ibis
import numpy as np
import pyarrow as pa
from scipy import stats

from recsys.experiments.assignment import Sides
from recsys.experiments.definition import Experiment
from tests.benchmarks.common import Figure
from tests.benchmarks.drafted_lists import clicked
from tests.benchmarks.drafted_lists import readers_needed as readers_needed_for
from tests.benchmarks.experiment_arrays import columns_of
from tests.benchmarks.experiment_trials import (
    NAIVE,
    every_reader,
    kept_variance,
    kept_variance_of_ratio,
    lifted,
    no_effect,
    peeking,
    truths,
)
from tests.benchmarks.experiment_verdicts import obeyed
from training.experiment.metrics import METRICS
from training.experiment.power import readers_needed
from training.experiment.ratio_mismatch import ALPHA, sample_ratio
from training.simulation.crowd import Columns, draw_crowd

_SEED = 20_261_125
_READERS = 20_000
_PLANS = (1.0, 0.1, 10.0)
_DEFINITION = {
    "id": "verdicts",
    "unit": "user",
    "surfaces": ["related"],
    "start": "2026-03-01T00:00:00Z",
    "end": "2026-03-15T00:00:00Z",
    "primary_metric": "ctr",
    "variant": [{"name": "old", "weight": 0.5}, {"name": "new", "weight": 0.5}],
}
_POWERED = {"ctr": 0.1, "clicks_per_reader": 0.1, "page_views_per_session": 0.05}


def measure() -> list[Figure]:
    """All figures, some ten minutes."""
    return [
        *errors_without_effect(_SEED, 1000, 10),
        *errors_of_looking(_SEED + 1, 100, 100),
        *errors_of_every_look(_SEED + 2, 2000),
        *coverage(_SEED + 3, 2000),
        *powers(_SEED + 4, 2000),
        *reductions(_SEED + 5, 20, 500),
        *mismatches(_SEED + 6, 10_000),
        *verdicts(_SEED + 7, 500),
        *drafted(_SEED + 8, 4000),
        *assigned(1_000_000),
    ]


def assigned(readers: int) -> list[Figure]:
    """Time to put a reader on a side, and whether the sides are even."""
    sides, names = Sides(Experiment.model_validate(_DEFINITION)), [f"reader-{n}" for n in range(readers)]
    begin = time.process_time()
    found = [sides.of(name) for name in names]
    took = (time.process_time() - begin) / readers * 1e6
    counts = list(Counter(side.name for side in found if side is not None).values())
    even = float(stats.chisquare(counts).pvalue)
    name = f"a reader is put on a side (chi-square of {readers:,} readers: p = {even:.2g})"
    return [Figure(name, took, "CPU us", bar="< 5, p > .001", good=took < 5.0 and even > 1e-3)]


def drafted(seed: int, readers: int) -> list[Figure]:
    """How many readers interleaving spares for the same decision on the same difference."""
    split, interleaved = readers_needed_for(clicked(readers, (1.2, 1.0), seed))
    ratio = split / interleaved
    name = f"readers for 80% power: A/B (clicks per list) {split:,.0f}, interleaving {interleaved:,.0f}"
    return [Figure(name, interleaved, "readers", ratio, bar=">= 10", good=ratio >= 10.0)]


def errors_without_effect(seed: int, worlds: int, splits: int) -> list[Figure]:
    """Share of A/A experiments below .05, and whether all p-values are uniform."""
    figures = []
    for (name, cuped), p_values in no_effect(seed, worlds, splits, _READERS).items():
        below = 100.0 * float((p_values < 0.05).mean())
        uniform = float(stats.kstest(p_values, "uniform").pvalue)
        naive = name == NAIVE
        figures.append(
            Figure(
                f"{len(p_values):,} A/A: {name}{', adjusted' if cuped else ''}: p < .05 (KS p {uniform:.3g})",
                below,
                "%",
                bar="shown failing: > 10%" if naive else "5% +- 1%, KS p > .001",
                good=below > 10.0 if naive else abs(below - 5.0) <= 1.0 and uniform > 0.001,
            )
        )
    return figures


def errors_of_looking(seed: int, worlds: int, splits: int) -> list[Figure]:
    """Share of A/A experiments that ever excluded zero in 28 daily looks."""
    figures = []
    for name, ever in peeking(seed, worlds, splits, _READERS, plans=_PLANS).items():
        naive, *valid = (100.0 * ever.mean(axis=1)).tolist()
        told = f"{ever.shape[1]:,} A/A, 28 daily looks: {name}"
        figures.append(Figure(f"{told}, fixed-horizon test", naive, "%", bar="> 15%", good=naive > 15.0))
        figures += [
            Figure(f"{told}, always valid (plan x {plan:g})", share, "%", bar="<= 5%", good=share <= 5.0)
            for plan, share in zip(_PLANS, valid, strict=True)
        ]
    return figures


def errors_of_every_look(seed: int, experiments: int) -> list[Figure]:
    """The same with a look after every reader, from the first that is allowed to 4 times the plan."""
    share = 100.0 * every_reader(seed, experiments, 40_000)
    name = f"{experiments:,} A/A, a look after each of 40,000 readers: ctr, always valid (plan 10,000)"
    return [Figure(name, share, "%", bar="<= 5%", good=share <= 5.0)]


def coverage(seed: int, experiments: int, lift: float = 0.05, readers: int = 5_000) -> list[Figure]:
    """How often intervals hold the true effect of a lift."""
    figures, known = [], truths(seed, lift)
    for cuped in (False, True):
        found = lifted(seed + 100 + cuped, experiments, readers, lift, cuped=cuped)
        for name, seen in found.items():
            effect, relative = known[name]
            half = seen.always_valid(readers)
            shares = {
                "ci": _held(seen.interval(), effect),
                "relative_ci": _held(seen.relative_interval(), relative),
                "sequential_ci": _held((seen.effect - half, seen.effect + half), effect),
            }
            for kind, share in shares.items():
                once = kind != "sequential_ci"
                side = f"{name}{', adjusted' if cuped else ''}"
                told = f"{experiments:,} lifts of {lift:.0%}: {side}: {kind} covers"
                good = 93.0 <= share <= 97.0 if once else share >= 95.0
                figures.append(Figure(told, share, "%", bar="93-97%" if once else ">= 95%", good=good))
    return figures


def _held(interval: tuple[np.ndarray, np.ndarray], truth: float) -> float:
    return 100.0 * float(((interval[0] <= truth) & (truth <= interval[1])).mean())


def powers(seed: int, experiments: int) -> list[Figure]:
    """Share of experiments that find the lift that they were designed to find in 80%."""
    figures, history = [], draw_crowd(np.random.default_rng(seed), 100_000).control
    for at, (name, lift) in enumerate(_POWERED.items()):
        for cuped in (False, True):
            readers = designed(history, name, lift, cuped)
            found = lifted(seed + 10 * at + cuped + 1, experiments, readers, lift, (METRICS[name],), cuped)[
                name
            ]
            share = 100.0 * float(((found.p_value < 0.05) & (found.effect > 0)).mean())
            told = f"{experiments:,} of {readers:,} readers: {name}{', adjusted' if cuped else ''}: "
            told += f"finds {lift:.0%}, as designed"
            figures.append(Figure(told, share, "%", bar="80% +- 5", good=abs(share - 80.0) <= 5.0))
    return figures


def designed(history: Columns, metric: str, lift: float, cuped: bool) -> int:
    """Readers that find a lift in 80%, from readers of the past."""
    wanted = columns_of(METRICS[metric], cuped)
    readers = readers_needed(ibis.memtable(pa.table({name: history[name] for name in wanted})), metric, lift)
    assert readers is not None
    return readers


def reductions(seed: int, worlds: int, splits: int, readers: int = 100_000) -> list[Figure]:
    """Variance of the adjusted effect as a share of the plain one's, over replicates."""
    figures, told = [], f"{worlds * splits:,} replicates of {readers:,} readers: "
    for at, correlation in enumerate((0.3, 0.5, 0.7)):
        kept, expected = kept_variance(seed + at, correlation, worlds, splits, readers), 1.0 - correlation**2
        name = f"{told}variance kept by CUPED, correlation {correlation}"
        good = abs(kept - expected) <= 0.02
        figures.append(Figure(name, kept, "", bar=f"{expected:.2f} +- 0.02", good=good))
    kept, expected = kept_variance_of_ratio(seed + 3, worlds, splits, readers)
    name, good = f"{told}variance kept by CUPED, click-through rate", abs(kept - expected) <= 0.02
    return [*figures, Figure(name, kept, "", bar=f"{expected:.3f} +- 0.02", good=good)]


def mismatches(seed: int, experiments: int) -> list[Figure]:
    """How often a wrong proportion is found, a right one is not, and what smaller losses need."""
    rng, readers = np.random.default_rng(seed), 100_000
    caught = _failed(rng.multinomial(readers, (0.51, 0.49), experiments), (0.5, 0.5))
    even = _failed(rng.multinomial(readers, (0.5, 0.5), experiments), (0.5, 0.5))
    uneven = _failed(rng.multinomial(readers, (0.8, 0.15, 0.05), experiments), (0.8, 0.15, 0.05))
    figures = [
        Figure(
            "sample ratio: 51/49 with 100,000 readers is found",
            caught,
            "%",
            bar=">= 95%",
            good=caught >= 95.0,
        ),
        Figure("sample ratio: 50/50 is taken for wrong", even, "%", bar="0.1%", good=even <= 0.25),
        Figure("sample ratio: 80/15/5 is taken for wrong", uneven, "%", bar="0.1%", good=uneven <= 0.25),
    ]
    for loss in (0.05, 0.02, 0.01, 0.005, 0.002):
        name = f"sample ratio: readers to find in 95% that one side lost {loss:.1%} of its own"
        figures.append(Figure(name, readers_to_find(loss), ""))
    return figures


def verdicts(seed: int, experiments: int, readers: int = 5_000) -> list[Figure]:
    """What comes of experiments whose verdict is read every day and obeyed, without and with an effect."""
    definition, figures = Experiment.model_validate(_DEFINITION), []
    for lift in (0.0, 0.1):
        found = obeyed(seed, definition, experiments, readers, lift)
        shipped, broken, days = (100.0 * found[name] / experiments for name in ("ship", "broken", "days"))
        told = f"{experiments:,} verdicts read daily, {lift:.0%} more clicks: "
        bar = ("<= 5%", shipped <= 5.0) if not lift else ("", None)
        figures += [
            Figure(f"{told}ship", shipped, "%", bar=bar[0], good=bar[1]),
            Figure(f"{told}broken", broken, "%"),
            Figure(f"{told}mean days of 14", days / 100.0, "days"),
        ]
    return figures


def readers_to_find(loss: float) -> float:
    """Readers of both sides, planned half and half, with whom a loss of one side is found in 95%."""
    share = 1.0 / (2.0 - loss)
    apart = stats.norm.isf(ALPHA / 2.0) + stats.norm.isf(0.05)
    return float((apart / (2.0 * share - 1.0)) ** 2)


def _failed(counts: np.ndarray, weights: tuple[float, ...]) -> float:
    names = [str(at) for at in range(len(weights))]
    planned = dict(zip(names, weights, strict=True))
    failed = [sample_ratio(dict(zip(names, row, strict=True)), planned).failed for row in counts.tolist()]
    return 100.0 * float(np.mean(failed))
