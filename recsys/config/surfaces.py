"""Settings of the five kinds of list, and of the candidates they are made from."""

from typing import Annotated, Literal

from pydantic import Field

from recsys.config.section import Positive, Section, Share, Weight


class Weights(Section):
    """Weights of the additive parts; every feature lies between 0 and 1 (similarity: -1 and 1)."""

    similarity: Weight = 0.0
    interests: Weight = 0.0
    covisited: Weight = 0.0
    section: Weight = 0.0
    popularity: Weight = 0.0
    ctr: Weight = 0.0
    engagement: Weight = 0.0
    freshness: Weight = 0.0
    newness: Weight = 0.0
    priority: Weight = 0.0
    off_topic: Weight = 0.0


class SurfaceConfig(Section):
    """How one kind of list is made."""

    title: str
    weights: Weights
    half_life_hours: Positive = 24.0
    diversity: Share = 0.0
    section_spread: Weight = 0.0
    calibration: Annotated[float, Field(ge=0, le=100)] = 0.0
    min_similarity: Annotated[float, Field(ge=-1, le=1)] = -1.0
    prefer_max_age_hours: Positive | None = None
    blending: Literal["learned", "weights"] = "learned"
    topical_places: Annotated[int, Field(ge=0, le=100)] = 0
    topical_share: Share = 0.5
    ranking: Literal["learned", "blend"] = "learned"
    learned_share: Annotated[float, Field(ge=0, le=100)] = 3.0
    factors: dict[str, Weight] = Field(default_factory=dict)


def _related() -> SurfaceConfig:
    weights = Weights(
        similarity=1.0, covisited=0.5, section=0.05, popularity=0.12, freshness=0.08, off_topic=-1.0
    )
    return SurfaceConfig(
        title="You May Also Like",
        weights=weights,
        min_similarity=0.15,
        diversity=0.1,
        learned_share=0.1,
        topical_places=5,
    )


def _popular() -> SurfaceConfig:
    return SurfaceConfig(title="Popular Now", weights=Weights(popularity=1.0), half_life_hours=4.0)


def _latest() -> SurfaceConfig:
    return SurfaceConfig(title="Latest Stories", weights=Weights(freshness=1.0))


def _must_reads() -> SurfaceConfig:
    weights = Weights(priority=1.0, engagement=0.5, popularity=0.3, ctr=0.2, freshness=0.4)
    return SurfaceConfig(title="Must-Reads", weights=weights, section_spread=0.25, prefer_max_age_hours=336.0)


def _for_you() -> SurfaceConfig:
    weights = Weights(interests=1.0, covisited=0.3, section=0.03, popularity=0.03, freshness=0.08)
    return SurfaceConfig(title="For You", weights=weights, diversity=0.1, calibration=0.4)


class SurfacesConfig(Section):
    """The five kinds of list."""

    related: SurfaceConfig = Field(default_factory=_related)
    popular: SurfaceConfig = Field(default_factory=_popular)
    latest: SurfaceConfig = Field(default_factory=_latest)
    must_reads: SurfaceConfig = Field(default_factory=_must_reads)
    for_you: SurfaceConfig = Field(default_factory=_for_you)

    def of(self, surface: str) -> SurfaceConfig:
        """The configuration of one surface by its name."""
        found: SurfaceConfig = getattr(self, surface)
        return found


class CandidatesConfig(Section):
    """How many candidates each generator brings."""

    similar: Annotated[int, Field(ge=1, le=1000)] = 100
    popular: Annotated[int, Field(ge=1, le=5000)] = 60
    latest: Annotated[int, Field(ge=1, le=5000)] = 60
    priority: Annotated[int, Field(ge=1, le=5000)] = 60
    per_history: Annotated[int, Field(ge=1, le=1000)] = 25
    history: Annotated[int, Field(ge=1, le=5000)] = 120
    covisited: Annotated[int, Field(ge=1, le=1000)] = 100
    rerank_pool: Annotated[int, Field(ge=10, le=1000)] = 50
