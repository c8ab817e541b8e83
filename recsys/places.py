"""Where a new or changed article belongs among precomputed neighbours: found first, put there later.

Finding compares with everything and may run beside requests; putting touches some hundred lists.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.growing_rows import GrowingRows

Floats32 = NDArray[np.float32]
Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Places:
    """Where an article belongs.

    Attributes:
        own, cosines: (k,) its own neighbours, best first.
        wanted, values: (m,) the lists that it enters and its cosine there.
        left, at: (j,) the lists that held it, and where.
    """

    own: Positions
    cosines: Floats32
    wanted: Positions
    values: Floats32
    left: Positions
    at: Positions


def places_of(
    row: int, cosines: Floats32, has: NDArray[np.bool_], lists: GrowingRows, values: GrowingRows
) -> Places:
    """Where an article belongs; nothing is changed.

    Args:
        row: the article.
        cosines: (n,) its cosine with every row.
        has: (n,) which rows carry a vector.
        lists: (m, k) neighbours of each row, best first, -1 where there are fewer; m >= n.
        values: (m, k) cosines of the neighbours.
    """
    width = lists.width
    left, at = _held_by(row, lists)
    others = np.flatnonzero(has)
    others = others[others != row] if width else others[:0]
    best = others[best_of(cosines[others], width)]
    wanted = others[cosines[others] > _floors(left, at, lists, values)[others]] if width else others
    return Places(best, cosines[best], wanted, cosines[wanted], left, at)


def _held_by(row: int, lists: GrowingRows) -> tuple[Positions, Positions]:
    """The lists that hold an article, and where."""
    # what never had a list of its own stands in no other
    if not lists.width or lists.line(row)[0] < 0:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    lefts, places = [], []
    for begin, part in lists.parts():
        left, at = np.nonzero(part == row)
        lefts.append(begin + left)
        places.append(at)
    return np.concatenate(lefts), np.concatenate(places)


def _floors(left: Positions, at: Positions, lists: GrowingRows, values: GrowingRows) -> Floats32:
    """(m,) what a cosine must exceed to enter each list once the article has left those that hold it."""
    floors = np.concatenate([part[:, -1] for _, part in values.parts()])
    full = lists.take(left, -1) >= 0
    floors[left[~full]] = -np.inf
    # a full list that it left has others, not kept here, between its last place and the rest
    left, at = left[full], at[full]
    if values.width == 1:
        floors[left] = np.inf
    else:
        floors[left] = np.where(at == values.width - 1, values.take(left, -2), values.take(left, -1))
    return floors


def best_of(scores: Floats32, n: int) -> Positions:
    """Positions of the ``n`` highest scores, best first, ties by position."""
    everything = n >= len(scores)
    kept = np.arange(len(scores)) if everything else np.sort(np.argpartition(-scores, n - 1)[:n])
    return np.asarray(kept[np.argsort(-scores[kept], kind="stable")])
