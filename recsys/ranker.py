"""The learned ranker: one curve per feature, added to the content blend.

A curve is a table of values at shared knots over the standardised feature, linear in between and flat
outside, so that each part of a score can be read off and drawn, and a list is scored in
microseconds. A feature that is missing (NaN) adds nothing: a cold reader, a cold article or an empty
log leave the content blend as it is. The model class is that of Zhuang et al., "Interpretable
Ranking with Generalized Additive Models", WSDM 2021.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.errors import BundleError

KNOTS = (-3.0, -1.5, -0.5, 0.5, 1.5, 3.0)
# every knot lies on the edge of a cell, so that one multiplication finds the piece of a curve
_CELLS_PER_UNIT = 2.0
_EDGES = np.linspace(KNOTS[0], KNOTS[-1], round((KNOTS[-1] - KNOTS[0]) * _CELLS_PER_UNIT) + 1)
_CELLS = len(_EDGES) - 1


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
    # what follows from them: begin and slope of every piece of every curve in one table each
    _offsets: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _begins: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _slopes: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the curves to tables."""
        at_edges = np.array([np.interp(_EDGES, KNOTS, curve) for curve in self.values])
        at_edges = at_edges.reshape(-1, _CELLS + 1)
        slopes = np.diff(at_edges, axis=1) * _CELLS_PER_UNIT
        begins = at_edges[:, :-1] - slopes * _EDGES[:-1]
        # one more cell: what stands exactly at the last knot
        tables = (
            np.column_stack((begins, at_edges[:, -1])),
            np.column_stack((slopes, np.zeros(len(slopes)))),
        )
        for name, table in zip(("_begins", "_slopes"), tables, strict=True):
            object.__setattr__(self, name, np.ascontiguousarray(table).ravel())
        starts = np.arange(len(self.values)) * (_CELLS + 1.0)
        object.__setattr__(self, "_offsets", starts - KNOTS[0] * _CELLS_PER_UNIT)

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
        raw = matrix - self.centres
        raw /= self.scales
        missing = np.isnan(raw)
        # fmax: what is missing lands on the first knot, and is set to 0 in the end
        np.fmax(raw, KNOTS[0], out=raw)
        np.minimum(raw, KNOTS[-1], out=raw)
        # never negative, so cutting off the fraction finds the cell
        cells = (raw * _CELLS_PER_UNIT + self._offsets).astype(np.intp)
        raw *= self._slopes.take(cells)
        raw += self._begins.take(cells)
        if factors:
            raw *= [factors.get(name, 1.0) for name in self.names]
        np.copyto(raw, 0.0, where=missing)
        return raw

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
