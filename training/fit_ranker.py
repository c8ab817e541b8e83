"""Fit the additive ranker: a conditional logit over shown lists, drawn towards the content blend.

The chance that a candidate of a list is clicked is the softmax of its score over the list (McFadden,
"Conditional Logit Analysis of Qualitative Choice Behavior", 1974). The penalty pulls the weight of the
content blend to a prior and all curves to nothing, so that little data changes little: a maximum a
posteriori fit. A curve is a straight line plus deviations at the knots, which cost more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recsys.config import RankerConfig
from recsys.features import NEUTRAL
from recsys.ranker import KNOTS, AdditiveRanker
from training.metrics import auc

Floats = NDArray[np.float64]
_LEAST_BLEND = 0.02


class Examples:
    """Lists with clicks: the blend's score, raw features and labels of every candidate.

    Args:
        names: of the f features.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.ts: list[float] = []
        self.blend: list[Floats] = []
        self.matrices: list[Floats] = []
        self.labels: list[NDArray[np.bool_]] = []
        self.weights: list[Floats] = []
        self.looked: list[Floats] = []

    def __len__(self) -> int:
        return len(self.ts)

    def add(
        self,
        ts: float,
        blend: Floats,
        matrix: Floats,
        labels: NDArray[np.bool_],
        weights: Floats | None = None,
        looked: Floats | None = None,
    ) -> None:
        """One list, in time order.

        Args:
            ts: unix seconds.
            blend: (n,) scores of the content blend.
            matrix: (n, f) features.
            labels: (n,) what was clicked.
            weights: (n,) what the clicks count, 1 by default.
            looked: (n,) propensities of the positions, 1 by default.
        """
        self.looked.append(np.ones(len(labels)) if looked is None else looked)
        self.ts.append(ts)
        self.blend.append(blend)
        self.matrices.append(matrix)
        self.labels.append(labels)
        self.weights.append(labels.astype(np.float64) if weights is None else weights)

    def split(self, later: float) -> tuple["Examples", "Examples"]:
        """The earlier lists, and the last share of them."""
        cut = len(self) - max(1, round(later * len(self)))
        return self.part(slice(0, cut)), self.part(slice(cut, None))

    def part(self, part: slice) -> "Examples":
        """Some of the lists."""
        found = Examples(self.names)
        found.ts, found.blend = self.ts[part], self.blend[part]
        found.matrices, found.labels = self.matrices[part], self.labels[part]
        found.weights, found.looked = self.weights[part], self.looked[part]
        return found


@dataclass(frozen=True)
class _Design:
    """Lists as one table: standardised columns, blend first, and where each list begins.

    A list counts as much as its clicks do on average, each of them by its share of that.
    """

    columns: Floats
    hats: Floats
    shares: Floats
    importance: Floats
    offsets: Floats
    starts: NDArray[np.intp]
    lists: NDArray[np.intp]


def fit_ranker(examples: Examples, config: RankerConfig, most: float = np.inf) -> AdditiveRanker:
    """Curves of the features, in units of the content blend.

    Args:
        examples: at least one list with a click and another candidate.
        config: prior and penalties.
        most: spread of the curves' sum over the spread of the blend within lists, at most; the curves
            are scaled down to it, so that clicks cannot take a list off its topic.
    """
    blend_scale = _spread([scores[:, None] for scores in examples.blend])[0]
    columns = np.concatenate(examples.matrices).T
    # of all lists together, so that the knots reach across what a feature takes anywhere
    scales = np.array([_deviation(column) for column in columns])
    pairs = zip(examples.names, columns, strict=True)
    centres = np.array([NEUTRAL.get(name, _centre(column)) for name, column in pairs])
    design = _design(examples, blend_scale, centres, scales)
    f, k = len(examples.names), len(KNOTS)
    found = _minimise(design, f, k, config)
    blend_weight, slopes, bends = found[0], found[1 : 1 + f], found[1 + f :].reshape(f, k)
    curves = slopes[:, None] * np.array(KNOTS) + bends
    ranker = AdditiveRanker.of(examples.names, centres, scales, curves * blend_scale / blend_weight)
    sums = [ranker.parts(matrix, {}).sum(axis=1, keepdims=True) for matrix in examples.matrices]
    spread = _spread(sums)[0] / blend_scale
    return ranker if spread <= most else replace(ranker, values=ranker.values * most / spread)


def gain_on_later(ranker: AdditiveRanker, later: Examples, max_weight: float = 1.0) -> float:
    """Mean AUC with the curves less the mean AUC of the content blend alone.

    A list counts by the mean inverse propensity of its clicks, at most ``max_weight``, so that agreeing
    with the order that was shown earns nothing (Joachims, Swaminathan, Schnabel, WSDM 2017).
    """
    gains = []
    for blend, matrix, labels in zip(later.blend, later.matrices, later.labels, strict=True):
        with_curves = blend + ranker.parts(matrix, {}).sum(axis=1)
        gains.append(auc(with_curves, labels) - auc(blend, labels))
    weights = [
        np.minimum(1.0 / looked[labels], max_weight).mean()
        for looked, labels in zip(later.looked, later.labels, strict=True)
    ]
    return float(np.average(gains, weights=weights))


def _centre(column: Floats) -> float:
    return float(np.nanmean(column)) if not np.isnan(column).all() else 0.0


def _deviation(column: Floats) -> float:
    """Standard deviation of what is not missing; 1 where it does not vary."""
    known = column[~np.isnan(column)]
    found = float(known.std()) if len(known) else 0.0
    return found if found > 1e-9 else 1.0


def _spread(matrices: Sequence[Floats]) -> Floats:
    """Standard deviation of each column around its list's mean; 1 where it does not vary."""
    centred = [m - _column_means(m) for m in matrices]
    together = np.concatenate(centred)
    counted = np.maximum((~np.isnan(together)).sum(axis=0), 1)
    spread = np.sqrt(np.nansum(together**2, axis=0) / counted)
    return np.where(spread > 1e-9, spread, 1.0)


def _column_means(matrix: Floats) -> Floats:
    counted = np.maximum((~np.isnan(matrix)).sum(axis=0), 1)
    return np.asarray(np.nansum(matrix, axis=0) / counted)


def _design(examples: Examples, blend_scale: float, centres: Floats, scales: Floats) -> _Design:
    blend = np.concatenate(examples.blend) / blend_scale
    raw = (np.concatenate(examples.matrices) - centres) / scales
    missing = np.isnan(raw)
    clipped = np.where(missing, 0.0, np.clip(raw, KNOTS[0], KNOTS[-1]))
    lengths = np.array([len(labels) for labels in examples.labels])
    counts = np.array([labels.sum() for labels in examples.labels])
    shares = np.concatenate([w / count for w, count in zip(examples.weights, counts, strict=True)])
    importance = np.array([w.sum() for w in examples.weights]) / counts
    hats = np.where(missing[:, :, None], 0.0, _hats(clipped))
    return _Design(
        np.column_stack((blend, clipped)),
        hats.reshape(len(blend), -1),
        shares,
        importance,
        np.log(np.concatenate(examples.looked)),
        np.concatenate(([0], np.cumsum(lengths)[:-1])),
        np.repeat(np.arange(len(lengths)), lengths),
    )


def _hats(values: Floats) -> Floats:
    """(n, f, k) weights of linear interpolation between the knots."""
    knots = np.array(KNOTS)
    right = np.clip(np.searchsorted(knots, values, side="right"), 1, len(knots) - 1)
    share = (values - knots[right - 1]) / (knots[right] - knots[right - 1])
    found = np.zeros((*values.shape, len(knots)))
    np.put_along_axis(found, right[..., None], share[..., None], axis=-1)
    np.put_along_axis(found, (right - 1)[..., None], (1.0 - share)[..., None], axis=-1)
    return found


def _minimise(design: _Design, f: int, k: int, config: RankerConfig) -> Floats:
    """(1 + f + f k,) weight of the blend, slopes and bends that explain the clicks best."""
    table = np.hstack((design.columns, design.hats))
    prior = np.zeros(table.shape[1])
    prior[0] = config.prior
    penalty = np.full(table.shape[1], config.curve_shrinkage)
    penalty[: 1 + f] = config.shrinkage
    count = design.importance.sum()
    importance = design.importance[design.lists]

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = table @ weights + design.offsets
        scores -= np.maximum.reduceat(scores, design.starts)[design.lists]
        masses = np.exp(scores)
        totals = np.add.reduceat(masses, design.starts)[design.lists]
        gain = design.shares @ (scores - np.log(totals))
        slope = table.T @ (design.shares - importance * masses / totals)
        off = weights - prior
        return float(-gain / count + penalty @ off**2), -slope / count + 2.0 * penalty * off

    bounds = [(_LEAST_BLEND, None)] + [(None, None)] * (table.shape[1] - 1)
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300})
    return np.asarray(found.x, dtype=np.float64)
