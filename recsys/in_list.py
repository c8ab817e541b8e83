"""A feature by its place within a list: ``NAME.rank`` and ``NAME.gap``.

Raw counts grow with the site and the hour of the day; a candidate's place among those it stands
with does not.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from recsys.candidates import Floats

FORMS = (".rank", ".gap")
_DECIMALS = 9


def names_of(names: Iterable[str]) -> tuple[str, ...]:
    """The in-list forms of features."""
    return tuple(f"{name}{form}" for name in names for form in FORMS)


def base_of(name: str) -> str:
    """The feature that a name is a form of; its own where it is none."""
    return name.removesuffix(".rank").removesuffix(".gap")


def form_of(name: str, raw: Mapping[str, Floats], neutral: Mapping[str, float]) -> Floats:
    """A feature or its in-list form.

    A candidate at the neutral value of a feature, of which the feature says nothing, has no place in
    the list: its forms are NaN as well, and being unknown costs nothing.

    Args:
        name: of ``recsys.features.FEATURE_NAMES``.
        raw: (n,) values by base name.
        neutral: where a feature says nothing, by base name.
    """
    base = base_of(name)
    values = raw[base]
    if name == base:
        return values
    # rounded, so that a rounding error decides neither a tie nor whether something is known
    rounded = np.round(values, _DECIMALS)
    said = np.where(rounded == neutral.get(base, np.nan), np.nan, rounded)
    return rank(said) if name.endswith(".rank") else gap(said)


def rank(values: Floats) -> Floats:
    """Rank within the list from -0.5 (lowest) to 0.5, ties averaged, NaN stays NaN; a single one has 0.

    Example:
        >>> rank(np.array([3.0, 1.0, np.nan, 3.0, 9.0])).tolist()
        [0.0, -0.5, nan, 0.0, 0.5]
    """
    known = np.flatnonzero(~np.isnan(values))
    found = np.full(len(values), np.nan)
    if len(known) < 2:
        found[known] = 0.0
        return found
    ordered = np.sort(values[known])
    below = np.searchsorted(ordered, values[known], side="left")
    upto = np.searchsorted(ordered, values[known], side="right")
    found[known] = (below + upto - 1) / 2.0 / (len(known) - 1) - 0.5
    return found


def gap(values: Floats) -> Floats:
    """Difference from the list's median, NaN stays NaN.

    Example:
        >>> gap(np.array([3.0, 1.0, np.nan, 4.0])).tolist()
        [0.0, -2.0, nan, 1.0]
    """
    known = values[~np.isnan(values)]
    return np.asarray(values - np.median(known)) if len(known) else values
