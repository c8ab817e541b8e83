"""The learned ranker: one curve per feature, added to the content blend.

A curve is a table of values at shared knots over the standardised feature, linear in between and flat
outside, so that each part of a score can be read off and drawn, and a list is scored in
microseconds. A feature that is missing (NaN) adds nothing: a cold reader, a cold article or an empty
log leave the content blend as it is. The model class is that of Zhuang et al., "Interpretable
Ranking with Generalized Additive Models", WSDM 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.errors import BundleError

KNOTS = (-3.0, -1.5, -0.5, 0.5, 1.5, 3.0)


@dataclass(frozen=True, slots=True)
class AdditiveRanker:
    """Curves of the features of one surface.

    Attributes:
        names: the f features.
        centres, scales: (f,) what a feature is standardised by.
        values: (f, k) value of each curve at ``KNOTS``, in units of the content blend's score.
    """

    names: tuple[str, ...]
    centres: NDArray[np.float64]
    scales: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        centres: NDArray[np.float64],
        scales: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> "AdditiveRanker":
        """A ranker whose curves are 0 at the centres, where a missing feature stands as well."""
        zero = np.array([np.interp(0.0, KNOTS, curve) for curve in values])
        return cls(tuple(names), centres, scales, values - zero[:, None])

    def parts(self, matrix: NDArray[np.float64], factors: Mapping[str, float]) -> NDArray[np.float64]:
        """Additive parts of the score.

        Args:
            matrix: (n, f) raw features in the order of ``names``, NaN where missing.
            factors: of single features, from the configuration; a feature not named has 1.

        Returns:
            (n, f) parts, 0 where a feature is missing.
        """
        found = np.empty(matrix.shape)
        for column, name in enumerate(self.names):
            raw = (matrix[:, column] - self.centres[column]) / self.scales[column]
            curve = np.interp(np.nan_to_num(raw), KNOTS, self.values[column])
            found[:, column] = np.where(np.isnan(raw), 0.0, factors.get(name, 1.0) * curve)
        return found

    def to_json(self) -> dict[str, Any]:
        """For the bundle."""
        return {
            "names": list(self.names),
            "knots": list(KNOTS),
            "centres": self.centres.tolist(),
            "scales": self.scales.tolist(),
            "values": self.values.tolist(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], known: Sequence[str]) -> "AdditiveRanker":
        """From what ``to_json`` gave.

        Raises:
            BundleError: it names a feature that this program does not compute, or other knots.
        """
        unknown = sorted(set(values["names"]) - set(known))
        if unknown or tuple(values["knots"]) != KNOTS:
            raise BundleError(
                f"the ranker uses {', '.join(unknown) or 'other knots'}, which this program does not know; "
                "train again with this version"
            )
        arrays = [np.array(values[name], dtype=np.float64) for name in ("centres", "scales", "values")]
        return cls(tuple(values["names"]), *arrays)
