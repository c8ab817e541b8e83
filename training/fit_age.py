"""Appeal by age and its half-life, for the whole log and each section.

An article's openings at an age are Poisson: chances x the article's own level x the appeal of its age.
Levels are gamma distributed with mean 1, so that an article seen once says little and one seen often
is compared with itself (a frailty model: Clayton, Biometrika 1978); the spread of the levels is
learned. The appeal is log-linear in log(1 + hours) between knots. Sections are drawn towards the whole
log and the whole log towards the prior, each by how much data there is: a maximum a posteriori fit.

The half-life comes from a second fit of the same likelihood, in which the appeal falls exponentially
from its peak on, with estimates pooled between sections (DerSimonian and Laird, Controlled Clinical
Trials 1986).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from recsys.config import AgeCurveConfig
from recsys.recency import age_appeal

Floats = NDArray[np.float64]
KNOTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 48.0, 96.0, 168.0, 336.0, 720.0, 1440.0, 4320.0, 8760.0)
# of steps of log appeal between neighbouring knots, around what they are drawn towards
SPREAD_WHOLE, SPREAD_SECTION = 0.7, 0.4
_LEVELS = np.array([0.2, 0.35, 0.6, 1.0, 1.7, 3.0, 6.0, 12.0, 30.0])
_ROUNDS = 60
_AFTER_PEAK = 4.0
_STARTS = (24.0, 6.0, 100.0, 400.0, 1600.0, 6400.0)


@dataclass(frozen=True)
class Cells:
    """What happened to articles at ages.

    Attributes:
        articles: (m,) numbers 0..a-1.
        ages: (m,) mean hours of the cell.
        chances: (m,) expected openings but for a common factor, article and age: examined impressions,
            or the openings of everything while the article had that age.
        openings: (m,) clicks or openings.
        beside: (m,) 1 where the list stood beside an article of the same section, else 0.
        sections: (a,) section code of each article, -1 for none.
    """

    articles: NDArray[np.intp]
    ages: Floats
    chances: Floats
    openings: Floats
    beside: Floats
    sections: NDArray[np.integer]

    def of_section(self, code: int) -> "Cells":
        """The cells of one section's articles, numbered anew."""
        kept = self.sections[self.articles] == code
        names, articles = np.unique(self.articles[kept], return_inverse=True)
        ages, chances, openings, beside = (
            values[kept] for values in (self.ages, self.chances, self.openings, self.beside)
        )
        return Cells(articles.astype(np.intp), ages, chances, openings, beside, self.sections[names])


@dataclass(frozen=True)
class HalfLife:
    """A half-life with its standard error in natural logarithms."""

    hours: float
    error: float


def hats(ages: Floats, knots: tuple[float, ...] = KNOTS) -> Floats:
    """(m, k) weights of linear interpolation in log(1 + hours)."""
    places = np.log1p(np.array(knots))
    at = np.clip(np.log1p(ages), places[0], places[-1])
    right = np.clip(np.searchsorted(places, at, side="right"), 1, len(places) - 1)
    share = (at - places[right - 1]) / (places[right] - places[right - 1])
    found = np.zeros((len(ages), len(places)))
    np.put_along_axis(found, right[:, None], share[:, None], axis=1)
    np.put_along_axis(found, right[:, None] - 1, 1.0 - share[:, None], axis=1)
    return found


def prior_curve(prior: AgeCurveConfig) -> Floats:
    """(k,) logarithms of the configured appeal at the knots."""
    return np.asarray(np.log(np.maximum(age_appeal(prior, np.array(KNOTS)), 1e-3)))


def prior_half_life(prior: AgeCurveConfig) -> float:
    """Hours from the configured curve's peak until it has halved."""
    hours = np.geomspace(0.01, 8760.0, 4000)
    values = age_appeal(prior, hours)
    peak = int(np.argmax(values))
    below = np.flatnonzero(values[peak:] <= values[peak] / 2.0)
    return float(hours[peak + below[0]] - hours[peak]) if len(below) else 8760.0


def fit_curve(cells: Cells, towards: Floats, spread: float) -> Floats:
    """(k,) logarithms of the appeal at the knots, highest 0.

    Args:
        cells: of one section or of everything.
        towards: (k,) the curve it is drawn towards.
        spread: standard deviation of the difference to it, from knot to knot.
    """
    steps = np.diff(np.eye(len(KNOTS)), axis=0)
    penalty = steps.T @ steps / spread**2
    found = _fit(cells, hats(cells.ages), towards, penalty)[0]
    return np.asarray(found - found.max())


def fit_half_life(cells: Cells) -> HalfLife:
    """Hours in which the appeal halves after its peak, by maximum likelihood.

    Up to the usual age of the peak the curve is free; from there on its logarithm is a line. Without data
    the standard error is infinite.
    """
    if cells.openings.sum() == 0:
        return HalfLife(_STARTS[0], np.inf)
    unit = _rough_half_life(cells)
    knots = tuple(k for k in KNOTS if k <= _AFTER_PEAK)
    early = hats(np.minimum(cells.ages, _AFTER_PEAK), knots)
    late = np.maximum(cells.ages - _AFTER_PEAK, 0.0) / unit
    table = np.column_stack((early, -np.log(2.0) * late))
    steps = np.diff(np.eye(len(knots)), axis=0)
    penalty = np.zeros((table.shape[1], table.shape[1]))
    penalty[:-1, :-1] = steps.T @ steps / 2.0**2
    penalty[-1, -1] = 1e-4
    start = np.append(np.zeros(len(knots)), 1.0)
    found, covariance = _fit(cells, table, start, penalty)
    rate = max(float(found[-1]), 1e-3)
    error = float(np.sqrt(covariance[-1, -1])) / rate
    return HalfLife(unit / rate, error)


def _rough_half_life(cells: Cells) -> float:
    """The likeliest of a few half-lives, to begin the search at."""
    hits, found = _sums(cells, cells.openings), []
    for hours in _STARTS:
        base = cells.chances * np.exp2(-cells.ages / hours)
        base = base * hits.sum() / max(float(base.sum()), 1e-300)
        nothing = np.zeros(0)
        found.append(_posterior(cells, base, _sums(cells, base), 1.0, np.zeros((0, 0)), nothing))
    return _STARTS[int(np.argmax(found))]


def pooled(estimates: list[HalfLife], whole: float) -> list[float]:
    """Half-lives of sections drawn towards that of the whole log, each by its standard error."""
    logs = np.array([np.log(e.hours / whole) for e in estimates])
    variances = np.array([e.error**2 for e in estimates])
    told = np.isfinite(variances)
    weights = 1.0 / np.maximum(variances[told], 1e-6)
    between = 0.25
    if told.sum() > 1:
        mean = float(weights @ logs[told] / weights.sum())
        off = float(weights @ (logs[told] - mean) ** 2) - (told.sum() - 1)
        between = max(off / float(weights.sum() - (weights**2).sum() / weights.sum()), 0.05)
    share = np.where(told, between / (between + np.where(told, variances, 1.0)), 0.0)
    return [float(hours) for hours in whole * np.exp(share * logs)]


def _fit(cells: Cells, table: Floats, start: Floats, penalty: Floats) -> tuple[Floats, Floats]:
    """Coefficients of log appeal and their covariance, by Newton's method.

    The articles' levels are integrated out: given its openings, a level has the mean (openings + shape) /
    (expected + shape). The penalty is on steps, so the common level is free and the coefficients take it.
    """
    asked = len(start)
    # who reads beside the section likes it more, and old articles are mostly shown there
    table = np.column_stack((table, cells.beside))
    centre = np.append(start, 0.0)
    held = 0.1 * np.eye(len(centre))
    held[:asked, :asked] = penalty
    hits = _sums(cells, cells.openings)
    found = centre.copy()
    scale = hits.sum() / max(float(_base(cells, table, found, 1.0).sum()), 1e-300)
    information = np.zeros_like(held)
    for _ in range(_ROUNDS):
        base = _base(cells, table, found, scale)
        expected = _sums(cells, base)
        shape = _best_shape(hits, expected)
        mean = base * ((hits + shape) / (expected + shape))[cells.articles]
        slope = table.T @ (cells.openings - mean) - held @ (found - centre)
        information = _information(cells, table, mean, hits + shape)
        step = np.linalg.solve(information + held + 1e-6 * np.eye(len(centre)), slope)
        before = _posterior(cells, base, expected, shape, held, found - centre)
        for _ in range(20):
            tried = _base(cells, table, found + step, scale)
            after = _posterior(cells, tried, _sums(cells, tried), shape, held, found + step - centre)
            if after >= before - 1e-9:
                break
            step = step / 2.0
        found = found + step
        if np.abs(step).max() < 1e-5:
            break
    covariance = np.linalg.pinv(information + held)[:asked, :asked]
    return found[:asked], np.asarray(covariance, dtype=np.float64)


def _base(cells: Cells, table: Floats, found: Floats, scale: float) -> Floats:
    """(m,) openings that an article of the usual level would have."""
    return np.asarray(scale * cells.chances * np.exp(np.clip(table @ found, -60.0, 30.0)))


def _posterior(
    cells: Cells, base: Floats, expected: Floats, shape: float, held: Floats, off: Floats
) -> float:
    """Logarithm of likelihood x prior, but for constants."""
    hits = _sums(cells, cells.openings)
    told = cells.openings @ np.log(np.maximum(base, 1e-300))
    return float(told - (hits + shape) @ np.log(shape + expected) - 0.5 * off @ held @ off)


def _sums(cells: Cells, values: Floats) -> Floats:
    """(a,) sums by article."""
    return np.bincount(cells.articles, values, minlength=len(cells.sections)).astype(np.float64)


def _information(cells: Cells, table: Floats, mean: Floats, certainty: Floats) -> Floats:
    """Of the coefficients, less what is lost because the articles' levels are unknown."""
    full = (table * mean[:, None]).T @ table
    sums = np.column_stack([_sums(cells, column * mean) for column in table.T])
    return np.asarray(full - (sums / certainty[:, None]).T @ sums)


def _best_shape(hits: Floats, expected: Floats) -> float:
    """Of the gamma distribution of levels: the most likely one of a few."""
    c, e = hits[expected > 0], expected[expected > 0]
    likely = [
        float((gammaln(c + k) - gammaln(k) + k * np.log(k) - (c + k) * np.log(k + e)).sum()) for k in _LEVELS
    ]
    return float(_LEVELS[int(np.argmax(likely))])
