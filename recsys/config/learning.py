"""Settings of what is learned from the log."""

from typing import Annotated

from pydantic import Field

from recsys.config.section import Positive, Section, Share


class ClicklogConfig(Section):
    """What of a log is believed in training, and which click belongs to which served list."""

    repeat_seconds: Annotated[float, Field(ge=0, le=3600)] = 3.0
    bot_openings_minute: Annotated[int, Field(ge=1)] = 30
    bot_openings_hour: Annotated[int, Field(ge=1)] = 240
    bot_openings_day: Annotated[int, Field(ge=1)] = 1_000
    bot_share: Share = 0.1
    bot_share_openings: Annotated[int, Field(ge=1)] = 1_000
    bot_share_readers: Annotated[int, Field(ge=2)] = 100
    session_gap_minutes: Positive = 30.0
    attribution_minutes: Annotated[float, Field(ge=0)] = 30.0
    read_within_minutes: Annotated[float, Field(ge=0)] = 120.0
    read_weight_low: Share = 0.3
    read_weight_high: Annotated[float, Field(ge=1, le=100)] = 2.0
    max_lists: Annotated[int, Field(ge=1)] = 200_000
    memory_mb: Annotated[int, Field(ge=200)] = 2_000


class RankerConfig(Section):
    """What the learned ranker may learn from and how far it may leave the content blend."""

    features: tuple[str, ...] = ("topic_affinity", "ctr_24h")
    prior: Positive = 0.3
    shrinkage: Annotated[float, Field(ge=0)] = 0.1
    curve_shrinkage: Annotated[float, Field(ge=0)] = 3.0
    min_lists: Annotated[int, Field(ge=1)] = 300
    max_lists: Annotated[int, Field(ge=1)] = 50_000


class TopicsConfig(Section):
    """Groupings of articles by meaning, and how readers move between the groups."""

    groups: tuple[Annotated[int, Field(ge=2, le=1000)], ...] = (50, 100, 200)
    repeats: Annotated[int, Field(ge=1, le=20)] = 4
    articles_per_group: Annotated[int, Field(ge=1)] = 10
    shrinkage: Positive = 20.0


class ExaminationConfig(Section):
    """How clicks are corrected for the position at which they fell."""

    correct: bool = True
    min_clicks: Annotated[int, Field(ge=1)] = 500
    min_propensity: Annotated[float, Field(gt=0, le=1)] = 0.02
    max_weight: Annotated[float, Field(ge=1)] = 10.0


class ListsConfig(Section):
    """From how much the weights of `related` and `for_you` are learned."""

    min_reads: Annotated[int, Field(ge=1)] = 200
    max_reads: Annotated[int, Field(ge=1)] = 1500


class TrainConfig(Section):
    """Offline choices."""

    seed: Annotated[int, Field(ge=0)] = 0
    serving_lag_minutes: Annotated[float, Field(ge=0)] = 5.0
