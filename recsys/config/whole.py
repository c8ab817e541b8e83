"""The whole configuration."""

import hashlib
import json
import re
from typing import Any

from pydantic import Field, model_validator

from recsys.config.learning import (
    ClicklogConfig,
    ExaminationConfig,
    ListsConfig,
    RankerConfig,
    TopicsConfig,
    TrainConfig,
)
from recsys.config.section import Section
from recsys.config.selection import GateConfig, TuneConfig
from recsys.config.serving import ExplorationConfig, RandomisationConfig, ServingConfig, TrustConfig
from recsys.config.signals import (
    AgeCurveConfig,
    CovisitationConfig,
    EmbeddingConfig,
    IndexConfig,
    PopularityConfig,
    ProfileConfig,
)
from recsys.config.site import AuthConfig, SensitivityRule, SiteConfig
from recsys.config.surfaces import CandidatesConfig, SurfacesConfig
from recsys.schemas import Surface


class Config(Section):
    """Everything; ``configs/default.toml`` shows each key with its default."""

    embedding: EmbeddingConfig = EmbeddingConfig()
    index: IndexConfig = IndexConfig()
    popularity: PopularityConfig = PopularityConfig()
    age_curve: AgeCurveConfig = AgeCurveConfig()
    profile: ProfileConfig = ProfileConfig()
    covisitation: CovisitationConfig = CovisitationConfig()
    clicklog: ClicklogConfig = ClicklogConfig()
    topics: TopicsConfig = TopicsConfig()
    ranker: RankerConfig = RankerConfig()
    examination: ExaminationConfig = ExaminationConfig()
    lists: ListsConfig = ListsConfig()
    candidates: CandidatesConfig = CandidatesConfig()
    surfaces: SurfacesConfig = Field(default_factory=SurfacesConfig)
    sensitivity: tuple[SensitivityRule, ...] = ()
    site: SiteConfig = SiteConfig()
    auth: AuthConfig = AuthConfig()
    serving: ServingConfig = ServingConfig()
    trust: TrustConfig = TrustConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    randomisation: RandomisationConfig = RandomisationConfig()
    train: TrainConfig = TrainConfig()
    gate: GateConfig = GateConfig()
    tune: TuneConfig = TuneConfig()

    @model_validator(mode="after")
    def _surface_half_lives_exist(self) -> "Config":
        for name in self.ranker.features:
            counted = re.fullmatch(r"(?:(ctr)|(?:sub)?(?:section_)?openings)_(\d+)h(?:\.\w+)?", name)
            if counted is None:
                continue
            key = "ctr_half_lives_hours" if counted[1] else "half_lives_hours"
            if float(counted[2]) not in getattr(self.popularity, key):
                raise ValueError(
                    f"ranker.features has {name!r}, popularity.{key} lacks {float(counted[2])}; "
                    "add it there or leave the feature out"
                )
        known = self.popularity.half_lives_hours
        for surface in Surface.__args__:  # type: ignore[attr-defined]
            wanted = self.surfaces.of(surface).half_life_hours
            if wanted not in known:
                raise ValueError(
                    f"surfaces.{surface}.half_life_hours = {wanted} is none of "
                    f"popularity.half_lives_hours = {list(known)}; add it there"
                )
        return self

    def digest(self) -> str:
        """Short hash of the effective configuration without keys."""
        text = json.dumps(self.public_dict(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def public_dict(self) -> dict[str, Any]:
        """The configuration as JSON values, without secrets."""
        return self.model_dump(mode="json", exclude={"auth"})

    def without_learning(self) -> "Config":
        """The same without learned curves and learned recipes: what a decayed bundle serves by."""
        plain = {"ranking": "blend", "blending": "weights"}
        names = type(self.surfaces).model_fields
        surfaces = {name: self.surfaces.of(name).model_copy(update=plain) for name in names}
        return self.model_copy(update={"surfaces": self.surfaces.model_copy(update=surfaces)})
