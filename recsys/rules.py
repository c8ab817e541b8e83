"""Hard rules: which articles may stand in a list at all. They hold whatever a score says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Rows
from recsys.catalog import UNKNOWN, Catalog
from recsys.config import SensitivityRule
from recsys.counters import HOUR


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The filters of one request.

    Attributes:
        now: unix seconds; later publications are under embargo, earlier expiries are over.
        excluded: sorted rows that must not stand in the list (context article, ``exclude``, hidden).
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

    @property
    def narrows(self) -> bool:
        """Whether the caller asked for a part of the catalogue only."""
        return self.sections is not None or self.max_age_hours is not None or self.language != UNKNOWN

    def mask(self, catalog: Catalog, rows: Rows) -> NDArray[np.bool_]:
        """(n,) which of ``rows`` may be shown."""
        published = catalog.published[rows]
        mask = catalog.servable[rows] & ~(published > self.now) & (catalog.expires[rows] > self.now)
        if len(self.excluded):
            mask &= ~np.isin(rows, self.excluded)
        if self.duplicate != UNKNOWN:
            mask &= catalog.duplicate[rows] != self.duplicate
        if self.sections is not None:
            mask &= np.isin(catalog.section[rows], self.sections)
        if self.max_age_hours is not None:
            mask &= published >= self.now - self.max_age_hours * HOUR
        for column, wanted in ((catalog.language, self.language), (catalog.site, self.site)):
            if wanted is not None and (wanted != UNKNOWN or column is catalog.site):
                values = column[rows]
                mask &= (values == wanted) | (values == UNKNOWN)
        if self.blocked_sections:
            mask &= ~np.isin(catalog.section[rows], self.blocked_sections)
        if self.blocked_types:
            mask &= ~np.isin(catalog.content_type[rows], self.blocked_types)
        return mask

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
        found: list[Rows] = []
        start, step, missing = 0, 2 * n + 16, n
        while missing > 0 and start < len(order):
            chunk = order[start : start + step]
            kept = chunk[self.mask(catalog, chunk)][:missing]
            found.append(kept)
            missing -= len(kept)
            start, step = start + step, step * 4
        return np.concatenate(found) if found else np.zeros(0, np.int32)


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
