"""Settings of what is learned from the log."""

from typing import Annotated

from pydantic import Field

from recsys.config.section import Positive, Section


class RankerConfig(Section):
    """What the learned ranker may learn from and how far it may leave the content blend."""

    features: tuple[str, ...] = (
        "interests_soft",
        "interests_recent",
        "section_share",
        "subsection_share",
        "section_affinity",
        "subsection_affinity",
        "topic_affinity",
        "section_ctr",
        "subsection_ctr",
        "ctr_4h",
        "ctr_24h",
        "ctr_168h",
    )
    prior: Positive = 0.3
    shrinkage: Annotated[float, Field(ge=0)] = 0.3
    curve_shrinkage: Annotated[float, Field(ge=0)] = 3.0
    min_lists: Annotated[int, Field(ge=1)] = 300
    max_lists: Annotated[int, Field(ge=1)] = 50_000


class TopicsConfig(Section):
    """Groupings of articles by meaning, and how readers move between the groups."""

    groups: tuple[Annotated[int, Field(ge=2, le=1000)], ...] = (50, 100, 200)
    repeats: Annotated[int, Field(ge=1, le=20)] = 4
    articles_per_group: Annotated[int, Field(ge=1)] = 10
    shrinkage: Positive = 20.0


class TrainConfig(Section):
    """Offline choices."""

    seed: Annotated[int, Field(ge=0)] = 0
    serving_lag_minutes: Annotated[float, Field(ge=0)] = 5.0
