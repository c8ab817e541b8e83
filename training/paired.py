"""Metrics of many rankings of one list at once: ties break the same way in all, equal scores differ by 0."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NAMES = ("auc", "ndcg@10")
_PLACES = 10


def paired_metrics(scores: Floats, clicked: NDArray[np.bool_], ties: Floats) -> Floats:
    """AUC and nDCG@10 of several score vectors over the same candidates.

    The definitions are those of ``training.metrics``: AUC counts ties one half, nDCG breaks them, here by
    ``ties``; NaN ranks last.

    Args:
        scores: (v, n) one row a ranking.
        clicked: (n,) with a click and a non-click.
        ties: (n,) random numbers; of equal scores the higher stands first.

    Returns:
        (v, 2) columns as ``NAMES``.
    """
    values = np.where(np.isnan(scores), -np.inf, scores)
    own = values[:, clicked][:, :, None]
    every = values[:, None, :]
    equal = every == own
    others = ~clicked
    above = (every > own) | (equal & (ties[None, None, :] > ties[clicked][None, :, None]))
    wins = (own > every)[:, :, others].sum(axis=(1, 2)) + 0.5 * equal[:, :, others].sum(axis=(1, 2))
    pairs = int(clicked.sum()) * int(others.sum())
    ranks = 1.0 + above.sum(axis=2)
    gains = np.where(ranks <= _PLACES, 1.0 / np.log2(1.0 + ranks), 0.0).sum(axis=1)
    ideal = (1.0 / np.log2(np.arange(2.0, min(int(clicked.sum()), _PLACES) + 2.0))).sum()
    return np.column_stack((wins / pairs, gains / ideal))
