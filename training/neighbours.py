"""Neighbours of a new training, made from those of an earlier bundle where nothing changed.

Computing all neighbours is the square of the number of articles; a day's news changes few of them.
Kept lists take in the new columns, lists that lost a member and new rows are computed afresh, so the
result is the one that computing everything would give.
"""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys.bundle import Bundle, Registry, read_manifest
from recsys.errors import BundleError
from recsys.index import Neighbours
from recsys.nearest import nearest_of
from recsys.snapshot import CATALOG

_BLOCK = 4096
_CELLS = 1 << 26
_WORTH_IT = 0.5


def find_neighbours(
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    k: int,
    registry: Registry,
    model_id: str,
) -> tuple[Neighbours, int]:
    """Exact neighbours of all rows, with as much of the newest fitting bundle as still holds.

    Args:
        ids: of the n articles.
        vectors: (n, d) unit rows or zeros.
        k: neighbours a row.
        registry: where earlier bundles lie.
        model_id: of the embedding; a bundle of another one is not used.

    Returns:
        The neighbours and how many lists were kept.
    """
    earlier = _newest(registry, model_id)
    if earlier is not None:
        try:
            old_ids, old_vectors, old = _read(earlier)
        except BundleError:
            old_ids = []
        if old_ids:
            return update(old_ids, old_vectors, old, ids, vectors, k)
    return Neighbours.compute(vectors, k), 0


def update(
    old_ids: Sequence[str],
    old_vectors: NDArray[np.float32],
    old: Neighbours,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    k: int,
) -> tuple[Neighbours, int]:
    """What ``Neighbours.compute(vectors, k)`` gives, and how many lists were kept for it.

    Args:
        old_ids, old_vectors, old: articles of an earlier catalogue, all their vectors and neighbours.
        ids, vectors: of the present one.
        k: neighbours a row.
    """
    n = len(vectors)
    width = min(k, max(n - 1, 0))
    sources = _unchanged(old_ids, old_vectors, ids, vectors)
    if old.rows.shape[1] != width or np.count_nonzero(sources >= 0) < _WORTH_IT * n:
        return Neighbours.compute(vectors, k), 0
    rows, cosines, whole = _carried(old, sources)
    broken = np.flatnonzero(~whole)
    rows[broken], cosines[broken] = nearest_of(broken, vectors, width)
    kept, fresh = np.flatnonzero(whole), np.flatnonzero((sources < 0) & np.any(vectors, axis=1))
    at_once = max(1, min(_BLOCK, _CELLS // max(len(fresh), 1)))
    for start in range(0, len(kept) if len(fresh) else 0, at_once):
        part = kept[start : start + at_once]
        _take_in(rows, cosines, part, fresh, vectors)
    return Neighbours(rows, cosines), len(kept)


def _unchanged(
    old_ids: Sequence[str],
    old_vectors: NDArray[np.float32],
    ids: Sequence[str],
    vectors: NDArray[np.float32],
) -> NDArray[np.int64]:
    """(n,) earlier row of each article with the same id and vector, else -1.

    Earlier rows rise: equal cosines stand in the order of rows, which must not be turned round.
    """
    place = {article_id: row for row, article_id in enumerate(old_ids)}
    found = np.array([place.get(article_id, -1) for article_id in ids], dtype=np.int64)
    known = np.flatnonzero(found >= 0)
    if len(known) and old_vectors.shape[1:] == vectors.shape[1:]:
        same = np.all(old_vectors[found[known]] == vectors[known], axis=1)
        found[known[~same]] = -1
    else:
        found[:] = -1
    known = np.flatnonzero(found >= 0)
    rising = known[_longest_rising(found[known])]
    kept = np.full(len(ids), -1, dtype=np.int64)
    kept[rising] = found[rising]
    return kept


def _longest_rising(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions of a longest rising subsequence (patience sorting)."""
    if len(values) == 0 or np.all(np.diff(values) > 0):
        return np.arange(len(values))
    tails: list[int] = []
    ends: list[int] = []
    before = np.full(len(values), -1, dtype=np.intp)
    for at, value in enumerate(values.tolist()):
        pile = bisect_left(tails, value)
        before[at] = ends[pile - 1] if pile else -1
        tails[pile : pile + 1], ends[pile : pile + 1] = [value], [at]
    found = [ends[-1]]
    while before[found[-1]] >= 0:
        found.append(int(before[found[-1]]))
    return np.array(found[::-1], dtype=np.intp)


def _carried(
    old: Neighbours, sources: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
    """Earlier lists in the present rows, and which of them are whole: kept without losing a member."""
    n, width = len(sources), old.rows.shape[1]
    kept = np.flatnonzero(sources >= 0)
    present = np.full(len(old.rows) + 1, -1, dtype=np.int32)
    present[sources[kept]] = kept
    before = old.rows[sources[kept]]
    now = present[before]
    rows = np.full((n, width), -1, dtype=np.int32)
    cosines = np.full((n, width), -np.inf, dtype=np.float32)
    rows[kept], cosines[kept] = now, old.cosines[sources[kept]]
    whole = np.zeros(n, dtype=bool)
    whole[kept] = np.all((now >= 0) | (before < 0), axis=1)
    return rows, cosines, whole


def _take_in(
    rows: NDArray[np.int32],
    cosines: NDArray[np.float32],
    lists: NDArray[np.intp],
    fresh: NDArray[np.intp],
    vectors: NDArray[np.float32],
) -> None:
    """Put new columns into kept lists, in place; an equal cosine goes to the lower row."""
    scores = vectors[lists] @ vectors[fresh].T
    # a list without vector stays empty
    scores[~np.any(vectors[lists], axis=1)] = -np.inf
    at, columns = np.nonzero((scores >= cosines[lists, -1][:, None]) & (scores > -np.inf))
    touched, width = np.unique(at), rows.shape[1]
    if len(touched) == 0:
        return
    place = np.searchsorted(touched, np.concatenate((np.repeat(touched, width), at)))
    members = np.concatenate((rows[lists[touched]].ravel(), fresh[columns].astype(np.int32)))
    values = np.concatenate((cosines[lists[touched]].ravel(), scores[at, columns]))
    order = np.lexsort((members, -values, place))
    starts = np.searchsorted(place[order], np.arange(len(touched)))
    best = order[starts[:, None] + np.arange(width)]
    rows[lists[touched]], cosines[lists[touched]] = members[best], values[best]


def _newest(registry: Registry, model_id: str) -> Path | None:
    """The newest bundle of the same embedding model."""
    for version in reversed(registry.versions()):
        try:
            manifest = read_manifest(registry.folder / version)
        except BundleError:
            continue
        if manifest.get("embedder", {}).get("model_id") == model_id:
            return registry.folder / version
    return None


def _read(path: Path) -> tuple[list[str], NDArray[np.float32], Neighbours]:
    """Article ids, vectors and neighbours of a bundle whose files have the digests of its manifest."""
    manifest = read_manifest(path)
    bundle = Bundle(path, manifest)
    for name in ("vectors.npy", "neighbour_rows.npy", "neighbour_cosines.npy", CATALOG):
        bundle.verify(name)
    try:
        ids = pq.read_table(path / CATALOG, columns=["article_id"]).column(0).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{path / CATALOG} cannot be read: {error}") from error
    neighbours = Neighbours(
        bundle.array("neighbour_rows", mapped=True), bundle.array("neighbour_cosines", mapped=True)
    )
    count = len(neighbours)
    return ids[:count], bundle.array("vectors", mapped=True)[:count], neighbours
