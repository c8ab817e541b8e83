"""Settings of the signals: vectors, neighbours, counters, age, readers' pasts, co-reading."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from recsys.config.section import Positive, Section, Share, Weight


class EmbeddingConfig(Section):
    """Which text is embedded and by what.

    ``languages`` are those that the model reads; None asks the model's card, an empty list or "any"
    means all.
    """

    model: str = "default"
    languages: tuple[str, ...] | None = None
    body_chars: Annotated[int, Field(ge=0, le=20_000)] = 500
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 32


class IndexConfig(Section):
    """Precomputed neighbours and the near-duplicate threshold (cosine)."""

    neighbours: Annotated[int, Field(ge=1, le=1000)] = 100
    near_duplicate_cosine: Share = 0.90


class PopularityConfig(Section):
    """Forward-decayed counters."""

    half_lives_hours: tuple[Positive, ...] = (1.0, 4.0, 6.0, 24.0, 168.0)
    distinct_window_hours: Positive = 24.0
    engagement_half_life_hours: Positive = 48.0
    ctr_half_lives_hours: tuple[Positive, ...] = (4.0, 24.0, 168.0)
    ctr_half_life_hours: Positive = 24.0
    ctr_prior: Share = 0.05
    ctr_prior_impressions: Positive = 50.0
    author_prior_impressions: Positive = 300.0
    share_weight: Weight = 3.0
    save_weight: Weight = 2.0
    comment_weight: Weight = 2.0
    read_minutes_cap: Positive = 10.0
    stale_below: Positive = 1e-3

    @property
    def impressions_per_click(self) -> float:
        """Impressions that stand for one expected click."""
        return 1.0 / max(self.ctr_prior, 1e-3)

    @model_validator(mode="after")
    def _half_lives_are_distinct(self) -> "PopularityConfig":
        if len(set(self.half_lives_hours)) != len(self.half_lives_hours) or not self.half_lives_hours:
            raise ValueError("half_lives_hours needs one or more distinct values")
        if self.ctr_half_life_hours not in self.ctr_half_lives_hours:
            raise ValueError(
                f"ctr_half_life_hours = {self.ctr_half_life_hours} is none of ctr_half_lives_hours = "
                f"{list(self.ctr_half_lives_hours)}; add it there"
            )
        return self


class AgeCurveConfig(Section):
    """Appeal by age: value at knots of (hours, value), linear in log(1 + hours) between them.

    The default follows click rates by age of published news logs (EB-NeRD): low in the first half
    hour, highest at 2-4 hours, falling over days.
    """

    knots: tuple[tuple[Annotated[float, Field(ge=0)], Share], ...] = (
        (0.0, 0.75),
        (0.5, 0.80),
        (2.0, 1.0),
        (4.0, 1.0),
        (12.0, 0.85),
        (24.0, 0.75),
        (72.0, 0.40),
        (168.0, 0.20),
        (720.0, 0.08),
        (8760.0, 0.0),
    )
    unknown: Share = 0.40
    learned: bool = True
    min_openings: Annotated[int, Field(ge=1)] = 300

    @model_validator(mode="after")
    def _knots_rise(self) -> "AgeCurveConfig":
        hours = [hour for hour, _ in self.knots]
        if len(hours) < 2 or any(b <= a for a, b in pairwise(hours)):
            raise ValueError("age_curve.knots needs two or more knots with rising hours")
        return self


class ProfileConfig(Section):
    """What a reader's recent openings say about them."""

    history_length: Annotated[int, Field(ge=1, le=200)] = 50
    softness: Annotated[float, Field(ge=0, le=50)] = 5.0
    recency_half_life_reads: Positive = 15.0
    max_readers: Annotated[int, Field(ge=1)] = 200_000


class CovisitationConfig(Section):
    """Articles read by the same readers."""

    neighbours: Annotated[int, Field(ge=1, le=1000)] = 100
    reach: Annotated[int, Field(ge=1, le=200)] = 10
    closeness: Annotated[float, Field(ge=0, le=5)] = 1.0
    backward: Share = 0.4
    shrinkage: Annotated[float, Field(ge=0)] = 0.5
    popularity_balance: Share = 0.0
    walk: Annotated[float, Field(ge=0, le=100)] = 3.0
    walk_width: Annotated[int, Field(ge=1, le=1000)] = 30
    half_at: Positive = 0.05
    past: Annotated[int, Field(ge=1, le=200)] = 30
    recency: Share = 0.95
    visit_gap_hours: Positive = 720.0
    half_life_days: Positive = 30.0
