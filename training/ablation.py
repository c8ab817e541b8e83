"""What each part of the score earns: the judged lists ranked again without it.

A score is a sum of named parts, so leaving one out costs a sum, not a second run of the funnel. The
comparison is paired: every ranking of a list breaks ties the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Candidates
from recsys.in_list import base_of
from training.metrics import cluster_bootstrap
from training.paired import paired_metrics

Floats = NDArray[np.float64]
# the first word that stands in a part's name decides; what matches none stands alone
_GROUPS = (
    ("co-reading", ("covisit", "together", "affinity")),
    (
        "counts of clicks and readers",
        ("ctr", "click", "opening", "popular", "count", "ris", "rate", "engagement"),
    ),
    ("text and interests", ("similar", "interest", "nearest", "topic", "tfidf", "tag_", "cosine")),
    ("sections", ("section",)),
    ("age", ("fresh", "age", "old", "recency", "new")),
)
LEARNED = "all learned curves"


def group_of(part: str) -> str | None:
    """The group that a part of the score belongs to, by its name.

    Example:
        >>> group_of("section_ctr"), group_of("section_share"), group_of("priority")
        ('counts of clicks and readers', 'sections', None)
    """
    return next((group for group, words in _GROUPS if any(word in part for word in words)), None)


@dataclass(frozen=True, order=True)
class Part:
    """What is left out.

    Attributes:
        of: ``blend`` (a weight of the configuration), ``curve`` (a learned feature) or ``group``.
        name: of it.
    """

    of: str
    name: str


@dataclass
class Ablation:
    """Gathers, list by list, how the metrics change when a part is left out.

    Attributes:
        seed: of ties.
        changes: by part: list number and (auc, nDCG@10) without it less with it, where it says anything.
        members: names of the parts that each group was seen with.
        clusters: reader of each list.
    """

    seed: int = 0
    changes: dict[Part, list[tuple[int, float, float]]] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    clusters: list[int] = field(default_factory=list)

    def take(
        self,
        scored: Candidates,
        curves: int,
        known: NDArray[np.bool_],
        labels: NDArray[np.bool_],
        reader: int,
    ) -> None:
        """One judged list.

        Args:
            scored: the funnel's known candidates with their parts.
            curves: how many of the last parts are learned curves.
            known: (n,) False for what cannot be scored and ranks last.
            labels: (n,) with a click and a non-click.
            reader: its cluster.
        """
        number = len(self.clusters)
        self.clusters.append(reader)
        left_out = _variants(scored.names, curves)
        for part, columns in left_out.items():
            self.changes.setdefault(part, [])
            if part.of == "group":
                self.members.setdefault(part.name, set()).update(scored.names[at] for at in columns)
        parts = np.zeros((len(known), len(scored.names)))
        parts[known] = scored.parts
        varies = np.ptp(scored.parts, axis=0) > 0 if known.any() else np.zeros(len(scored.names), bool)
        speaking = {part: columns for part, columns in left_out.items() if varies[columns].any()}
        kept = np.ones((1 + len(speaking), len(scored.names)), dtype=bool)
        for at, columns in enumerate(speaking.values(), 1):
            kept[at, columns] = False
        # zeros in place of a part keep the order of the sum, so that nothing else changes by rounding
        scores = np.where(kept[:, None, :], parts[None, :, :], 0.0).sum(axis=2)
        scores[:, ~known] = np.nan
        ties = np.random.default_rng((self.seed, number)).random(len(labels))
        found = paired_metrics(scores, labels, ties)
        for part, (auc, ndcg) in zip(speaking, (found[1:] - found[0]).tolist(), strict=True):
            self.changes[part].append((number, auc, ndcg))

    def rows(self) -> list[dict[str, Any]]:
        """A row a part, what earns most first, with 95% intervals of the paired bootstrap by reader."""
        # a group of one part is that part
        parts = sorted(p for p in self.changes if p.of != "group" or len(self.members[p.name]) > 1)
        if not parts:
            return []
        table = np.zeros((len(self.clusters), 2 * len(parts)))
        for at, part in enumerate(parts):
            for number, auc, ndcg in self.changes[part]:
                table[number, 2 * at : 2 * at + 2] = auc, ndcg
        spoke = [len(self.changes[part]) for part in parts]
        found = change_rows(table, np.array(self.clusters, dtype=np.int64), self.seed)
        rows = [
            {"part": part.name, "of": part.of, "kind": "dropped", "lists": lists, **row}
            for part, lists, row in zip(parts, spoke, found, strict=True)
        ]
        return sorted(rows, key=by_worth)


def by_worth(row: Mapping[str, Any]) -> tuple[bool, float, str]:
    """Order of rows: groups first, then what earns most."""
    return row["of"] != "group", row["auc_change"], row["part"]


def change_rows(table: Floats, clusters: NDArray[np.int64], seed: int) -> list[dict[str, Any]]:
    """Means and intervals of paired changes.

    Args:
        table: (m, 2 p) changes of AUC and nDCG@10 of p parts, side by side.
        clusters: (m,) reader of each list.
        seed: of the resampling.
    """
    means = table.mean(axis=0)
    low, high = cluster_bootstrap(table, clusters, seed)
    rows = []
    for at in range(0, table.shape[1], 2):
        auc, ndcg = at, at + 1
        rows.append(
            {
                "auc_change": float(means[auc]),
                "auc_ci": [float(low[auc]), float(high[auc])],
                "ndcg_change": float(means[ndcg]),
                "ndcg_ci": [float(low[ndcg]), float(high[ndcg])],
            }
        )
    return rows


def _variants(names: Sequence[str], curves: int) -> dict[Part, list[int]]:
    """Columns to leave out for each part and each group; a feature goes with its forms within the list."""
    first = len(names) - curves
    found: dict[Part, list[int]] = {}
    for at, name in enumerate(names):
        found.setdefault(Part("blend", name) if at < first else Part("curve", base_of(name)), []).append(at)
    groups: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        group = group_of(name)
        if group is not None:
            groups.setdefault(group, []).append(at)
    if curves:
        groups[LEARNED] = list(range(first, len(names)))
    return found | {Part("group", name): columns for name, columns in groups.items()}
