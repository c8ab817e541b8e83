"""How good the ranker is by how many lists it is fitted on, and what each group of features earns refitted.

Both are judged on the last share of the fitted lists, which none of these fits has seen.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.config import RankerConfig
from recsys.in_list import base_of
from recsys.ranker import AdditiveRanker
from training.ablation import by_worth, change_rows, group_of
from training.fit_ranker import Examples, fit_ranker
from training.metrics import cluster_bootstrap
from training.paired import NAMES, paired_metrics

Floats = NDArray[np.float64]
# every eighth list, every fourth, every second: each share holds the smaller ones and spans the same time
STEPS = (8, 4, 2)
# refits are bounded, so that training on much more data does not cost as much more
_REFITTED_ON = 2_000
# with more features, groups alone are refitted
_MOST_REFITS = 20


def learning_curve(
    earlier: Examples,
    later: Examples,
    fitted: AdditiveRanker,
    config: RankerConfig,
    most: float,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Quality on the later lists against the share of the earlier ones that was fitted on.

    Args:
        earlier, later: lists in time order.
        fitted: on all of the earlier lists.
        config, most: as ``fit_ranker`` takes them.
        seed: of ties and resampling.

    Returns:
        Rows ``share``, ``lists``, ``auc``, ``ndcg@10``, each with a 95% ``_ci`` (resampled by list), and
        ``gain`` in AUC over the content blend, which is the first row: no list at all.
    """
    rankers: list[tuple[float, int, AdditiveRanker | None]] = [(0.0, 0, None)]
    for step in STEPS:
        part = every(earlier, step)
        if rankers[-1][1] < len(part) < len(earlier):
            rankers.append((1.0 / step, len(part), fit_ranker(part, config, most)))
    rankers.append((1.0, len(earlier), fitted))
    tables = [judged_later(ranker, later, seed) for _, _, ranker in rankers]
    low, high = cluster_bootstrap(np.hstack(tables), np.arange(len(later)), seed)
    rows = []
    for at, (share, lists, _) in enumerate(rankers):
        row: dict[str, Any] = {"share": share, "lists": lists}
        for column, name in enumerate(NAMES):
            row[name] = float(tables[at][:, column].mean())
            row[f"{name}_ci"] = [float(low[2 * at + column]), float(high[2 * at + column])]
        rows.append({**row, "gain": row["auc"] - float(tables[0][:, 0].mean())})
    return rows


def refitted(
    earlier: Examples,
    later: Examples,
    config: RankerConfig,
    most: float,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """What the ranker loses when it is fitted without a feature or a group of them.

    Returns:
        Rows as of the ablation, ``kind`` ``refitted``; none where nothing would be left to fit.
    """
    left_out = [entry for entry in _left_out(earlier.names) if len(entry[2]) < len(earlier.names)]
    if not left_out:
        return []
    earlier = last(earlier, _REFITTED_ON)
    whole = judged_later(fit_ranker(earlier, config, most), later, seed)
    tables = []
    for _, _, names in left_out:
        kept = [name for name in earlier.names if name not in names]
        less = only(earlier, kept)
        tables.append(judged_later(fit_ranker(less, config, most), only(later, kept), seed) - whole)
    found = change_rows(np.hstack(tables), np.arange(len(later)), seed)
    rows = [
        {"part": name, "of": of, "kind": "refitted", "lists": len(later), **row}
        for (of, name, _), row in zip(left_out, found, strict=True)
    ]
    return sorted(rows, key=by_worth)


def _left_out(names: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Kind, name and features of what is left out in turn: features with their forms, and groups of them."""
    features: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for name in names:
        features.setdefault(base_of(name), []).append(name)
        groups.setdefault(group_of(name) or "", []).append(name)
    found = [("curve", name, forms) for name, forms in features.items()]
    if len(found) > _MOST_REFITS:
        found = []
    bases = {group: {base_of(name) for name in members} for group, members in groups.items()}
    return found + [("group", g, members) for g, members in groups.items() if g and len(bases[g]) > 1]


def judged_later(ranker: AdditiveRanker | None, later: Examples, seed: int) -> Floats:
    """(m, 2) AUC and nDCG@10 of each list; without a ranker those of the content blend."""
    found = []
    for at, (blend, matrix, labels) in enumerate(zip(later.blend, later.matrices, later.labels, strict=True)):
        scores = blend if ranker is None else blend + ranker.parts(matrix, {}).sum(axis=1)
        ties = np.random.default_rng((seed, at)).random(len(labels))
        found.append(paired_metrics(scores[None, :], labels, ties)[0])
    return np.array(found)


def every(examples: Examples, step: int) -> Examples:
    """Every ``step``-th list, the last among them."""
    return _at(examples, range((len(examples) - 1) % step, len(examples), step))


def last(examples: Examples, count: int) -> Examples:
    """The last lists, at most ``count``."""
    return _at(examples, range(max(0, len(examples) - count), len(examples)))


def only(examples: Examples, names: Sequence[str]) -> Examples:
    """The same lists with these features alone."""
    columns = [examples.names.index(name) for name in names]
    part = copy(examples)
    part.names = tuple(names)
    part.matrices = [matrix[:, columns] for matrix in examples.matrices]
    return part


def _at(examples: Examples, places: range) -> Examples:
    """Some lists, with everything that is kept of each."""
    part = copy(examples)
    for name, values in vars(examples).items():
        if isinstance(values, list):
            setattr(part, name, [values[place] for place in places])
    return part
