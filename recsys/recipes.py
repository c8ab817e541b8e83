"""Weights of a list's parts as learned from what readers opened next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsys.config import SurfaceConfig, SurfacesConfig, Weights
from recsys.errors import BundleError

_DEFAULTS = SurfacesConfig()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one kind of list is blended from.

    Attributes:
        weights: by part, 0 left out.
        half_life_hours: decay of the part ``popularity``.
        learned: whether the weights come from a log.
    """

    weights: Mapping[str, float]
    half_life_hours: float
    learned: bool = False

    @classmethod
    def configured(cls, config: SurfaceConfig) -> "Recipe":
        """As the configuration has it."""
        weights = {name: value for name, value in config.weights.model_dump().items() if value}
        return cls(weights, config.half_life_hours)

    def under(self, config: SurfaceConfig, surface: str) -> "Recipe":
        """This learned recipe where the configuration leaves it alone.

        Args:
            config: of the surface; a weight or half-life that differs from its default wins.
            surface: its name.
        """
        default = _DEFAULTS.of(surface)
        weights = dict(self.weights)
        for name in Weights.model_fields:
            wanted = getattr(config.weights, name)
            if wanted != getattr(default.weights, name):
                weights[name] = wanted
        changed = config.half_life_hours != default.half_life_hours
        half_life = config.half_life_hours if changed else self.half_life_hours
        return Recipe({name: value for name, value in weights.items() if value}, half_life, True)

    def to_json(self) -> dict[str, Any]:
        """For the bundle."""
        return {"weights": dict(self.weights), "half_life_hours": self.half_life_hours}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Recipe":
        """From what ``to_json`` gave.

        Raises:
            BundleError: it weighs a part that this program does not compute.
        """
        unknown = sorted(set(values["weights"]) - set(Weights.model_fields))
        if unknown:
            raise BundleError(
                f"a learned list weighs {', '.join(unknown)}, which this program does not know; "
                "train again with this version"
            )
        return cls(dict(values["weights"]), float(values["half_life_hours"]), True)
