"""What training notes about itself in the manifest, for the report and for the choice of a baseline.

It watches the lists that teach the ranker while they are at hand, so nothing is replayed twice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Rows
from recsys.config import Config
from recsys.pipeline import Query
from recsys.ranker import KNOTS, AdditiveRanker
from recsys.schemas import Article, Exposure
from recsys.state import State
from training.baselines import Asked, Baseline
from training.calibration import ClickMap
from training.fit_ranker import Examples
from training.judging import baselines_before
from training.learning_curve import learning_curve, refitted
from training.metrics import auc
from training.readers import EventLog

_COLUMNS = 24


class FitMetrics:
    """Metrics of the lists that a ranker is fitted on.

    Args:
        articles: of the data, for TF-IDF.

    Attributes:
        learning_curve, refitted, calibration, features: by surface.
    """

    def __init__(self, articles: Mapping[str, Article]) -> None:
        self._articles = articles
        self._exposures: Sequence[Exposure] = ()
        self._log: EventLog | None = None
        self._baselines: dict[str, Baseline] | None = None
        self._aucs: dict[str, list[float]] = {}
        self.learning_curve: dict[str, Any] = {}
        self.refitted: dict[str, Any] = {}
        self.calibration: dict[str, Any] = {}
        self.features: dict[str, Any] = {}

    def begins(self, log: EventLog, exposures: Sequence[Exposure]) -> None:
        """The log that baselines learn from, and its lists, both in time order."""
        self._log, self._exposures = log, exposures

    def later(
        self, state: State, exposure: Exposure, query: Query, rows: Rows, labels: NDArray[np.bool_]
    ) -> None:
        """A list of the last share, ranked by every single signal that knows only what lies before it.

        What a baseline learns, it learns from what lies before the first of these lists.
        """
        if self._baselines is None:
            self._baselines = self._learn(state, exposure)
        surface = exposure.surface
        half_life = state.config.surfaces.of(surface).half_life_hours
        asked = Asked(state, query, rows, surface, half_life)
        for name, baseline in self._baselines.items():
            scores = baseline(asked)
            found = auc(np.where(np.isnan(scores), -np.inf, scores), labels)
            self._aucs.setdefault(name, []).append(found)

    def _learn(self, state: State, first: Exposure) -> dict[str, Baseline]:
        assert self._log is not None, "begins() comes first"
        ts = first.ts.timestamp()
        before = ts - state.config.train.serving_lag_minutes * 60.0
        known = [exposure for exposure in self._exposures if exposure.ts.timestamp() < before]
        return baselines_before(state, self._log.between(-np.inf, before), known, self._articles)

    def fitted(
        self, surface: str, ranker: AdditiveRanker, earlier: Examples, later: Examples, config: Config
    ) -> None:
        """A ranker that was fitted on the earlier lists of a surface."""
        most, seed = config.surfaces.of(surface).learned_share, config.train.seed
        self.learning_curve[surface] = learning_curve(earlier, later, ranker, config.ranker, most, seed)
        self.refitted[surface] = refitted(earlier, later, config.ranker, most, seed)
        helps = self.learning_curve[surface][-1]["gain"] > 0
        scores = [
            blend + ranker.parts(matrix, {}).sum(axis=1) if helps else blend
            for blend, matrix in zip(later.blend, later.matrices, strict=True)
        ]
        self.calibration[surface] = ClickMap.fit(scores, later.labels).to_json()
        self.features[surface] = _distributions(ranker, earlier)

    def as_dict(self) -> dict[str, Any]:
        """For ``metrics`` of the manifest."""
        signals = {name: float(np.mean(values)) for name, values in sorted(self._aucs.items())}
        return {
            "single_signals": signals,
            "learning_curve": self.learning_curve,
            "refitted": self.refitted,
            "calibration": self.calibration,
            "features": self.features,
        }


def _distributions(ranker: AdditiveRanker, examples: Examples) -> dict[str, Any]:
    """Of each feature: candidates in equal steps from the first knot to the last, and the missing share.

    Values beyond the knots are counted at the ends, where the curve is flat.
    """
    table = np.concatenate(examples.matrices)
    edges = np.linspace(KNOTS[0], KNOTS[-1], _COLUMNS + 1)
    found = {}
    for column, name in enumerate(examples.names):
        values = (table[:, column] - ranker.centres[column]) / ranker.scales[column]
        known = np.clip(values[~np.isnan(values)], edges[0], edges[-1])
        counts, _ = np.histogram(known, edges)
        found[name] = {"histogram": counts.tolist(), "missing": float(np.isnan(values).mean())}
    return found
