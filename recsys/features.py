"""The features of a candidate, one home for serving, evaluation and training.

Every feature is a (n,) float64 array; NaN means it cannot be computed for that candidate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Floats, Rows
from recsys.catalog import UNKNOWN
from recsys.config import AgeCurveConfig
from recsys.popularity import HOUR
from recsys.profile import Reader
from recsys.state import State


@dataclass(frozen=True, slots=True)
class Moment:
    """When and for whom features are computed.

    Attributes:
        now: unix seconds.
        context: row of the article being read, None without.
        reader: the reader's past, None without.
        count_at: unix seconds at which counters are read: ``now``, or the log's watermark where the
            log has no recent events.
    """

    now: float
    context: int | None
    reader: Reader | None
    count_at: float


def similarity(state: State, rows: Rows, context: int | None) -> Floats:
    """Cosine with the context article, -1 to 1."""
    if context is None or not state.index.has[context]:
        return np.full(len(rows), np.nan)
    query = state.index.take(np.array([context]))[0]
    cosines = (state.index.take(rows) @ query).astype(np.float64)
    return np.where(state.index.has[rows], cosines, np.nan)


def interests(state: State, rows: Rows, reader: Reader | None) -> Floats:
    """Cosine with all of the reader's openings and with the nearest of them, -1 to 1.

    The mean over all is steady; the nearest few keep separate interests apart, which a mean blurs.
    ``profile.nearest_share`` says how much the nearest count.
    """
    past = _embedded(state, reader)
    if len(past) == 0:
        return np.full(len(rows), np.nan)
    config = state.config.profile
    cosines = state.index.take(rows) @ state.index.take(past).T
    near = _mean_of_highest(cosines, config.nearest)
    mixed = (1.0 - config.nearest_share) * cosines.mean(axis=1) + config.nearest_share * near
    return np.asarray(np.where(state.index.has[rows], mixed.astype(np.float64), np.nan))


def nearest_openings(state: State, rows: Rows, reader: Reader | None) -> Floats:
    """Mean cosine with the ``profile.nearest`` nearest of the reader's openings, -1 to 1."""
    past = _embedded(state, reader)
    if len(past) == 0:
        return np.full(len(rows), np.nan)
    cosines = state.index.take(rows) @ state.index.take(past).T
    near = _mean_of_highest(cosines, state.config.profile.nearest)
    return np.asarray(np.where(state.index.has[rows], near.astype(np.float64), np.nan))


def _embedded(state: State, reader: Reader | None) -> Rows:
    """The reader's openings that have a vector, newest first."""
    if reader is None:
        return np.zeros(0, np.int32)
    return np.asarray(reader.rows[state.index.has[reader.rows]], dtype=np.int32)


def _mean_of_highest(cosines: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    if k < cosines.shape[1]:
        cosines = -np.partition(-cosines, k - 1, axis=1)[:, :k]
    return np.asarray(cosines.mean(axis=1))


def section_match(state: State, rows: Rows, context: int | None, reader: Reader | None) -> Floats:
    """Same section as the context article, or the section's recency-weighted share of the reader's past."""
    sections = state.catalog.section
    if context is not None:
        same = (sections[rows] == sections[context]) & (sections[rows] != UNKNOWN)
        return np.asarray(same, dtype=np.float64)
    if reader is None or len(reader.rows) == 0:
        return np.zeros(len(rows))
    past = sections[reader.rows]
    weights = np.exp2(-np.arange(len(past)) / state.config.profile.recency_half_life_reads)
    weights = np.where(past == UNKNOWN, 0.0, weights)
    shares = (sections[rows][:, None] == past) @ weights
    total = float(weights.sum())
    return np.asarray(shares / total if total else shares * 0.0)


def log_share(masses: Floats, highest: float) -> Floats:
    """Masses on a logarithmic scale from 0 to 1, where the highest article has 1."""
    if highest <= 0:
        return np.zeros(len(masses))
    return np.asarray(np.log1p(masses) / np.log1p(max(highest, float(masses.max(initial=0.0)))))


def popularity(state: State, rows: Rows, at: float, half_life_hours: float) -> Floats:
    """Decayed distinct readers on a logarithmic scale, 0 to 1."""
    counts = state.popularity
    column = counts.column(half_life_hours)
    masses = counts.openings.read(at, column, rows)
    return log_share(masses, counts.tops[column].highest(at))


def engagement(state: State, rows: Rows, at: float) -> Floats:
    """Decayed read minutes, shares, saves and comments on a logarithmic scale, 0 to 1."""
    counts = state.popularity
    return log_share(counts.engagement.read(at, 0, rows), counts.most_engaging.highest(at))


def click_rate(state: State, rows: Rows, at: float) -> Floats:
    """Smoothed click-through rate on a scale where the prior has one half, 0 to 1."""
    rate = state.popularity.ctr(at, rows)
    return np.asarray(rate / (rate + state.config.popularity.ctr_prior))


def freshness(state: State, rows: Rows, now: float) -> Floats:
    """The age curve, 0 to 1; an unknown age has the neutral value."""
    return age_appeal(state.config.age_curve, (now - state.catalog.published[rows]) / HOUR)


def age_appeal(curve: AgeCurveConfig, hours: Floats) -> Floats:
    """Value of the age curve at ages in hours, linear in log(1 + hours) between its knots."""
    at, values = np.array(curve.knots, dtype=np.float64).T
    known = ~np.isnan(hours)
    appeal = np.interp(np.log1p(np.maximum(np.where(known, hours, 0.0), 0.0)), np.log1p(at), values)
    return np.where(known, appeal, curve.unknown)


def priority(state: State, rows: Rows) -> Floats:
    """The editors' priority, 0 to 1; none is 0."""
    return np.nan_to_num(state.catalog.priority[rows])


def recency(published: NDArray[np.float64], now: float) -> Floats:
    """1 / (1 + age in days): falls with age without ever reaching a tie; unknown ages have 0."""
    days = np.maximum((now - published) / (24 * HOUR), 0.0)
    return np.where(np.isnan(published), 0.0, 1.0 / (1.0 + days))
