"""Hard rules: which articles may stand in a list at all. They hold whatever a score says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Rows
from recsys.catalog import UNKNOWN, Catalog
from recsys.config import SensitivityRule
from recsys.counters import HOUR


@dataclass(slots=True)
class Eligibility:
    """The filters of one request; what they leave is worked out when it is first asked for.

    Attributes:
        now: unix seconds; later publications are under embargo, earlier expiries are over.
        excluded: rows that must not stand in the list (context article, ``exclude``, hidden).
        duplicate: near-duplicate group of the context article, -1 none.
        sections: allowed section codes, None for all.
        max_age_hours: an age limit that was asked for, None for none.
        language: language code that a known language must equal, -1 for any.
        site: site code that a known site must equal, None for any.
        blocked_sections, blocked_types: kept away from a sensitive context article.
    """

    now: float
    excluded: Rows = field(default_factory=lambda: np.zeros(0, np.int32))
    duplicate: int = UNKNOWN
    sections: tuple[int, ...] | None = None
    max_age_hours: float | None = None
    language: int = UNKNOWN
    site: int | None = None
    blocked_sections: tuple[int, ...] = ()
    blocked_types: tuple[int, ...] = ()
    _allowed: NDArray[np.bool_] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def narrows(self) -> bool:
        """Whether the caller asked for a part of the catalogue only."""
        return self.sections is not None or self.max_age_hours is not None or self.language != UNKNOWN

    def mask(self, catalog: Catalog, rows: Rows) -> NDArray[np.bool_]:
        """(n,) which of ``rows`` may be shown."""
        return np.asarray(self.allowed(catalog)[rows])

    def allowed(self, catalog: Catalog) -> NDArray[np.bool_]:
        """(size,) which articles of the whole catalogue may be shown; worked out once."""
        if self._allowed is None:
            allowed = catalog.open_at(self.now, self.language, self.site).copy()
            allowed[self.excluded] = False
            size = len(allowed)
            if self.duplicate != UNKNOWN:
                allowed &= catalog.duplicate[:size] != self.duplicate
            if self.sections is not None:
                allowed &= _among(catalog.section[:size], self.sections)
            if self.max_age_hours is not None:
                allowed &= catalog.published[:size] >= self.now - self.max_age_hours * HOUR
            if self.blocked_sections:
                allowed &= ~_among(catalog.section[:size], self.blocked_sections)
            if self.blocked_types:
                allowed &= ~_among(catalog.content_type[:size], self.blocked_types)
            self._allowed = allowed
        return np.asarray(self._allowed)

    def reason(self, catalog: Catalog, row: int) -> str | None:
        """Name of the filter that removes ``row``, or None if it may be shown."""
        checks = (
            ("unknown_article", not catalog.is_known(row)),
            ("hidden", not catalog.servable[row]),
            ("embargo", catalog.published[row] > self.now),
            ("expired", catalog.expires[row] <= self.now),
            ("excluded", bool(np.isin(row, self.excluded))),
            ("near_duplicate_of_context", UNKNOWN != self.duplicate == catalog.duplicate[row]),
            ("section", self.sections is not None and catalog.section[row] not in self.sections),
            ("max_age", self._too_old(float(catalog.published[row]))),
            ("language", UNKNOWN != self.language != catalog.language[row] != UNKNOWN),
            ("site", self.site is not None and catalog.site[row] not in (self.site, UNKNOWN)),
            ("sensitivity_section", catalog.section[row] in self.blocked_sections),
            ("sensitivity_type", catalog.content_type[row] in self.blocked_types),
        )
        return next((name for name, removed in checks if removed), None)

    def _too_old(self, published: float) -> bool:
        return self.max_age_hours is not None and not published >= self.now - self.max_age_hours * HOUR

    def first(self, catalog: Catalog, order: Rows, n: int) -> Rows:
        """The first ``n`` eligible rows of ``order``; reads no further than needed."""
        allowed = self.allowed(catalog)
        found: list[Rows] = []
        start, step, missing = 0, 2 * n + 16, n
        while missing > 0 and start < len(order):
            chunk = order[start : start + step]
            kept = chunk[allowed[chunk]][:missing]
            found.append(kept)
            missing -= len(kept)
            start, step = start + step, step * 4
        return np.concatenate(found) if found else np.zeros(0, np.int32)


def _among(codes: NDArray[np.int32], wanted: Sequence[int]) -> NDArray[np.bool_]:
    """(n,) which codes are among a few."""
    found = np.zeros(len(codes), dtype=bool)
    for code in wanted:
        found |= codes == code
    return found


def keep_away(
    catalog: Catalog, context: int | None, rules: Sequence[SensitivityRule]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Section and content-type codes that a sensitive context article keeps away from it."""
    labels = catalog.sensitivity.get(context) if context is not None else None
    if not labels:
        return (), ()
    hit = [rule for rule in rules if labels.intersection(rule.labels)]
    sections = {catalog.sections.code(name) for rule in hit for name in rule.keep_away_sections}
    types = {catalog.content_types.code(name) for rule in hit for name in rule.keep_away_types}
    return tuple(sections - {UNKNOWN}), tuple(types - {UNKNOWN})
