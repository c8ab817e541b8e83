"""Features that compare decayed openings of distinct readers with what is usual.

All are logarithms of ratios, so that they mean the same by day and by night and on a small and a
large site. Counters read at one moment are enough for each: no sum over the catalogue.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Floats, Rows
from recsys.state import State

HALF_LIVES_HOURS = (1.0, 6.0, 24.0, 168.0)
_USUAL_SHARE = 1e-3
_READERS = 1.0

Counted = Callable[[State, Rows, float], Floats]


def openings(hours: float, state: State, rows: Rows, at: float) -> Floats:
    """log(1 + decayed readers / usual), where usual is a thousandth of all openings and one reader more.

    NaN for an article that was neither shown nor opened: nothing speaks against it.
    """
    counts = state.popularity
    column = counts.column(hours)
    usual = _READERS + _USUAL_SHARE * counts.openings.total(at, column)
    masses = counts.openings.read(at, column, rows)
    return np.where(_is_known(state, rows), np.log1p(masses / usual), np.nan)


def _is_known(state: State, rows: Rows) -> NDArray[np.bool_]:
    """Whether an article was shown or opened at all."""
    counts = state.popularity
    return np.asarray(counts.openings.any_mass(rows) | counts.impressions.any_mass(rows))


def group_openings(level: str, hours: float, state: State, rows: Rows, at: float) -> Floats:
    """Logarithm of the group's share of all openings over an equal share; NaN without group.

    Both sides are drawn together by one reader, so that a site without openings has 0 everywhere.
    """
    counts = state.popularity
    column = counts.column(hours)
    codes = getattr(state.catalog, level)[rows]
    equal = counts.openings.total(at, column) / max(counts.grouping.counts[level], 1)
    masses = counts.openings.read_groups(at, column, level, codes)
    return np.asarray(np.log((masses + _READERS) / (equal + _READERS)))


def rise(state: State, rows: Rows, at: float) -> Floats:
    """How much faster an article is opened now than over the day, 0 for a steady one or none.

    log(1 + readers per hour) at the fastest half-life, less the same at the one nearest to a day.
    """
    fast, slow = state.popularity.hourly_rates(at, rows)
    return np.asarray(np.log1p(fast) - np.log1p(slow))


COUNTED: dict[str, Counted] = {
    **{f"openings_{hours:.0f}h": partial(openings, hours) for hours in HALF_LIVES_HOURS},
    **{
        f"{level}_openings_{hours:.0f}h": partial(group_openings, level, hours)
        for level in ("section", "subsection")
        for hours in HALF_LIVES_HOURS
    },
    "rise": rise,
}

COUNTED_NEUTRAL = {name: 0.0 for name in COUNTED if name == "rise" or "section_openings" in name}
