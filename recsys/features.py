"""The features of a candidate, one home for serving, evaluation and training.

Every feature is a (n,) float64 array; NaN means it cannot be computed for that candidate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Floats, Rows
from recsys.catalog import UNKNOWN
from recsys.config import AgeCurveConfig
from recsys.counters import HOUR
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
    """Cosine with the context article, -1 to 1; by TF-IDF where the embedding model does not read both."""
    if context is None:
        return np.full(len(rows), np.nan)
    return state.index.similarities(rows, np.array([context]))[:, 0].astype(np.float64)


def interests(state: State, rows: Rows, reader: Reader | None) -> Floats:
    """Cosine with all of the reader's openings and with the nearest of them, -1 to 1.

    The mean over all is steady; the nearest few keep separate interests apart, which a mean blurs.
    ``profile.nearest_share`` says how much the nearest count.
    """
    past = _embedded(state, reader)
    if len(past) == 0:
        return np.full(len(rows), np.nan)
    config = state.config.profile
    cosines = state.index.similarities(rows, past)
    near = _mean_of_highest(cosines, config.nearest)
    mixed = (1.0 - config.nearest_share) * _mean(cosines) + config.nearest_share * near
    return np.asarray(mixed.astype(np.float64))


def nearest_openings(state: State, rows: Rows, reader: Reader | None) -> Floats:
    """Mean cosine with the ``profile.nearest`` nearest of the reader's openings, -1 to 1."""
    past = _embedded(state, reader)
    if len(past) == 0:
        return np.full(len(rows), np.nan)
    cosines = state.index.similarities(rows, past)
    return _mean_of_highest(cosines, state.config.profile.nearest).astype(np.float64)


def _embedded(state: State, reader: Reader | None) -> Rows:
    """The reader's openings that have a vector, newest first."""
    if reader is None:
        return np.zeros(0, np.int32)
    return np.asarray(reader.rows[state.index.placed(reader.rows)], dtype=np.int32)


def _mean_of_highest(cosines: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    if k < cosines.shape[1]:
        # what is missing is sorted last
        cosines = -np.partition(-cosines, k - 1, axis=1)[:, :k]
    return _mean(cosines)


def _mean(values: NDArray[Any]) -> NDArray[Any]:
    """(n,) mean of each row over what is not missing; NaN where all is."""
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(values.mean(axis=1))
    counted = (~missing).sum(axis=1)
    sums = np.where(missing, 0, values).sum(axis=1)
    return np.asarray(np.where(counted, sums / np.maximum(counted, 1), np.nan), dtype=values.dtype)


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


def learned_matrix(state: State, rows: Rows, moment: Moment, names: Sequence[str]) -> Floats:
    """The features that a ranker is learned on.

    Args:
        state: what is known.
        rows: (n,) candidates.
        moment: when and for whom.
        names: f of ``LEARNED``.

    Returns:
        (n, f) float64, NaN where a feature cannot be computed.
    """
    view = _View(state, rows, moment)
    return np.column_stack([LEARNED[name](view) for name in names])


class _View:
    """One list's candidates, with what several features share computed once."""

    def __init__(self, state: State, rows: Rows, moment: Moment) -> None:
        self.state, self.rows, self.moment = state, rows, moment
        reader = moment.reader
        self.past = reader.rows if reader is not None else np.zeros(0, np.int32)
        self.nothing = np.full(len(rows), np.nan)

    @cached_property
    def cosines(self) -> NDArray[np.float32]:
        """(n, k) with each embedded opening, newest first; NaN where they cannot be compared."""
        return self.state.index.similarities(self.rows, _embedded(self.state, self.moment.reader))

    def of_cosines(self, summary: Callable[[NDArray[np.float32]], Floats]) -> Floats:
        """A summary of the cosines, NaN where none is known."""
        return summary(self.cosines) if self.cosines.shape[1] else self.nothing

    def groups(self, level: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Codes of what was read and of the candidates."""
        codes: NDArray[np.int32] = getattr(self.state.catalog, level)
        return codes[self.past], codes[self.rows]

    @cached_property
    def overall_rate(self) -> float:
        """Click-through rate of everything over the longest half-life."""
        everything = np.zeros(len(self.state.catalog), dtype=np.int32)
        longest = max(self.state.config.popularity.ctr_half_lives_hours)
        return float(self.state.popularity.group_ctr(self.moment.count_at, everything, 1, longest)[0])

    def group_rates(self, level: str) -> Floats:
        """Click-through rate of each candidate's group over the longest half-life; NaN without group."""
        state = self.state
        size = len(state.catalog)
        codes: NDArray[np.int32] = getattr(state.catalog, level)[:size]
        count = int(codes.max(initial=-1)) + 1
        longest = max(state.config.popularity.ctr_half_lives_hours)
        rates = state.popularity.group_ctr(self.moment.count_at, codes, count, longest)
        own = codes[self.rows]
        return np.where(own >= 0, np.append(rates, np.nan)[own], np.nan)

    @cached_property
    def prior_rates(self) -> Floats:
        """The rate that an article's own is smoothed towards: its subsection's, section's or the prior."""
        rates = self.group_rates("subsection")
        rates = np.where(np.isnan(rates), self.group_rates("section"), rates)
        return np.where(np.isnan(rates), self.overall_rate, rates)

    def own_lift(self, half_life_hours: float) -> Floats:
        """Logarithm of the article's smoothed click-through rate over its group's; 0 while unseen."""
        counts = self.state.popularity
        rates = counts.ctr(self.moment.count_at, self.rows, half_life_hours, self.prior_rates)
        return _log_lift(rates, self.prior_rates)


def _log_lift(rates: Floats, usual: Floats | float) -> Floats:
    return np.asarray(np.log(np.maximum(rates, 1e-6) / np.maximum(usual, 1e-6)))


def _soft_mean(cosines: NDArray[np.float32]) -> Floats:
    """Between mean and maximum: log of the mean of exp(5 x), over 5."""
    return np.asarray(np.log(_mean(np.exp(5.0 * cosines.astype(np.float64)))) / 5.0)


def _recency_mean(cosines: NDArray[np.float32], half_life_reads: float) -> Floats:
    weights = np.exp2(-np.arange(cosines.shape[1]) / half_life_reads)
    missing = np.isnan(cosines)
    if not missing.any():
        return np.asarray(cosines.astype(np.float64) @ weights / weights.sum())
    counted = ~missing @ weights
    sums = np.where(missing, 0.0, cosines).astype(np.float64) @ weights
    return np.where(counted > 0, sums / np.where(counted > 0, counted, 1.0), np.nan)


def _share(view: _View, level: str) -> Floats:
    """Recency-weighted share of the reader's past in the candidate's group."""
    past, offered = view.groups(level)
    weights = np.exp2(-np.arange(len(past)) / view.state.config.profile.recency_half_life_reads)
    weights = np.where(past == UNKNOWN, 0.0, weights)
    total = float(weights.sum())
    if total == 0.0:
        return view.nothing
    shares = (offered[:, None] == past) @ weights / total
    return np.where(offered == UNKNOWN, np.nan, shares)


# where a feature says nothing: a learned curve is 0 there, so that being new costs nothing
NEUTRAL = {
    **dict.fromkeys(("section_affinity", "subsection_affinity"), 0.0),
    **dict.fromkeys(("section_ctr", "subsection_ctr", "ctr_4h", "ctr_24h", "ctr_168h"), 0.0),
}

LEARNED: dict[str, Callable[[_View], Floats]] = {
    "interests_soft": lambda v: v.of_cosines(_soft_mean),
    "interests_recent": lambda v: v.of_cosines(
        lambda c: _recency_mean(c, v.state.config.profile.recency_half_life_reads)
    ),
    "section_share": lambda v: _share(v, "section"),
    "subsection_share": lambda v: _share(v, "subsection"),
    "section_affinity": lambda v: v.state.learned.sections.of(*v.groups("section")),
    "subsection_affinity": lambda v: v.state.learned.subsections.of(*v.groups("subsection")),
    "section_ctr": lambda v: _log_lift(v.group_rates("section"), v.overall_rate),
    "subsection_ctr": lambda v: _log_lift(v.group_rates("subsection"), v.overall_rate),
    "ctr_4h": lambda v: v.own_lift(4.0),
    "ctr_24h": lambda v: v.own_lift(24.0),
    "ctr_168h": lambda v: v.own_lift(168.0),
}


def covisited(state: State, rows: Rows, context: int | None, reader: Reader | None) -> Floats:
    """Read by those who read the context article or what the reader opened lately, 0 to 1.

    The similarity saturates, so that among articles that are often read together the text decides.
    """
    past = reader.rows if reader is not None else np.zeros(0, np.int32)
    past = past if context is None else np.array([context], np.int32)
    learned = state.learned.covisitation
    if len(past) == 0 or len(learned.rows_) == 0:
        return np.full(len(rows), np.nan)
    found = learned.scores(past, len(state.catalog))[rows]
    return np.asarray(found / (found + learned.config.half_at))


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
