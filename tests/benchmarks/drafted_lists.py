"""Readers who click in drafted lists and in lists of one side, by the same habits.

Readers differ much in how often they come and click (log-normal), and look at a place the less the lower it
stands. An article has a worth; each side ranks by its worth and noise, the better side by less noise. The A/B
test is given its better metric: clicks per list by the delta method, which heavy readers disturb less than
clicks per reader.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from recsys.exploration import Draws
from recsys.interleaving import draft

Floats = NDArray[np.float64]
LENGTH, POOL = 8, 20


class Clicks(NamedTuple):
    """Clicks of each of n readers in a group, and what they were expected to be.

    Attributes:
        lists: (n) that each reader saw.
        control, variant: (n) of readers who each saw the lists of one side.
        credit: (n) of readers who saw drafted lists, on articles of the variant less those of the control.
        expected: mean of each of the three, from the chances to click, which tell it more exactly.
    """

    lists: Floats
    control: Floats
    variant: Floats
    credit: Floats
    expected: tuple[float, float, float]


def clicked(readers: int, noise: tuple[float, float], seed: int) -> Clicks:
    """Let readers click.

    Args:
        readers: in each of the three groups.
        noise: of the rankings of control and variant.
        seed: of everything.
    """
    rng, found, expected = np.random.default_rng(seed), np.zeros((3, readers)), np.zeros(3)
    looked = 1.0 / np.sqrt(np.arange(1, LENGTH + 1))
    lists = np.minimum(np.ceil(np.exp(rng.normal(0.7, 1.0, readers))), 50.0)
    for reader in range(readers):
        habit = float(np.exp(rng.normal(-3.0, 1.0)))
        for number in range(int(lists[reader])):
            worth = rng.normal(size=POOL)
            ranked = [np.argsort(-(worth + rng.normal(size=POOL) * each)).tolist() for each in noise]
            draws, both = Draws(seed, b"%d %d" % (reader, number)), dict(zip("ab", ranked, strict=True))
            made = draft(both, LENGTH, {}, lambda row: (row,), draws, "drafted")
            whole = np.ones(LENGTH)
            signs = np.array([{"a": -1.0, "b": 1.0, None: 0.0}[team] for team in made.teams])
            shown = ((ranked[0][:LENGTH], whole), (ranked[1][:LENGTH], whole), (made.rows, signs))
            for group, (rows, counts) in enumerate(shown):
                chances = np.minimum(1.0, habit * looked * np.exp(0.5 * worth[rows]))
                found[group, reader] += counts @ (rng.random(LENGTH) < chances)
                expected[group] += counts @ chances
    means = expected / readers
    return Clicks(lists, found[0], found[1], found[2], (float(means[0]), float(means[1]), float(means[2])))


def readers_needed(clicks: Clicks, power: float = 0.8, alpha: float = 0.05) -> tuple[float, float]:
    """Readers that an A/B test (both sides together) and interleaving need for the same decision."""
    apart = float(stats.norm.isf(alpha / 2.0) + stats.norm.isf(1.0 - power))
    control, variant, credit = clicks.expected
    both = 0.0
    for own, mean in ((clicks.control, control), (clicks.variant, variant)):
        # clicks per list, linearised
        apart_from_ratio = own - mean / clicks.lists.mean() * clicks.lists
        both += 2.0 * float(apart_from_ratio.var(ddof=1))
    return (
        both * (apart / (variant - control)) ** 2,
        float(clicks.credit.var(ddof=1)) * (apart / credit) ** 2,
    )
