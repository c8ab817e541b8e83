"""Configuration of the engine: frozen models with their defaults, read from TOML.

Units stand in the names (``half_life_hours``). An unknown key is an error that names it.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recsys.errors import ConfigError
from recsys.schemas import Surface

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]


class Section(BaseModel):
    """Base of all configuration sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddingConfig(Section):
    """Which text is embedded and by what."""

    model: str = "default"
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
    share_weight: Weight = 3.0
    save_weight: Weight = 2.0
    comment_weight: Weight = 2.0
    read_minutes_cap: Positive = 10.0
    stale_below: Positive = 1e-3

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

    @model_validator(mode="after")
    def _knots_rise(self) -> "AgeCurveConfig":
        hours = [hour for hour, _ in self.knots]
        if len(hours) < 2 or any(b <= a for a, b in pairwise(hours)):
            raise ValueError("age_curve.knots needs two or more knots with rising hours")
        return self


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
    priority: Weight = 0.0
    off_topic: Weight = 0.0


class SurfaceConfig(Section):
    """How one kind of list is made."""

    title: str
    weights: Weights
    half_life_hours: Positive = 24.0
    diversity: Share = 0.0
    section_spread: Weight = 0.0
    min_similarity: Annotated[float, Field(ge=-1, le=1)] = -1.0
    prefer_max_age_hours: Positive | None = None
    ranking: Literal["learned", "blend"] = "learned"
    learned_share: Annotated[float, Field(ge=0, le=100)] = 3.0
    factors: dict[str, Weight] = {}


def _related() -> SurfaceConfig:
    weights = Weights(
        similarity=1.0, covisited=0.5, section=0.05, popularity=0.12, freshness=0.08, off_topic=-1.0
    )
    return SurfaceConfig(
        title="You May Also Like", weights=weights, min_similarity=0.15, diversity=0.1, learned_share=0.1
    )


def _popular() -> SurfaceConfig:
    return SurfaceConfig(title="Popular Now", weights=Weights(popularity=1.0), half_life_hours=4.0)


def _latest() -> SurfaceConfig:
    return SurfaceConfig(title="Latest Stories", weights=Weights(freshness=1.0))


def _must_reads() -> SurfaceConfig:
    weights = Weights(priority=1.0, engagement=0.5, popularity=0.3, ctr=0.2, freshness=0.4)
    return SurfaceConfig(title="Must-Reads", weights=weights, section_spread=0.25, prefer_max_age_hours=336.0)


def _for_you() -> SurfaceConfig:
    weights = Weights(interests=1.0, covisited=0.3, section=0.03, popularity=0.06, freshness=0.08)
    return SurfaceConfig(title="For You", weights=weights, diversity=0.1)


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


class CovisitationConfig(Section):
    """Articles read by the same readers."""

    neighbours: Annotated[int, Field(ge=1, le=1000)] = 100
    reach: Annotated[int, Field(ge=1, le=200)] = 10
    closeness: Annotated[float, Field(ge=0, le=5)] = 1.0
    backward: Share = 0.4
    shrinkage: Annotated[float, Field(ge=0)] = 2.0
    popularity_balance: Share = 0.0
    half_at: Positive = 0.003
    past: Annotated[int, Field(ge=1, le=200)] = 30
    recency: Share = 0.95
    visit_gap_hours: Positive = 24.0
    half_life_days: Positive = 30.0


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


class ProfileConfig(Section):
    """What a reader's recent openings say about them."""

    history_length: Annotated[int, Field(ge=1, le=200)] = 50
    nearest: Annotated[int, Field(ge=1, le=50)] = 5
    nearest_share: Share = 0.15
    recency_half_life_reads: Positive = 15.0
    max_readers: Annotated[int, Field(ge=1)] = 200_000


class CandidatesConfig(Section):
    """How many candidates each generator brings."""

    similar: Annotated[int, Field(ge=1, le=1000)] = 100
    popular: Annotated[int, Field(ge=1, le=5000)] = 60
    latest: Annotated[int, Field(ge=1, le=5000)] = 60
    priority: Annotated[int, Field(ge=1, le=5000)] = 60
    per_history: Annotated[int, Field(ge=1, le=1000)] = 25
    covisited: Annotated[int, Field(ge=1, le=1000)] = 100
    rerank_pool: Annotated[int, Field(ge=10, le=1000)] = 50


class SensitivityRule(Section):
    """Sections and content types kept away from a context article with one of ``labels``."""

    labels: tuple[str, ...] = ("tragedy",)
    keep_away_sections: tuple[str, ...] = ()
    keep_away_types: tuple[str, ...] = ()


class SiteConfig(Section):
    """Facts about the site that is served."""

    name: str | None = None
    url_template: str | None = None

    @model_validator(mode="after")
    def _template_has_id(self) -> "SiteConfig":
        template = self.url_template
        if template is not None and (
            "{article_id}" not in template or not template.startswith(("http://", "https://", "/"))
        ):
            raise ValueError("site.url_template is an http(s) URL or path that holds {article_id}")
        return self


class AuthConfig(Section):
    """Keys and what they open. Keys in the environment win over keys written here."""

    public_key: str | None = None
    secret_key: str | None = None
    reads: Literal["open", "key"] = "open"
    users: Literal["token", "open"] = "token"
    cors_origins: tuple[str, ...] = ()


class TrainConfig(Section):
    """Offline choices."""

    seed: Annotated[int, Field(ge=0)] = 0
    serving_lag_minutes: Annotated[float, Field(ge=0)] = 5.0


class Config(Section):
    """Everything; ``configs/default.toml`` shows each key with its default."""

    embedding: EmbeddingConfig = EmbeddingConfig()
    index: IndexConfig = IndexConfig()
    popularity: PopularityConfig = PopularityConfig()
    age_curve: AgeCurveConfig = AgeCurveConfig()
    profile: ProfileConfig = ProfileConfig()
    covisitation: CovisitationConfig = CovisitationConfig()
    ranker: RankerConfig = RankerConfig()
    candidates: CandidatesConfig = CandidatesConfig()
    surfaces: SurfacesConfig = Field(default_factory=SurfacesConfig)
    sensitivity: tuple[SensitivityRule, ...] = ()
    site: SiteConfig = SiteConfig()
    auth: AuthConfig = AuthConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _surface_half_lives_exist(self) -> "Config":
        for hours in (4.0, 24.0, 168.0):
            name = f"ctr_{hours:.0f}h"
            if name in self.ranker.features and hours not in self.popularity.ctr_half_lives_hours:
                raise ValueError(
                    f"ranker.features has {name!r}, popularity.ctr_half_lives_hours lacks {hours}; "
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


def _places(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        key = ".".join(str(step) for step in item["loc"])
        rule = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key; configs/default.toml lists every key")
        elif isinstance(item["input"], Mapping):
            lines.append(f"{key}: {rule}".removeprefix(": "))
        else:
            lines.append(f"{key} = {item['input']!r}: {rule}"[:300])
    return "; ".join(lines)


def build_config(values: Mapping[str, Any], origin: str) -> Config:
    """A checked configuration.

    Args:
        values: nested mapping as TOML gives it; what is missing has its default.
        origin: named in the error message.

    Raises:
        ConfigError: an unknown key or a bad value; the message names each.
    """
    try:
        return Config.model_validate(_over(Config().model_dump(), values))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_places(error)}") from error


def _over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` over ``defaults``, section by section, so that one key can be given alone."""
    merged = dict(defaults)
    for key, value in values.items():
        below = merged.get(key)
        nested = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _over(below, value) if nested else value  # type: ignore[arg-type]
    return merged


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read TOML, apply ``key.path=value`` overrides, check.

    Args:
        path: None takes the defaults.
        overrides: values are TOML literals; a bare word is taken as a string.

    Raises:
        ConfigError: no such file, no TOML, an unknown key or a bad value.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(values, override)
    return build_config(values, str(path) if path else "--set")


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, literal = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r}: write key.path=value, for instance train.seed=3")
    try:
        value = tomllib.loads(f"v = {literal}")["v"]
    except tomllib.TOMLDecodeError:
        value = literal.strip()
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override!r}: {parent} is a value, not a section")
    values[last] = value
