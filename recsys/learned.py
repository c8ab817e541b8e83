"""What training found in the log, as one object that a bundle carries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.affinity import Affinity
from recsys.bundle import Bundle
from recsys.config import Config
from recsys.covisitation import Covisitation
from recsys.errors import BundleError
from recsys.ranker import AdditiveRanker
from recsys.topics import Topics

RANKERS = "rankers.json"
TOPIC_ARRAYS = ("centre", "centroids", "sizes", "lifts", "codes")


@dataclass(frozen=True, slots=True)
class Learned:
    """What training found in the log; empty without one.

    Attributes:
        sections, subsections: which groups are read together.
        covisitation: which articles are read together.
        topics: groups of articles by meaning, and which of them are read together.
        rankers: by surface.
    """

    sections: Affinity
    subsections: Affinity
    covisitation: Covisitation
    topics: Topics
    rankers: Mapping[str, AdditiveRanker]

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
        (folder / RANKERS).write_text(json.dumps(rankers, indent=1), encoding="utf-8")

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
            bundle.array("covisited_rows", mapped=True), bundle.array("covisited_similarities", mapped=True)
        )
        try:
            texts = json.loads((bundle.path / RANKERS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BundleError(f"{bundle.path / RANKERS} cannot be read: {error}") from error
        return cls(
            Affinity(bundle.array("affinity_sections")),
            Affinity(bundle.array("affinity_subsections")),
            covisitation,
            Topics.restore({name: bundle.array(f"topic_{name}") for name in TOPIC_ARRAYS}),
            {surface: AdditiveRanker.from_json(values, features) for surface, values in texts.items()},
        )
