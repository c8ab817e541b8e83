"""Settings of the running service."""

from typing import Annotated, Literal

from pydantic import Field

from recsys.config.section import Positive, Section, Share
from recsys.schemas import Surface

Count = Annotated[int, Field(ge=0)]


class ServingConfig(Section):
    """What a service writes down beside its store."""

    event_days: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 35.0
    log_exposures_share: Share = 1.0
    exposure_log_days: Positive = 90.0
    exposure_log_mb: Annotated[int, Field(ge=1)] = 10_000
    log_features_share: Share = 0.01
    feature_log_mb: Annotated[int, Field(ge=1)] = 500
    rescore_hours: Annotated[float, Field(ge=0)] = 24.0
    guard_minutes: Annotated[float, Field(ge=0)] = 15.0
    rescore_min_lists: Annotated[int, Field(ge=10)] = 500
    rescore_below: Share = 0.9
    shadow_share: Share = 0.01
    shadow_log_mb: Annotated[int, Field(ge=1)] = 100


class TrustConfig(Section):
    """What events count that nobody vouches for (docs/trust.md)."""

    attribution_hours: Positive = 24.0
    full_per_article: Positive = 5.0
    unattributed_per_article: Count = 10
    listed_per_article: Count = 30
    per_address_hour: Count = 1_000
    impressions_factor: Annotated[float, Field(ge=1, le=1000)] = 10.0
    engagements_per_reader: Annotated[int, Field(ge=1)] = 3
    burst_minutes: Positive = 5.0
    burst_openings: Annotated[int, Field(ge=1)] = 200
    burst_ratio: Annotated[float, Field(ge=1)] = 10.0


class ExplorationConfig(Section):
    """How personal lists try articles of which little is known."""

    share: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    surfaces: tuple[Surface, ...] = ("for_you",)
    first_position: Annotated[int, Field(ge=1, le=100)] = 4
    max_age_hours: Positive = 48.0
    evidence: Positive = 100.0
    pool: Annotated[int, Field(ge=1, le=100)] = 20
    seed: Annotated[int, Field(ge=0)] = 0


class RandomisationConfig(Section):
    """How often personal lists are drawn at random, so that other policies can be judged from the log."""

    share: Share = 0.0
    surfaces: tuple[Surface, ...] = ("for_you", "related")
    method: Literal["plackett_luce", "swap"] = "plackett_luce"
    pool: Annotated[int, Field(ge=2, le=100)] = 20
    temperature: Annotated[float, Field(ge=0.05, le=100)] = 0.5
