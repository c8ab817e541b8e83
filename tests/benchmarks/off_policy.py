"""How far estimates of policies that were not served are off, where the truth is known; and on real logs."""

import numpy as np

from tests.benchmarks.common import Figure
from tests.training.ope.open_bandit import ABSENT, FOLDER, judged
from tests.training.ope.worlds import OVERLAPS, World
from training.ope.clicks import crossed
from training.ope.estimators import ESTIMATORS, KINDS, default_cap, estimate
from training.ope.support import MIN_EFFECTIVE_READERS, choose, support_of

_SEED, _READERS, _EACH = 2026, 2000, 3
# logs of which the support is told; it is that of all within its noise
_LOOKED_AT = 25


def measure(logs: int = 1000) -> list[Figure]:
    """Bias and coverage at three overlaps, the refusal, and the open bandit.

    Args:
        logs: simulated for each overlap and behaviour.
    """
    figures = [
        figure
        for cascade in (False, True)
        for overlap in OVERLAPS
        for figure in _errors(World(overlap, cascade=cascade), overlap, logs)
    ]
    return [*figures, _refusals(200), *_open_bandit()]


def _errors(world: World, overlap: str, logs: int) -> list[Figure]:
    """Of each estimator: how often its interval holds the truth; the bias stands in the name.

    Judged is what the log supports and whose assumption holds.
    """
    found = {name: np.zeros((logs, 2)) for name in ESTIMATORS}
    effective: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(logs):
        lists = world.logged(np.random.default_rng([_SEED, number]), _READERS, _EACH)
        said, cap = crossed(lists, world.articles), default_cap(len(lists))
        for name in ESTIMATORS:
            each = estimate(lists, name, said, cap)
            found[name][number] = each.value, each.low <= world.truth <= each.high
        for kind in KINDS if number < _LOOKED_AT else ():
            effective[kind].append(support_of(lists, kind, 0.0, cap).effective_readers)
    behaviour = "a click ends the list" if world.cascade else "places apart"
    figures = []
    for name, values in found.items():
        kind = name.split("-")[0]
        worth = float(np.median(effective[kind]))
        bias, noise = values[:, 0].mean() - world.truth, values[:, 0].std() / np.sqrt(logs)
        covered = 100.0 * float(values[:, 1].mean())
        holds = worth >= MIN_EFFECTIVE_READERS and not (kind == "item" and world.cascade)
        good = 93.0 <= covered <= 97.0 and abs(bias) < max(3.0 * noise, 0.01 * world.truth)
        told = f"bias {100 * bias / world.truth:+.2f}% ± {100 * noise / world.truth:.2f}"
        figures.append(
            Figure(
                f"OPE {overlap}, {behaviour}, {name}: {told}, worth {worth:,.0f} readers; covers",
                covered,
                "%",
                bar="93-97, bias < 1% or noise" if holds else "",
                good=bool(good) if holds else None,
            )
        )
    return figures


def _refusals(logs: int) -> Figure:
    """How often a policy is refused whose articles a log of swaps never shows."""
    world, refused = World("wide", method="swap"), 0
    missing = world.unsupported
    for number in range(logs):
        lists = world.logged(np.random.default_rng([_SEED + 1, number]), _READERS, _EACH)
        supports = {"cascade": support_of(lists, "cascade", missing, default_cap(len(lists)))}
        refused += choose(supports, None).estimator is None
    name = f"OPE refused where {100 * missing:.0f}% of the policy was never shown"
    return Figure(name, 100.0 * refused / logs, "%", bar="100", good=refused == logs)


def _open_bandit() -> list[Figure]:
    if not FOLDER.is_dir():
        return [Figure(f"open bandit: skipped, {ABSENT}", float("nan"), "")]
    figures = []
    for policy, log in (("bts", "random"), ("random", "bts")):
        found = judged(policy, log)
        own = f"own {1e3 * found.own.value:.2f} ({1e3 * found.own.low:.2f} to {1e3 * found.own.high:.2f})"
        for name, each in found.estimates.items():
            inside = f"({1e3 * each.low:.2f} to {1e3 * each.high:.2f})"
            told = f"open bandit, {policy} from {log}, {name} {inside}, {own}"
            worth = f"worth {found.support.effective_lists:,.0f} of 10,000 rows"
            figures.append(Figure(f"{told}, {worth}", 1e3 * each.value, "clicks per 1,000"))
    return figures
