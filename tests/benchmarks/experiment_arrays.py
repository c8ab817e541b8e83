"""The statistics of many experiments at once: the arithmetic of the report on arrays.

A report asks tea-tasting once for each metric, in milliseconds; ten thousand experiments with a look a day
are millions of such questions. ``tests/training/experiment/test_many.py`` ties the two to 1e-7.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.experiment.metrics import BEFORE, METRICS, Metric
from training.experiment.sequential import MINIMUM_CARRIERS, MINIMUM_READERS, tuning

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sides:
    """Sums of one side of many experiments.

    Attributes:
        count: (e,) readers.
        first: (e, k) sums of the columns.
        second: (e, k, k) sums of their products.
    """

    count: Floats
    first: Floats
    second: Floats

    def __add__(self, other: "Sides") -> "Sides":
        return Sides(self.count + other.count, self.first + other.first, self.second + other.second)

    def means(self) -> Floats:
        """(e, k)."""
        return self.first / self.count[:, None]

    def covariances(self) -> Floats:
        """(e, k, k), of a sample."""
        means = self.means()
        centred = self.second - self.count[:, None, None] * means[:, :, None] * means[:, None, :]
        return centred / (self.count - 1.0)[:, None, None]


@dataclass(frozen=True)
class Effects:
    """Effects of many experiments, (e,) each.

    Attributes:
        control, variant: (adjusted) means.
        variances: of the two means, (2, e).
        counts: readers of the two sides, (2, e).
        ready: whether the always-valid interval may be read.
    """

    control: Floats
    variant: Floats
    variances: Floats
    counts: Floats
    ready: NDArray[np.bool_]

    @property
    def effect(self) -> Floats:
        """Variant minus control."""
        return self.variant - self.control

    @property
    def error(self) -> Floats:
        """Standard error of the effect."""
        return np.sqrt(self.variances.sum(axis=0))

    def _freedom(self, variances: Floats) -> Floats:
        return variances.sum(axis=0) ** 2 / (variances**2 / (self.counts - 1.0)).sum(axis=0)

    @property
    def p_value(self) -> Floats:
        """Welch's, two-sided."""
        freedom = self._freedom(self.variances)
        return 2.0 * stats.t.sf(np.abs(self.effect) / self.error, freedom)

    def interval(self) -> tuple[Floats, Floats]:
        """95%, of the effect."""
        half = stats.t.isf(0.025, self._freedom(self.variances)) * self.error
        return self.effect - half, self.effect + half

    def relative_interval(self) -> tuple[Floats, Floats]:
        """95%, of the relative effect, by the logarithm."""
        logs = self.variances / np.stack((self.control, self.variant)) ** 2
        half = stats.t.isf(0.025, self._freedom(logs)) * np.sqrt(logs.sum(axis=0))
        ratio = self.variant / self.control
        return ratio * np.exp(-half) - 1.0, ratio * np.exp(half) - 1.0

    def always_valid(self, planned_readers: float, alpha: float = 0.05) -> Floats:
        """Half the width of the interval that holds at every look."""
        scaled = self.counts.sum(axis=0) * tuning(planned_readers, alpha) ** 2
        return self.error * np.sqrt(2.0 * (scaled + 1.0) / scaled * np.log(np.sqrt(scaled + 1.0) / alpha))


def columns_of(metric: Metric, cuped: bool) -> list[str]:
    """Columns in the order in which the sums have them."""
    return [*metric.columns, *(BEFORE + name for name in metric.columns if cuped)]


def values_of(columns: Mapping[str, Floats], metric: Metric, cuped: bool) -> Floats:
    """(readers, k) of one metric, winsorised at the quantile of all these readers."""
    values = np.stack([columns[name] for name in columns_of(metric, cuped)], axis=1)
    if metric.winsorised_at is not None:
        caps = np.quantile(values, metric.winsorised_at, axis=0)
        values = np.minimum(values, np.where(caps > 0, caps, np.inf))
    return values


def sums(assigned: Floats, values: Floats) -> Sides:
    """Sums of the readers that each experiment has on a side.

    Args:
        assigned: (e, readers) 1 for who is on it.
        values: (readers, k).
    """
    k = values.shape[1]
    left, right = np.triu_indices(k)
    product = assigned @ np.concatenate(
        (np.ones((len(values), 1)), values, values[:, left] * values[:, right]), axis=1
    )
    second = np.empty((len(assigned), k, k))
    second[:, left, right] = second[:, right, left] = product[:, 1 + k :]
    return Sides(product[:, 0], product[:, 1 : 1 + k], second)


def effects(metric: Metric, control: Sides, variant: Sides, cuped: bool) -> Effects:
    """Effects with their variances, adjusted by the time before where ``cuped``."""
    width = len(metric.columns)
    levels, variances, ready = [], [], np.ones(len(control.count), dtype=bool)
    pooled = control + variant
    slope = _slope(pooled, width) if cuped else np.zeros(len(control.count))
    middle = _level(pooled.means()[:, width:], width) if cuped else 0.0
    for side in (control, variant):
        means, spread = side.means(), side.covariances()
        level, gradient = _level(means, width), _gradient(means, width)
        if cuped:
            level = level - slope * (_level(means[:, width:], width) - middle)
            before = -slope[:, None] * _gradient(means[:, width:], width)
            gradient = np.concatenate((gradient, before), axis=1)
        used = spread[:, : gradient.shape[1], : gradient.shape[1]]
        levels.append(level)
        variances.append(np.einsum("ei,eij,ej->e", gradient, used, gradient) / side.count)
        square = side.second[:, 0, 0]
        carried = side.first[:, 0] ** 2 / np.where(square > 0, square, 1.0)
        ready &= (side.count >= MINIMUM_READERS) & (carried >= MINIMUM_CARRIERS)
    counts = np.stack((control.count, variant.count))
    return Effects(levels[0], levels[1], np.stack(variances), counts, ready)


def _level(means: Floats, width: int) -> Floats:
    return means[:, 0] if width == 1 else means[:, 0] / means[:, 1]


def _gradient(means: Floats, width: int) -> Floats:
    if width == 1:
        return np.ones((len(means), 1))
    return np.stack((1.0 / means[:, 1], -means[:, 0] / means[:, 1] ** 2), axis=1)


def _slope(pooled: Sides, width: int) -> Floats:
    means, spread = pooled.means(), pooled.covariances()
    own, past = _gradient(means[:, :width], width), _gradient(means[:, width:], width)
    shared = np.einsum("ei,eij,ej->e", own, spread[:, :width, width:], past)
    alone = np.einsum("ei,eij,ej->e", past, spread[:, width:, width:], past)
    return np.where(alone > 0, shared / np.where(alone > 0, alone, 1.0), 0.0)


def per_impression(control: Sides, variant: Sides) -> Floats:
    """p-values of the test that takes every impression for a reader of its own."""
    shown = np.stack((control.first[:, 1], variant.first[:, 1]))
    clicked = np.stack((control.first[:, 0], variant.first[:, 0]))
    rate = clicked.sum(axis=0) / shown.sum(axis=0)
    error = np.sqrt(rate * (1.0 - rate) * (1.0 / shown).sum(axis=0))
    return 2.0 * stats.norm.sf(np.abs(clicked[1] / shown[1] - clicked[0] / shown[0]) / error)


def halves(rng: np.random.Generator, experiments: int, readers: int) -> Floats:
    """(experiments, readers) 1 with a chance of one half: who is on the variant's side."""
    bits = np.frombuffer(rng.bytes(experiments * (readers // 8 + 1)), dtype=np.uint8)
    drawn = np.unpackbits(bits.reshape(experiments, -1), axis=1, count=readers)
    return drawn.astype(np.float64)


ALL = tuple(METRICS.values())
