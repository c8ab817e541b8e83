"""Ranking metrics per impression, and intervals clustered by reader.

AUC counts ties as one half (the Mann-Whitney statistic, as scikit-learn's ``roc_auc_score``). For
MRR and nDCG ties are broken at random with a seed. A candidate without score (NaN) ranks last.
nDCG follows Jarvelin and Kekalainen (TOIS 2002) with binary gains and log2 discounts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NAMES = ("auc", "mrr", "ndcg@5", "ndcg@10")


def auc(scores: Floats, clicked: NDArray[np.bool_]) -> float:
    """Probability that a clicked candidate stands above another one; ties count one half."""
    positive, negative = scores[clicked], np.sort(scores[~clicked])
    below = np.searchsorted(negative, positive, side="left")
    upto = np.searchsorted(negative, positive, side="right")
    return float((below + upto).sum() / (2.0 * len(positive) * len(negative)))


def ranks_of_clicks(scores: Floats, clicked: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """1-based ranks of the clicked candidates, in rising order; ties broken by ``rng``."""
    order = np.lexsort((rng.random(len(scores)), -scores))
    return np.flatnonzero(clicked[order]).astype(np.float64) + 1.0


def mrr(ranks: Floats) -> float:
    """Sum over clicks of 1/rank, divided by the clicks, as MIND defines it."""
    return float((1.0 / ranks).mean())


def ndcg(ranks: Floats, k: int) -> float:
    """Normalised discounted cumulative gain of the first ``k`` with binary gains."""
    gained = (1.0 / np.log2(1.0 + ranks[ranks <= k])).sum()
    ideal = (1.0 / np.log2(np.arange(2.0, min(len(ranks), k) + 2.0))).sum()
    return float(gained / ideal)


def impression_metrics(
    scores: Floats, clicked: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """The metrics of ``NAMES`` for one impression; NaN where it lacks a click or a non-click."""
    if clicked.all() or not clicked.any():
        return (float("nan"),) * 4
    scores = np.where(np.isnan(scores), -np.inf, scores)
    ranks = ranks_of_clicks(scores, clicked, rng)
    return auc(scores, clicked), mrr(ranks), ndcg(ranks, 5), ndcg(ranks, 10)


@dataclass(frozen=True)
class Table:
    """Metrics of one model over judged impressions.

    Attributes:
        values: (m, 4) per impression, columns as ``NAMES``.
        clusters: (m,) reader of each impression.
    """

    values: Floats
    clusters: NDArray[np.int64]

    def take(self, inside: NDArray[np.bool_]) -> "Table":
        """The impressions of a mask."""
        return Table(self.values[inside], self.clusters[inside])

    def means(self) -> dict[str, float]:
        """Mean of each metric over the impressions."""
        return dict(zip(NAMES, self.values.mean(axis=0).tolist(), strict=True)) if len(self.values) else {}


def cluster_bootstrap(
    values: Floats,
    clusters: NDArray[np.int64],
    seed: int,
    statistic: Callable[[Floats], Floats] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Percentile interval of means, resampling whole readers.

    Args:
        values: (m, c) per impression; pair two models by putting their columns side by side.
        clusters: (m,) reader codes.
        seed: of the resampling.
        statistic: turns (r, c) resampled means into (r, d) statistics; None keeps the means.
        resamples: how many.
        level: of the interval.

    Returns:
        (d,) lower and (d,) upper bounds.
    """
    _, codes = np.unique(clusters, return_inverse=True)
    readers = int(codes.max()) + 1
    sums = np.zeros((readers, values.shape[1] + 1))
    np.add.at(sums, codes, np.column_stack((values, np.ones(len(values)))))
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(0, resamples, 500):
        weights = rng.multinomial(readers, np.full(readers, 1.0 / readers), size=500).astype(np.float64)
        totals = weights @ sums
        draws.append(totals[:, :-1] / totals[:, -1:])
    means = np.concatenate(draws)[:resamples]
    found = means if statistic is None else statistic(means)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(found, (tail, 1.0 - tail), axis=0)
    return low, high
