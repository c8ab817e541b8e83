"""Chances of places in a list that is ranked at random by weights that follow from the ranks."""

from functools import lru_cache

import numpy as np

from recsys.candidates import Floats

# nodes per unit of the logarithm of time; the trapezoidal rule is exact to rounding for such integrands
_DENSITY = 16
_FROM, _BEYOND = 38.0, 4.5


def rank_weights(count: int, temperature: float) -> Floats:
    """(count,) weight of each rank, the best has 1.

    Example:
        >>> rank_weights(3, 0.5).round(3).tolist()
        [1.0, 0.25, 0.111]
    """
    return np.asarray(np.arange(1.0, count + 1.0) ** (-1.0 / temperature))


@lru_cache(maxsize=64)
def rank_marginals(count: int, places: int, temperature: float) -> Floats:
    """(count, places) chance of each rank at each place; its columns sum to 1.

    Each article is given an exponential waiting time with its weight as the rate; they come in the order of
    their times. So an article stands at place k when it comes at t and k - 1 others came before, which is a
    sum of independent events; the integral over t is taken on a logarithmic scale.

    Args:
        count: articles that take part.
        places: to which they come, at most ``count``.
        temperature: see ``rank_weights``.

    Example:
        >>> rank_marginals(2, 2, 1.0).round(3).tolist()
        [[0.667, 0.333], [0.333, 0.667]]
    """
    weights = rank_weights(count, temperature)
    low, high = -_FROM - np.log(weights[0]), _BEYOND - np.log(weights[-1])
    logs = np.linspace(low, high, int((high - low) * _DENSITY))
    times = np.exp(logs)
    came = -np.expm1(-weights[:, None] * times)
    found = np.empty((count, places))
    for each in range(count):
        before = np.zeros((places, len(times)))
        before[0] = 1.0
        for other in range(count):
            if other != each:
                before[1:] += came[other] * (before[:-1] - before[1:])
                before[0] *= 1.0 - came[other]
        density = weights[each] * times * np.exp(-weights[each] * times)
        found[each] = before @ density * (logs[1] - logs[0])
    found.setflags(write=False)
    return found
