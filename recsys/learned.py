"""What training found in the log, as one object that a bundle carries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.affinity import Affinity
from recsys.age import AgeCurves
from recsys.bundle import Bundle
from recsys.config import Config
from recsys.covisitation import Covisitation
from recsys.errors import BundleError
from recsys.examination import Examination
from recsys.ranker import AdditiveRanker
from recsys.recipes import Recipe
from recsys.topics import Topics

RANKERS = "rankers.json"
RECIPES = "recipes.json"
TOPIC_ARRAYS = ("centre", "centroids", "sizes", "lifts", "codes")
AGE = "age.json"
EXAMINATION = "examination.json"


@dataclass(frozen=True, slots=True)
class Learned:
    """What training found in the log; empty without one.

    Attributes:
        sections, subsections: which groups are read together.
        covisitation: which articles are read together.
        topics: groups of articles by meaning, and which of them are read together.
        rankers, recipes: by surface.
        age: appeal by age and section.
        examination: by position and surface.
    """

    sections: Affinity
    subsections: Affinity
    covisitation: Covisitation
    topics: Topics
    rankers: Mapping[str, AdditiveRanker]
    age: AgeCurves = field(default_factory=AgeCurves)
    examination: Examination = field(default_factory=Examination)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)

    @classmethod
    def nothing(cls, config: Config) -> "Learned":
        """No log yet."""
        return cls(Affinity(), Affinity(), Covisitation(config.covisitation), Topics(), {})

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """For the bundle, by name."""
        return {
            "affinity_sections": self.sections.lift_,
            "affinity_subsections": self.subsections.lift_,
            **{f"covisited_{name}": array for name, array in self.covisitation.state().items()},
            **{f"topic_{name}": array for name, array in self.topics.state().items()},
        }

    def write_files(self, folder: Path) -> None:
        """What is not an array, as JSON files of the bundle."""
        rankers = {name: ranker.to_json() for name, ranker in self.rankers.items()}
        recipes = {name: recipe.to_json() for name, recipe in self.recipes.items()}
        learned = {AGE: self.age.to_json(), EXAMINATION: self.examination.to_json()}
        for name, values in {RANKERS: rankers, RECIPES: recipes, **learned}.items():
            (folder / name).write_text(json.dumps(values, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, bundle: Bundle, config: Config, features: tuple[str, ...]) -> "Learned":
        """From a bundle that ``arrays`` and ``write_files`` filled.

        Args:
            bundle: verified.
            config: of the bundle.
            features: names that this program computes.

        Raises:
            BundleError: a file cannot be read, or a ranker wants a feature that is not computed.
        """
        covisitation = Covisitation(config.covisitation)
        covisitation.restore(
            bundle.array("covisited_rows", mapped=True),
            bundle.array("covisited_together", mapped=True),
            bundle.array("covisited_masses"),
            bundle.array("covisited_times"),
        )
        rankers = _json(bundle.path / RANKERS)
        # bundles of before these were learned lack the files
        age, examination, recipes = (
            _json(bundle.path / name) if name in bundle.manifest["files"] else {}
            for name in (AGE, EXAMINATION, RECIPES)
        )
        return cls(
            Affinity(bundle.array("affinity_sections")),
            Affinity(bundle.array("affinity_subsections")),
            covisitation,
            Topics.restore({name: bundle.array(f"topic_{name}") for name in TOPIC_ARRAYS}),
            {surface: AdditiveRanker.from_json(values, features) for surface, values in rankers.items()},
            AgeCurves.from_json(age),
            Examination.from_json(examination),
            {surface: Recipe.from_json(values) for surface, values in recipes.items()},
        )


def read_examination(bundle: Bundle) -> Examination:
    """By how much places are looked at, as far as training could tell."""
    if EXAMINATION not in bundle.manifest["files"]:
        return Examination()
    return Examination.from_json(_json(bundle.path / EXAMINATION))


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    return values
