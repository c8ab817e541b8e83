"""The floor and the reference of the ranker: other models on the same lists, judged on the same later ones.

Each is a pointwise classifier of clicks on the content blend's score and the ranker's features. Lists
differ in how often they are clicked, so every column also stands as a difference from its list's
mean. What limits a model (rounds of boosting, penalty) is chosen on the latest quarter of the fitted
lists, never on a random one; then the model is fitted on all of them, as the additive ranker is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from training.fit_ranker import Examples
from training.metrics import NAMES, Table, auc, cluster_bootstrap, impression_metrics

Floats = NDArray[np.float64]
_LATER = 0.25
_RUNS = 200
_LISTED = 200
_PENALTIES = (0.0003, 0.003, 0.03, 0.3)
_MOST_ROUNDS = 500
_MOST_WEIGHT = 10.0
_AUC = NAMES.index("auc")
ADDITIVE = "additive"


class Scorer(Protocol):
    """Scores of one list from the blend's scores (n,) and raw features (n, f)."""

    def __call__(self, blend: Floats, matrix: Floats) -> Floats:
        """(n,) scores; higher is better."""


@dataclass
class JudgedLists:
    """Lists that models are compared on.

    Attributes:
        blend, matrices, labels: of each list: (n,), (n, f), (n,); a candidate that is not in the
            catalogue has NaN throughout and ranks last with every model.
        clusters: reader of each list.
    """

    blend: list[Floats] = field(default_factory=list)
    matrices: list[Floats] = field(default_factory=list)
    labels: list[NDArray[np.bool_]] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)

    def table(self, scorer: Scorer, seed: int) -> Table:
        """Metrics of a model on every list."""
        rng = np.random.default_rng(seed)
        rows = []
        for blend, matrix, labels in zip(self.blend, self.matrices, self.labels, strict=True):
            known = ~np.isnan(blend)
            scores = np.full(len(blend), np.nan)
            if known.any():
                scores[known] = scorer(blend[known], matrix[known])
            rows.append(impression_metrics(scores, labels, rng))
        return Table(np.array(rows), np.array(self.clusters, dtype=np.int64))


def within_list(blend: Floats, matrix: Floats) -> Floats:
    """(n, 1 + f) differences from the list's mean, blend first; NaN stays."""
    columns = np.column_stack((blend, matrix))
    missing = np.isnan(columns)
    counted = np.maximum((~missing).sum(axis=0), 1)
    return np.asarray(columns - np.where(missing, 0.0, columns).sum(axis=0) / counted)


def both_views(blend: Floats, matrix: Floats) -> Floats:
    """(n, 2 + 2 f) differences from the list's mean, then the raw columns."""
    return np.column_stack((within_list(blend, matrix), blend, matrix))


@dataclass(frozen=True)
class _Rows:
    """Candidates of many lists as one table, with weights that are 1 on average."""

    columns: Floats
    clicked: NDArray[np.bool_]
    weights: Floats

    @classmethod
    def of(cls, examples: Examples, view: Callable[[Floats, Floats], Floats]) -> "_Rows":
        pairs = zip(examples.blend, examples.matrices, strict=True)
        lists = zip(examples.labels, examples.weights, examples.looked, strict=True)
        weights = np.concatenate([_weights(*one) for one in lists])
        return cls(
            np.concatenate([view(blend, matrix) for blend, matrix in pairs]),
            np.concatenate(examples.labels),
            weights * len(weights) / weights.sum(),
        )


def _weights(labels: NDArray[np.bool_], clicks: Floats, looked: Floats) -> Floats:
    """(n,) of one list, about 1 together: clicks by what they count, over their propensity."""
    others = clicks.sum() / labels.sum()
    return np.asarray(np.where(labels, clicks * np.minimum(1.0 / looked, _MOST_WEIGHT), others) / len(labels))


class Linear:
    """scikit-learn's logistic regression; scored as one product."""

    def __init__(self, scales: Floats, weights: Floats) -> None:
        self.weights_ = weights / scales

    def __call__(self, blend: Floats, matrix: Floats) -> Floats:
        """See ``Scorer``; a missing feature stands at its list's mean."""
        columns = within_list(blend, matrix)
        np.copyto(columns, 0.0, where=np.isnan(columns))
        return np.asarray(columns @ self.weights_)

    @classmethod
    def fit(cls, examples: Examples, seed: int) -> "Linear":
        """The penalty that is best on the later lists, then fitted on all."""
        earlier, later = examples.split(_LATER)
        losses = [_mean_auc(cls._fitted(earlier, penalty, seed), later) for penalty in _PENALTIES]
        return cls._fitted(examples, _PENALTIES[int(np.argmax(losses))], seed)

    @classmethod
    def _fitted(cls, examples: Examples, penalty: float, seed: int) -> "Linear":
        from sklearn.linear_model import LogisticRegression

        rows = _Rows.of(examples, within_list)
        columns = np.nan_to_num(rows.columns)
        scales = columns.std(axis=0)
        scales = np.where(scales > 1e-12, scales, 1.0)
        model = LogisticRegression(C=penalty, max_iter=1000, random_state=seed)
        model.fit(columns / scales, rows.clicked, sample_weight=rows.weights)
        return cls(scales, model.coef_[0])


class Boosted:
    """scikit-learn's gradient boosting over histograms.

    Args:
        model: fitted.
        varying: columns it was fitted on: the library takes none that is missing or the same throughout.
    """

    def __init__(self, model: Any, varying: NDArray[np.bool_]) -> None:
        self.model, self.varying = model, varying

    def __call__(self, blend: Floats, matrix: Floats) -> Floats:
        """See ``Scorer``."""
        return np.asarray(self.model.decision_function(both_views(blend, matrix)[:, self.varying]))

    @classmethod
    def fit(cls, examples: Examples, seed: int, interactions: str | None) -> "Boosted":
        """Stopped early on the later lists, then fitted on all with that many rounds.

        Args:
            examples: in time order.
            seed: of the binning.
            interactions: None for all, "no_interactions" for a sum of curves.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        def made(rounds: int, stopping: bool) -> Any:
            return HistGradientBoostingClassifier(
                learning_rate=0.05,
                max_iter=rounds,
                max_leaf_nodes=15,
                min_samples_leaf=50,
                l2_regularization=1.0,
                early_stopping=stopping,
                n_iter_no_change=20,
                interaction_cst=interactions,
                random_state=seed,
            )

        earlier, later = (_Rows.of(part, both_views) for part in examples.split(_LATER))
        varying = _varying(earlier.columns)
        stopped = made(_MOST_ROUNDS, True).fit(
            earlier.columns[:, varying],
            earlier.clicked,
            sample_weight=earlier.weights,
            X_val=later.columns[:, varying],
            y_val=later.clicked,
            sample_weight_val=later.weights,
        )
        rounds = max(1, int(np.argmax(stopped.validation_score_)))
        rows = _Rows.of(examples, both_views)
        columns = rows.columns[:, varying]
        return cls(made(rounds, False).fit(columns, rows.clicked, sample_weight=rows.weights), varying)


def _varying(columns: Floats) -> NDArray[np.bool_]:
    known = ~np.isnan(columns)
    low = np.where(known, columns, np.inf).min(axis=0)
    high = np.where(known, columns, -np.inf).max(axis=0)
    return np.asarray(low < high)


def _mean_auc(scorer: Scorer, examples: Examples) -> float:
    lists = zip(examples.blend, examples.matrices, examples.labels, strict=True)
    return float(np.mean([auc(scorer(blend, matrix), labels) for blend, matrix, labels in lists]))


def fit_references(examples: Examples, seed: int) -> dict[str, Scorer]:
    """The models that stand beside the additive ranker, by name."""
    # on one thread: where other work runs too, threads that wait for each other take many times longer
    with threadpool_limits(limits=1):
        return {
            "logistic_regression": Linear.fit(examples, seed),
            "boosted_additive": Boosted.fit(examples, seed, "no_interactions"),
            "boosted_full": Boosted.fit(examples, seed, None),
        }


def microseconds(scorer: Scorer, features: int, seed: int, runs: int = _RUNS) -> float:
    """Median time to rank one list of 200 candidates whose features are there, on one thread.

    Args:
        scorer: the model.
        features: f.
        seed: of the list.
        runs: how many are timed, after a tenth as many that are not.
    """
    rng = np.random.default_rng(seed)
    blend, matrix = rng.normal(size=_LISTED), rng.normal(size=(_LISTED, features))
    took = []
    with threadpool_limits(limits=1):
        for run in range(runs + runs // 10):
            begin = perf_counter_ns()
            np.argsort(-scorer(blend, matrix))
            if run >= runs // 10:
                took.append(perf_counter_ns() - begin)
    return float(np.median(took)) / 1000.0


def compare(
    additive: Scorer, references: dict[str, Scorer], judged: JudgedLists, seed: int
) -> list[dict[str, Any]]:
    """Every model on the same lists, with its paired difference from the additive ranker.

    Returns:
        Rows of ``model``, ``auc``, ``ndcg@10``, ``auc_difference`` and ``ndcg@10_difference`` (model
        less additive) with their 95% ``ci`` and ``ndcg@10_ci`` clustered by reader, ``impressions``
        and ``microseconds_per_200``.
    """
    scorers: dict[str, Scorer] = {ADDITIVE: additive, **references}
    tables = {name: judged.table(scorer, seed) for name, scorer in scorers.items()}
    features = judged.matrices[0].shape[1]
    return [
        {
            "model": name,
            "auc": table.means()["auc"],
            "ndcg@10": table.means()["ndcg@10"],
            **_differences(table, tables[ADDITIVE], seed),
            "impressions": len(table.values),
            "microseconds_per_200": microseconds(scorers[name], features, seed),
        }
        for name, table in tables.items()
    ]


def _differences(table: Table, additive: Table, seed: int) -> dict[str, Any]:
    columns: Sequence[int] = (_AUC, NAMES.index("ndcg@10"))
    off = table.values[:, columns] - additive.values[:, columns]
    low, high = cluster_bootstrap(off, table.clusters, seed)
    means = off.mean(axis=0)
    return {
        "auc_difference": float(means[0]),
        "ci": [float(low[0]), float(high[0])],
        "ndcg@10_difference": float(means[1]),
        "ndcg@10_ci": [float(low[1]), float(high[1])],
    }
