"""Settings of how a bundle, and its own settings, are chosen."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from recsys.config.section import Section, Share

TUNABLE = (
    "surfaces.related.weights.",
    "surfaces.for_you.weights.",
    "surfaces.related.learned_share",
    "surfaces.for_you.learned_share",
    "surfaces.related.min_similarity",
    "ranker.prior",
    "ranker.shrinkage",
    "ranker.curve_shrinkage",
)
Metric = Literal["auc", "ndcg@10", "mrr"]


class GateConfig(Section):
    """When a bundle may replace the one in service."""

    held_back_share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    min_lists: Annotated[int, Field(ge=2)] = 200
    max_lists: Annotated[int, Field(ge=2)] = 2_000
    metric: Metric = "auc"
    margin: Share = 0.01


class TuneConfig(Section):
    """What ``recsys train --tune`` searches and by what it judges."""

    metric: Metric = "ndcg@10"
    folds: Annotated[int, Field(ge=1, le=10)] = 3
    later_share: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    max_lists: Annotated[int, Field(ge=10)] = 3_000
    space: tuple[tuple[str, float, float], ...] = (
        ("surfaces.for_you.weights.covisited", 0.0, 1.0),
        ("surfaces.for_you.weights.section", 0.0, 0.3),
        ("surfaces.for_you.weights.popularity", 0.0, 0.6),
        ("surfaces.for_you.weights.freshness", 0.0, 0.6),
        ("surfaces.related.weights.covisited", 0.0, 1.5),
        ("surfaces.related.weights.section", 0.0, 0.5),
        ("surfaces.related.weights.popularity", 0.0, 1.0),
        ("surfaces.related.weights.freshness", 0.0, 1.0),
        ("surfaces.related.learned_share", 0.05, 1.0),
        ("ranker.prior", 0.1, 1.0),
        ("ranker.shrinkage", 0.03, 3.0),
        ("ranker.curve_shrinkage", 0.3, 30.0),
    )

    @model_validator(mode="after")
    def _space_can_be_searched(self) -> "TuneConfig":
        for key, low, high in self.space:
            if not any(key == known or (known[-1] == "." and key.startswith(known)) for known in TUNABLE):
                raise ValueError(f"tune.space: {key!r} cannot be tuned; what can begins with {list(TUNABLE)}")
            if not low < high:
                raise ValueError(f"tune.space: {key!r} needs low < high, not {low} and {high}")
        if len({key for key, _, _ in self.space}) != len(self.space):
            raise ValueError("tune.space names a key twice")
        return self
