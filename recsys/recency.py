"""What the age of an article says, one home for serving, evaluation and training.

Every function gives a (n,) float64 array.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Floats, Rows
from recsys.config import AgeCurveConfig
from recsys.counters import HOUR
from recsys.state import State


def freshness(state: State, rows: Rows, now: float) -> Floats:
    """The age curve of the article's section where one was learned, 0 to 1; unknown ages are neutral."""
    hours, curve = (now - state.catalog.published[rows]) / HOUR, state.config.age_curve
    if curve.learned and state.learned.age:
        return state.learned.age.appeal(hours, state.catalog.section[rows], curve.unknown)
    return age_appeal(curve, hours)


def newness(state: State, rows: Rows, now: float) -> Floats:
    """1 for an article of this hour falling to 0 at a year, linear in log(1 + hours), 0 to 1.

    Steeper among the first hours than the age curve, as choices among a whole catalogue are; an
    unknown age has the age curve's neutral value.
    """
    hours = np.maximum((now - state.catalog.published[rows]) / HOUR, 0.0)
    found = 1.0 - np.log1p(hours) / np.log1p(24.0 * 365.0)
    return np.where(np.isnan(hours), state.config.age_curve.unknown, np.maximum(found, 0.0))


def age_appeal(curve: AgeCurveConfig, hours: Floats) -> Floats:
    """Value of the age curve at ages in hours, linear in log(1 + hours) between its knots."""
    at, values = np.array(curve.knots, dtype=np.float64).T
    known = ~np.isnan(hours)
    appeal = np.interp(np.log1p(np.maximum(np.where(known, hours, 0.0), 0.0)), np.log1p(at), values)
    return np.where(known, appeal, curve.unknown)


def log_age(state: State, rows: Rows, now: float) -> Floats:
    """Logarithm of 1 + hours since publication; NaN where it is unknown."""
    hours = (now - state.catalog.published[rows]) / HOUR
    return np.asarray(np.log1p(np.maximum(hours, 0.0)))


def recency(published: NDArray[np.float64], now: float) -> Floats:
    """1 / (1 + age in days): falls with age without ever reaching a tie; unknown ages have 0."""
    days = np.maximum((now - published) / (24 * HOUR), 0.0)
    return np.where(np.isnan(published), 0.0, 1.0 / (1.0 + days))
