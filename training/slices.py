"""Cuts through what was judged, and comparisons of two models on the same impressions."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.metrics import NAMES, Table, cluster_bootstrap

if TYPE_CHECKING:
    from training.judging import Judged

JUDGED_FROM = 200
_SECTIONS = 8
_AUC, _NDCG = NAMES.index("auc"), NAMES.index("ndcg@10")


def ratios(ours: Table, theirs: Table, seed: int) -> dict[str, Any]:
    """Skill (AUC less one half) and nDCG@10 of one model as shares of another's.

    Returns:
        ``skill_ratio`` and ``ndcg@10_ratio``, each with a 95% ``_ci`` of the paired bootstrap; None
        where the other model has no skill.
    """
    pairs = np.column_stack([table.values[:, column] for table in (ours, theirs) for column in (_AUC, _NDCG)])

    def shares(means: NDArray[np.float64]) -> NDArray[np.float64]:
        skill = (means[:, 0] - 0.5) / np.where(means[:, 2] > 0.5, means[:, 2] - 0.5, np.nan)
        return np.column_stack((skill, means[:, 1] / np.where(means[:, 3] > 0, means[:, 3], np.nan)))

    low, high = cluster_bootstrap(pairs, ours.clusters, seed, shares)
    middle = shares(pairs.mean(axis=0, keepdims=True))[0]
    found: dict[str, Any] = {}
    for at, name in enumerate(("skill_ratio", "ndcg@10_ratio")):
        found[name] = _number(middle[at])
        found[f"{name}_ci"] = [_number(low[at]), _number(high[at])]
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def difference(ours: Table, theirs: Table, seed: int, column: int = _AUC) -> tuple[float, float]:
    """95% interval of one model's metric less another's on the same impressions."""
    pairs = np.column_stack((ours.values[:, column], theirs.values[:, column]))
    low, high = cluster_bootstrap(pairs, ours.clusters, seed, lambda means: means[:, :1] - means[:, 1:])
    return float(low[0]), float(high[0])


def cut(judged: "Judged", best_single: str, seed: int) -> dict[str, Any]:
    """Metrics of every model in each slice, and the funnel against the best single signal there.

    A slice of fewer than 200 impressions is shown and not judged.
    """
    found = {}
    for name, inside in _masks(judged).items():
        count = int(inside.sum())
        if count == 0:
            continue
        part = {model: table.take(inside) for model, table in judged.tables.items()}
        low, high = difference(part["funnel"], part[best_single], seed)
        found[name] = {
            "impressions": count,
            "judged": count >= JUDGED_FROM,
            "models": {
                model: {metric: table.means()[metric] for metric in ("auc", "ndcg@10")}
                for model, table in part.items()
            },
            "auc_against_best_single_ci": [low, high],
            "holds": high >= 0.0 if count >= JUDGED_FROM else None,
        }
    return found


def _masks(judged: "Judged") -> dict[str, NDArray[np.bool_]]:
    traits = judged.traits
    days = traits["days_after_fit"]
    masks = {
        "cold readers (5 openings or fewer)": traits["past"] <= 5,
        "other readers": traits["past"] > 5,
        "article younger than 1 h": traits["youngest"] < 1.0,
        "cold article (nobody has opened it yet)": traits["unopened"],
        "head (a tenth of the articles)": traits["head"],
        "tail": ~traits["head"],
        "first day after the fit": (days > 0) & (days <= 1),
        "later days": days > 1,
    }
    names, counts = np.unique(traits["section"], return_counts=True)
    largest = names[np.argsort(-counts, kind="stable")][:_SECTIONS]
    masks |= {f"section {name or 'unknown'}": traits["section"] == name for name in largest.tolist()}
    return {name: np.asarray(mask, dtype=bool) for name, mask in masks.items()}
