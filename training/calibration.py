"""Predicted click rates: a logistic map from scores, fitted on earlier lists, held against later clicks.

A score orders a list; it is no probability. The map reads the score less its list's mean and the length
of the list, so that it says how likely this candidate is to be clicked in a list that gets a click.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics import cluster_bootstrap

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
_BINS = 10
_ROUNDS = 25
_RIDGE = 1e-3


@dataclass(frozen=True)
class ClickMap:
    """Chance of a click = logistic(intercept + slope x + by_length log n).

    Attributes:
        intercept, slope, by_length: coefficients; x is the score less the mean of its list, over ``scale``.
        scale: spread of scores within lists.
        lists: it was fitted on.
    """

    intercept: float
    slope: float
    by_length: float
    scale: float
    lists: int

    @classmethod
    def fit(cls, scores: Sequence[Floats], labels: Sequence[Labels]) -> "ClickMap":
        """Logistic regression by Newton's method with a small ridge.

        Args:
            scores, labels: (n,) of each list; at least one list.
        """
        within = np.concatenate([values - values.mean() for values in scores])
        scale = float(within.std()) or 1.0
        table = np.column_stack((np.ones(len(within)), within / scale, _log_lengths(scores)))
        clicked = np.concatenate(labels).astype(np.float64)
        weights = np.zeros(3)
        for _ in range(_ROUNDS):
            chance = _logistic(table @ weights)
            slope = table.T @ (clicked - chance) - _RIDGE * weights
            bend = (table * (chance * (1.0 - chance))[:, None]).T @ table + _RIDGE * np.eye(3)
            step = np.linalg.solve(bend, slope)
            weights = weights + step
            if float(np.abs(step).max()) < 1e-10:
                break
        intercept, slope_, by_length = weights.tolist()
        return cls(intercept, slope_, by_length, scale, len(scores))

    def predict(self, scores: Floats) -> Floats:
        """Chances of the candidates of one list, (n,)."""
        within = (scores - scores.mean()) / self.scale
        length = np.log(len(scores))
        return _logistic(self.intercept + self.slope * within + self.by_length * length)

    def to_json(self) -> dict[str, float | int]:
        """For the manifest."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Any) -> "ClickMap":
        """From what ``to_json`` gave."""
        return cls(**values)


@dataclass
class Reliability:
    """Gathers predictions and clicks of one surface, list by list."""

    predicted: list[Floats] = field(default_factory=list)
    clicked: list[Labels] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)

    def take(self, predicted: Floats, clicked: Labels, reader: int) -> None:
        """One list with a click."""
        self.predicted.append(predicted)
        self.clicked.append(clicked)
        self.clusters.append(reader)

    def values(self, seed: int) -> dict[str, Any]:
        """Observed against predicted click rates.

        Returns:
            ``bins`` with about as many candidates each (``predicted``, ``observed``, its 95% ``ci`` by
            reader, ``candidates``), the two overall rates, ``error``: the mean distance of the two,
            weighted by candidates, and ``lists``.
        """
        chances, clicks = np.concatenate(self.predicted), np.concatenate(self.clicked).astype(np.float64)
        lists = np.repeat(np.arange(len(self.predicted)), [len(values) for values in self.predicted])
        edges = np.unique(np.quantile(chances, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
        places = np.searchsorted(edges, chances, side="right")
        _, places = np.unique(places, return_inverse=True)
        count = int(places.max()) + 1
        sizes, hits, sums = (
            np.bincount(places, weights, minlength=count) for weights in (None, clicks, chances)
        )
        table = np.zeros((len(self.predicted), 2 * count))
        np.add.at(table, (lists, places), clicks)
        np.add.at(table, (lists, count + places), 1.0)
        low, high = cluster_bootstrap(
            table,
            np.array(self.clusters, dtype=np.int64),
            seed,
            lambda means: means[:, :count] / np.maximum(means[:, count:], 1e-12),
        )
        bins = [
            {
                "predicted": float(sums[k] / sizes[k]),
                "observed": float(hits[k] / sizes[k]),
                "ci": [float(low[k]), float(high[k])],
                "candidates": int(sizes[k]),
            }
            for k in range(count)
        ]
        error = float(np.abs(hits - sums).sum() / len(chances))
        return {
            "bins": bins,
            "predicted": float(chances.mean()),
            "observed": float(clicks.mean()),
            "error": error,
            "lists": len(self.predicted),
        }


def _log_lengths(scores: Sequence[Floats]) -> Floats:
    return np.concatenate([np.full(len(values), np.log(len(values))) for values in scores])


def _logistic(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0))))
