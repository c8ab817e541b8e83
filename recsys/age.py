"""Appeal by age as it was learned: a curve for each section, and half-lives in hours.

Two half-lives are kept apart. That of *age* is the time after its peak in which an article's appeal
halves, whatever its readers did. That of *popularity* is the one at which decayed counts of openings
foretell the next opening best; it also pays for the noise of small counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.errors import BundleError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SectionAge:
    """What is known of one section, or of the whole log.

    Attributes:
        name: of the section; empty for the whole log.
        values: appeal at the knots relative to the highest, 0 to 1.
        half_life_hours: of age, after the peak.
        popularity_half_life_hours: of decayed counts.
        clicks: that the estimate rests on.
    """

    name: str
    values: tuple[float, ...]
    half_life_hours: float
    popularity_half_life_hours: float | None = None
    clicks: int = 0

    def to_json(self) -> dict[str, Any]:
        """For the bundle."""
        return {slot: getattr(self, slot) for slot in self.__slots__}


@dataclass(frozen=True, slots=True)
class AgeCurves:
    """Learned curves; without knots nothing was learned.

    Attributes:
        knots: (k,) hours, rising.
        whole: of the whole log, for articles without a section or with one that the log lacks.
        sections: by section code of the catalogue.
    """

    knots: tuple[float, ...] = ()
    whole: SectionAge | None = None
    sections: Sequence[SectionAge] = field(default_factory=tuple)

    def __bool__(self) -> bool:
        """Whether there are curves."""
        return bool(self.knots)

    def appeal(self, hours: Floats, sections: NDArray[np.integer], unknown: float) -> Floats:
        """Appeal at ages, linear in log(1 + hours) between the knots.

        Args:
            hours: (n,) ages, NaN where unknown.
            sections: (n,) section codes, negative for none.
            unknown: appeal at an unknown age.

        Returns:
            (n,) between 0 and 1.
        """
        table = np.array([part.values for part in self._parts])
        row = np.where((sections >= 0) & (sections < len(self.sections)), sections + 1, 0)
        known = ~np.isnan(hours)
        at = np.log1p(np.clip(np.where(known, hours, 0.0), self.knots[0], self.knots[-1]))
        places = np.log1p(np.array(self.knots))
        right = np.clip(np.searchsorted(places, at, side="right"), 1, len(places) - 1)
        share = (at - places[right - 1]) / (places[right] - places[right - 1])
        values = (1.0 - share) * table[row, right - 1] + share * table[row, right]
        return np.where(known, values, unknown)

    @property
    def _parts(self) -> list[SectionAge]:
        return [part for part in (self.whole, *self.sections) if part is not None]

    def to_json(self) -> dict[str, Any]:
        """For the bundle, and for a person to read."""
        if self.whole is None:
            return {}
        return {
            "knots_hours": list(self.knots),
            "whole": self.whole.to_json(),
            "sections": [part.to_json() for part in self.sections],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "AgeCurves":
        """From what ``to_json`` gave.

        Raises:
            BundleError: a field is missing or a curve has another length than the knots.
        """
        if not values:
            return cls()
        try:
            knots = tuple(map(float, values["knots_hours"]))
            whole, *parts = (
                SectionAge(**{**part, "values": tuple(map(float, part["values"]))})
                for part in (values["whole"], *values["sections"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"the learned age curves cannot be read: {error!r}; train again") from error
        if any(len(part.values) != len(knots) for part in (whole, *parts)):
            raise BundleError(f"an age curve has another length than the {len(knots)} knots; train again")
        return cls(knots, whole, tuple(parts))
