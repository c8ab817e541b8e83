"""Configuration of the engine: frozen models with their defaults, read from TOML.

Units stand in the names (``half_life_hours``). An unknown key is an error that names it.
"""

from recsys.config.files import find_experiment, load_config, load_experiments, under
from recsys.config.learning import (
    ClicklogConfig,
    ExaminationConfig,
    ListsConfig,
    RankerConfig,
    TopicsConfig,
    TrainConfig,
)
from recsys.config.loading import build_config
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
from recsys.config.surfaces import CandidatesConfig, SurfaceConfig, SurfacesConfig, Weights
from recsys.config.whole import Config

__all__ = [
    "AgeCurveConfig",
    "AuthConfig",
    "CandidatesConfig",
    "ClicklogConfig",
    "Config",
    "CovisitationConfig",
    "EmbeddingConfig",
    "ExaminationConfig",
    "ExplorationConfig",
    "GateConfig",
    "IndexConfig",
    "ListsConfig",
    "PopularityConfig",
    "ProfileConfig",
    "RandomisationConfig",
    "RankerConfig",
    "Section",
    "SensitivityRule",
    "ServingConfig",
    "SiteConfig",
    "SurfaceConfig",
    "SurfacesConfig",
    "TopicsConfig",
    "TrainConfig",
    "TrustConfig",
    "TuneConfig",
    "Weights",
    "build_config",
    "find_experiment",
    "load_config",
    "load_experiments",
    "under",
]
