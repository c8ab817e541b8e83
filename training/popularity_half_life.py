"""The half-life at which decayed counts foretell the next opening best.

Before each opening, every article has a decayed count of earlier ones (recsys.counters). The chance of
the next article is taken as its share of all counts, mixed with an even chance for articles not read so
far; the half-life that makes the openings that happened most likely is chosen. It balances change
against the noise of small counts, so it is not the half-life of appeal by age.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GRID_HOURS = np.geomspace(0.5, 8760.0, 29)
PRIOR_HOURS = 4.0
_PRIOR_SPREAD, _SECTION_SPREAD = 1.5, 1.0
_MOST = 400_000


@dataclass(frozen=True)
class PopularityHalfLives:
    """Hours for the whole log and by section, and how many openings they rest on."""

    whole: float
    sections: list[float]
    openings: int


def popularity_half_lives(
    rows: NDArray[np.integer], ts: Floats, sections: NDArray[np.integer], count: int
) -> PopularityHalfLives | None:
    """Of distinct openings; the last 400,000 of a longer log.

    Args:
        rows: (m,) articles.
        ts: (m,) unix seconds.
        sections: (m,) section code of each opening, -1 for none.
        count: number of sections.

    Returns:
        None where no article was opened twice.
    """
    order = np.argsort(ts, kind="stable")[-_MOST:]
    rows, ts, sections = rows[order], ts[order], sections[order]
    everything = _likelihoods(rows, ts, np.zeros(len(rows), dtype=np.intp))
    if everything is None:
        return None
    whole = _best(everything.sum(axis=1), PRIOR_HOURS, _PRIOR_SPREAD)
    within = _likelihoods(rows, ts, np.asarray(sections, dtype=np.intp))
    assert within is not None
    found = []
    for code in range(count):
        own = within[:, sections == code]
        found.append(_best(own.sum(axis=1), whole, _SECTION_SPREAD))
    return PopularityHalfLives(whole, found, len(rows))


def _likelihoods(rows: NDArray[np.integer], ts: Floats, groups: NDArray[np.intp]) -> Floats | None:
    """(g, m) log chance of each opening among the articles of its group, for each half-life."""
    known = _articles_before(rows, groups)
    found = []
    for hours in GRID_HOURS:
        own, total = (decayed_before(keys, ts, hours) for keys in (rows, groups))
        if not own.any():
            return None
        share = own / np.maximum(total, 1e-300)
        found.append(np.log(_mixed(share, 1.0 / known)))
    return np.array(found)


def _mixed(share: Floats, even: Floats) -> Floats:
    """Chances with the most likely share of even chance; by EM."""
    mix = 0.2
    for _ in range(15):
        by_chance = mix * even
        mix = float(np.clip((by_chance / (by_chance + (1.0 - mix) * share)).mean(), 1e-4, 1.0 - 1e-4))
    return mix * even + (1.0 - mix) * share


def _articles_before(rows: NDArray[np.integer], groups: NDArray[np.intp]) -> Floats:
    """(m,) articles of the group opened up to and with each opening; openings in time order."""
    fresh = np.zeros(len(rows))
    fresh[np.unique(rows, return_index=True)[1]] = 1.0
    order = np.argsort(groups, kind="stable")
    counted = np.cumsum(fresh[order])
    starts = np.flatnonzero(np.diff(groups[order], prepend=-(10**9)))
    before = np.repeat(counted[starts] - fresh[order][starts], np.diff(np.append(starts, len(rows))))
    known = np.empty(len(rows))
    known[order] = counted - before
    return known


def decayed_before(keys: NDArray[np.integer], ts: Floats, half_life_hours: float) -> Floats:
    """(m,) decayed count of earlier events with the same key; events in time order.

    One running log-sum over events sorted by key; each key is lifted so far above the one before that
    nothing is carried over.
    """
    order = np.argsort(keys, kind="stable")
    scaled = (ts[order] - ts[0]) * (np.log(2.0) / (half_life_hours * 3600.0))
    segment = np.cumsum(np.diff(keys[order], prepend=keys[order][:1]) != 0)
    lifted = scaled + segment * (float(scaled.max()) + 60.0)
    summed = np.logaddexp.accumulate(lifted)
    found = np.zeros(len(ts))
    same = segment[1:] == segment[:-1]
    found[order[1:]] = np.where(same, np.exp(np.minimum(summed[:-1] - lifted[1:], 50.0)), 0.0)
    return found


def _best(likelihood: Floats, towards: float, spread: float) -> float:
    """The most likely half-life given the prior, between the points of the grid by a parabola."""
    logs = np.log(GRID_HOURS)
    posterior = likelihood - (logs - np.log(towards)) ** 2 / (2.0 * spread**2)
    k = int(np.argmax(posterior))
    if k in (0, len(logs) - 1):
        return float(GRID_HOURS[k])
    left, mid, right = posterior[k - 1 : k + 2]
    shift = 0.5 * (left - right) / (left - 2.0 * mid + right)
    return float(np.exp(logs[k] + shift * (logs[1] - logs[0])))
