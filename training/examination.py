"""How much each position of a list is looked at, learned from articles that stood at several.

Intervention harvesting (Agarwal, Zaitsev, Wang, Li, Najork, Joachims, "Estimating Position Bias without
Intrusive Interventions", WSDM 2019): where one article stands at several positions under the same
circumstances, its clicks differ only by examination. All positions are compared at once, by the
likelihood of where the clicks of one stratum fell; the attractiveness of a stratum cancels, so nothing
has to be assumed of it. A regression-EM (Wang et al., WSDM 2018) needs a model of attractiveness, and
on simulated logs it took the policy's preferences for examination wherever that model was too plain.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from recsys.config import ExaminationConfig
from recsys.examination import Examination
from recsys.schemas import SURFACES
from training.shown import Shown

Floats = NDArray[np.float64]
# positions up to 10 stand alone, later ones together up to these
_ENDS = np.array([*range(1, 11), 12, 15, 20, 30, 50, 100, 10**9])
_SIGNIFICANT = 0.001
_AGE_STEPS = 2.0
_SCORE_STEPS = 4.0
_ROUGHNESS = 0.15


@dataclass(frozen=True)
class Findings:
    """What was learned of examination, and what a person should know of it."""

    examination: Examination
    notes: list[str]


def learn_examination(shown: Shown, config: ExaminationConfig) -> Findings:
    """Propensities of every surface in the log; 1 everywhere where nothing can or need be corrected."""
    found: dict[str, tuple[float, ...]] = {}
    notes = []
    for code in np.unique(shown.surfaces).tolist():
        values, note = propensities(shown.take(shown.surfaces == code), config)
        notes.append(f"{SURFACES[code]}: {note}")
        if values is not None:
            found[SURFACES[code]] = values
    return Findings(Examination(found), notes)


def propensities(shown: Shown, config: ExaminationConfig) -> tuple[tuple[float, ...] | None, str]:
    """Of the lists of one surface, by position; None with the reason where all are taken as 1."""
    if not config.correct:
        return None, "clicks are taken as they are (examination.correct = false)"
    clicks = int(shown.clicked.sum())
    if clicks < config.min_clicks:
        return None, (
            f"examination by position: {clicks:,} clicks in lists, {config.min_clicks:,} are needed; "
            "clicks are taken as they are"
        )
    chance = chance_of_shuffled(shown)
    if chance > _SIGNIFICANT:
        return None, (
            f"clicks do not depend on the position beyond noise (p = {chance:.2g}): the lists were shuffled, "
            "nothing to correct"
        )
    cells = _cells(shown)
    if cells.informative < config.min_clicks:
        return None, (
            f"only {cells.informative:,.0f} clicks fell on articles that stood at several positions in "
            f"like circumstances, {config.min_clicks:,} are needed; clicks are taken as they are"
        )
    logs, information = _fit(cells)
    wald = float(logs @ information @ logs)
    if chi2.sf(wald, max(len(logs) - 1, 1)) > _SIGNIFICANT:
        return None, "clicks follow what stands where, not the position itself; nothing to correct"
    values = np.minimum(np.exp(logs - logs[0]), 1.0 / config.min_propensity)
    values = np.maximum(values, config.min_propensity)
    told = ", ".join(f"{int(_ENDS[k])}: {values[k]:.2f}" for k in range(len(values)) if k in (1, 4, 9))
    return _by_position(values, int(shown.positions.max())), (
        f"examination by position from {cells.informative:,.0f} clicks: {told} of the first place's; "
        "clicks are corrected for it"
    )


def chance_of_shuffled(shown: Shown) -> float:
    """p-value of the hypothesis that each list's clicks fall on its places at random.

    Clicks by position are compared with what chance gives within each list, so that neither long lists
    nor eager readers matter. Source: Mantel and Haenszel, JNCI 1959, with positions as categories.
    """
    places = _bucket(shown.positions)
    count = int(places.max()) + 1
    starts = np.flatnonzero(np.diff(shown.lists, prepend=-1))
    sizes = np.diff(np.append(starts, len(shown)))
    hits = np.add.reduceat(shown.clicked.astype(np.float64), starts)
    kinds = np.zeros((len(starts), count))
    np.add.at(kinds, (np.repeat(np.arange(len(starts)), sizes), places), 1.0)
    shares = kinds / sizes[:, None]
    expected = hits @ shares
    observed = np.bincount(places, shown.clicked, minlength=count)
    spread = hits * (sizes - hits) / np.maximum(sizes - 1, 1)
    covariance = np.diag(spread @ shares) - (shares * spread[:, None]).T @ shares
    off = observed - expected
    statistic = float(off @ np.linalg.pinv(covariance) @ off)
    return float(chi2.sf(statistic, np.linalg.matrix_rank(covariance)))


@dataclass(frozen=True)
class _Cells:
    """Strata by position: how often shown, how often clicked."""

    strata: NDArray[np.intp]
    positions: NDArray[np.intp]
    shown: Floats
    clicked: Floats
    informative: float


def _bucket(positions: NDArray[np.integer]) -> NDArray[np.intp]:
    return np.searchsorted(_ENDS, positions)


def _strata(shown: Shown) -> NDArray[np.intp]:
    """A number for each set of like circumstances.

    The same article, at about the same age, beside an article of the same section, in a list of about the
    same length, with about the same score where the log gives it: what the policy and the reader's taste
    may depend on.
    """
    ages = np.where(
        np.isnan(shown.ages), -1.0, np.floor(_AGE_STEPS * np.log2(1.0 + np.maximum(shown.ages, 0.0)))
    )
    lengths = np.floor(4.0 * np.log2(np.maximum(shown.lengths, 1)))
    scores = np.where(np.isnan(shown.scores), -1e6, np.floor(_SCORE_STEPS * shown.scores))
    table = np.column_stack((shown.rows, ages, shown.contexts, lengths, scores)).astype(np.int64)
    _, strata = np.unique(table, axis=0, return_inverse=True)
    return np.asarray(strata.reshape(-1), dtype=np.intp)


def _cells(shown: Shown) -> _Cells:
    strata, places = _strata(shown), _bucket(shown.positions)
    width = int(places.max()) + 1
    keys, cell = np.unique(strata * width + places, return_inverse=True)
    clicked = np.bincount(cell, shown.clicked)
    total = np.bincount(cell).astype(np.float64)
    of_stratum = keys // width
    hits = np.bincount(of_stratum, clicked)
    several = np.bincount(of_stratum) > 1
    kept = (hits > 0)[of_stratum] & several[of_stratum]
    return _Cells(
        np.unique(of_stratum[kept], return_inverse=True)[1],
        keys[kept] % width,
        total[kept],
        clicked[kept],
        float(hits[several].sum()),
    )


def _fit(cells: _Cells) -> tuple[Floats, Floats]:
    """Logarithms of the propensities (the first is 0) and their information matrix, by Newton's method.

    Given the clicks of a stratum, each falls on a position with chance shown x propensity over their sum.
    Curves that bend from one position to the next cost a little, which steadies rarely clicked positions.
    """
    count = int(cells.positions.max()) + 1
    bends = np.diff(np.eye(count), n=2, axis=0) if count > 2 else np.zeros((0, count))
    smooth = bends.T @ bends / _ROUGHNESS**2
    hits = np.bincount(cells.strata, cells.clicked).astype(np.float64)
    strata, observed = len(hits), np.bincount(cells.positions, cells.clicked, minlength=count)
    logs = np.zeros(count)
    for _ in range(50):
        masses = cells.shown * np.exp(logs)[cells.positions]
        chance = masses / np.bincount(cells.strata, masses)[cells.strata]
        weight = chance * hits[cells.strata]
        expected = np.bincount(cells.positions, weight, minlength=count)
        information = np.diag(expected) - _products(cells, chance, hits, strata, count)
        step = np.zeros(count)
        slope = observed - expected - smooth @ logs
        step[1:] = np.linalg.solve((information + smooth)[1:, 1:] + 1e-9 * np.eye(count - 1), slope[1:])
        logs = logs + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    return logs, information


def _products(cells: _Cells, chance: Floats, hits: Floats, strata: int, count: int) -> Floats:
    """Sum over strata of hits x outer product of the chances, a slice of strata at a time."""
    found = np.zeros((count, count))
    order = np.argsort(cells.strata, kind="stable")
    edges = np.searchsorted(cells.strata[order], np.arange(0, strata + 50_000, 50_000))
    for low, high in pairwise(edges):
        part = order[low:high]
        if len(part):
            first = cells.strata[part[0]]
            table = np.zeros((int(cells.strata[part].max() - first) + 1, count))
            table[cells.strata[part] - first, cells.positions[part]] = chance[part]
            own = hits[first : first + len(table)]
            found += (table * own[:, None]).T @ table
    return found


def _by_position(values: Floats, most: int) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in values[_bucket(np.arange(1, min(most, 100) + 1))])
