"""Fit groupings of articles by meaning, and how readers move between the groups."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.affinity import Affinity
from recsys.config import TopicsConfig
from recsys.topics import Topics, centred


def fit_topics(
    vectors: NDArray[np.float32], pasts: Sequence[NDArray[np.int32]], config: TopicsConfig, seed: int
) -> Topics:
    """Group the articles that were read, several times, and learn the lifts between groups.

    Args:
        vectors: (n, d) of every catalogue row, zeros where there is none.
        pasts: catalogue rows that each reader opened.
        config: how many groups, how often.
        seed: of the groupings.

    Returns:
        Topics with every catalogue row placed; without any grouping where too little was read.
    """
    has = np.any(vectors != 0.0, axis=1)
    opened = np.concatenate(pasts) if len(pasts) else np.zeros(0, np.int32)
    read = np.unique(opened[has[opened]]) if len(opened) else opened
    if len(read) < config.articles_per_group * min(config.groups):
        return Topics()
    centre = vectors[has].mean(axis=0)
    turned = centred(vectors[read], centre)
    most = len(read) // config.articles_per_group
    sizes = [size for size in config.groups if size <= most]
    groupings = [_centroids(turned, size, 1000 * seed + at) for size in sizes for at in range(config.repeats)]
    bare = Topics.of(centre, groupings, [np.ones((len(g), len(g))) for g in groupings])
    codes = bare.place_all(vectors).codes.astype(np.int32)
    lifts = [
        Affinity().fit((codes[past, at] for past in pasts), len(grouping), config.shrinkage).lift_
        for at, grouping in enumerate(groupings)
    ]
    found = Topics.of(centre, groupings, lifts)
    found.codes = bare.codes
    return found


def _centroids(unit_rows: NDArray[np.float32], groups: int, seed: int) -> NDArray[np.float32]:
    from sklearn.cluster import KMeans

    # on unit rows the nearest centre by distance is nearly the one with the highest cosine
    found = KMeans(groups, init="random", n_init=1, max_iter=12, random_state=seed).fit(unit_rows)
    centres = found.cluster_centers_.astype(np.float32)
    return np.asarray(centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9))
