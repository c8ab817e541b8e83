"""How many readers an experiment needs, from readers of the past.

The past is put beside itself with every value raised by the effect that is looked for, and the report's own
arithmetic tells the effect and its error. So what a design promises has the report's winsorising, delta
method and CUPED in it, and the larger variance of a side with larger values.
"""

import math
from typing import Any

import ibis
from scipy import stats

from training.experiment.effects import effect_of, standard_error
from training.experiment.estimates import sums_of
from training.experiment.metrics import METRICS

Expr = Any


def readers_needed(
    history: Expr,
    metric: str,
    lift: float,
    power: float = 0.8,
    alpha: float = 0.05,
    share: float = 0.5,
) -> int | None:
    """Readers of the control and one variant together who find an effect with a given chance.

    Args:
        history: ibis table, one row a reader, with the metric's columns and those of the time before with
            ``pre_``, of a time as long as the experiment.
        metric: its name.
        lift: relative effect; its sign does not matter.
        power: chance to find it.
        alpha: of the two-sided test, divided by the number of variants if there are several.
        share: of the variant among the two sides.

    Returns:
        None where the past holds too little to say: nobody, nothing counted or no variance.
    """
    if not lift or not 0 < share < 1:
        raise ValueError(f"lift is {lift} and share is {share}; take a lift other than 0 and 0 < share < 1")
    changed = {METRICS[metric].columns[0]: history[METRICS[metric].columns[0]] * (1.0 + abs(lift))}
    sides = ibis.union(
        history.mutate(variant=ibis.literal("now")),
        history.mutate(**changed, variant=ibis.literal("then")),
    )
    sums = sums_of(sides, [metric])
    now, then = sums.get("now"), sums.get("then")
    found = effect_of(METRICS[metric], now, then, large_sample=True)
    if now is None or found.effect is None or found.ci is None or found.effect <= 0:
        return None
    # with both sides of one size the two variances count the same; a design may weigh them otherwise
    one_side = standard_error(found.ci) ** 2 * float(now.count()) / 2.0
    both = one_side * (1.0 / share + 1.0 / (1.0 - share))
    apart = float(stats.norm.isf(alpha / 2.0) + stats.norm.isf(1.0 - power))
    return math.ceil(both * (apart / found.effect) ** 2)
