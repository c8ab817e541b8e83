"""The nearest of many rows at once: blocked matrix products, of which only what can be best is sorted."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
BLOCK = 2048
_SAMPLED = 16


def highest(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Columns and values of the ``k`` highest entries of each row, best first, ties by column.

    A sample of the columns gives each row a threshold that few entries reach; only those are sorted.
    A row that turns out to have fewer than ``k`` of them is partitioned in full.
    """
    n = len(scores)
    sample = scores[:, ::_SAMPLED]
    rank = min(2 * (k // _SAMPLED) + 8, sample.shape[1] - 1)
    threshold = -np.partition(-sample, rank, axis=1)[:, rank]
    reached = scores >= threshold[:, None]
    reached[reached.sum(axis=1) < k] = True
    at, columns = np.nonzero(reached)
    values = scores[at, columns]
    order = np.lexsort((columns, -values, at))
    starts = np.searchsorted(at, np.arange(n))
    best = order[starts[:, None] + np.arange(k)]
    return columns[best].astype(np.int32), values[best]


def nearest_of(
    wanted: NDArray[np.integer], vectors: Vectors, k: int, block: int = BLOCK
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``k`` nearest rows of some rows, exactly; zero rows get and give none.

    Args:
        wanted: (m,) rows whose neighbours are asked for.
        vectors: (n, d) unit rows or zeros.
        k: neighbours a row, less than n.
        block: rows multiplied at a time; memory is block * n * 4 bytes.

    Returns:
        (m, k) rows, best first, ties by row, -1 where there are fewer; and (m, k) cosines, -inf there.
    """
    rows = np.full((len(wanted), k), -1, dtype=np.int32)
    cosines = np.full((len(wanted), k), -np.inf, dtype=np.float32)
    empty = ~np.any(vectors, axis=1)
    for start in range(0, len(wanted) if k else 0, block):
        part = wanted[start : start + block]
        scores = vectors[part] @ vectors.T
        scores[:, empty] = -np.inf
        scores[np.arange(len(part)), part] = -np.inf
        rows[start : start + block], cosines[start : start + block] = highest(scores, k)
    cosines[empty[wanted]] = -np.inf
    rows[np.isneginf(cosines)] = -1
    return rows, cosines
