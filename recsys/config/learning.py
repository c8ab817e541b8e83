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


class ExaminationConfig(Section):
    """How clicks are corrected for the position at which they fell."""

    correct: bool = True
    min_clicks: Annotated[int, Field(ge=1)] = 500
    min_propensity: Annotated[float, Field(gt=0, le=1)] = 0.02
    max_weight: Annotated[float, Field(ge=1)] = 10.0


class TrainConfig(Section):
    """Offline choices."""

    seed: Annotated[int, Field(ge=0)] = 0
    serving_lag_minutes: Annotated[float, Field(ge=0)] = 5.0
