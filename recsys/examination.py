"""Examination by position: the chance that a place of a list is looked at, relative to the first.

A click needs a look and a liking (the position-based model: Richardson, Dominowska, Ragno, WWW 2007), so
clicks at a low place speak for more liking than clicks at the top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Examination:
    """Propensities of examination by surface; a surface that is not named is examined evenly.

    Attributes:
        propensities: by surface, of positions 1, 2, ...; later positions have the last one's.
    """

    propensities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def of(self, surface: str, positions: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float64]:
        """(n,) propensities of 1-based positions.

        Example:
            >>> Examination({"related": (1.0, 0.5)}).of("related", [1, 2, 9]).tolist()
            [1.0, 0.5, 0.5]
        """
        known = self.propensities.get(surface)
        places = np.asarray(positions, dtype=np.intp)
        if not known:
            return np.ones(len(places))
        return np.array(known)[np.clip(places - 1, 0, len(known) - 1)]

    def to_json(self) -> dict[str, Any]:
        """For the bundle."""
        return {surface: list(values) for surface, values in self.propensities.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Examination":
        """From what ``to_json`` gave."""
        return cls({surface: tuple(map(float, found)) for surface, found in values.items()})
