"""What a request asked for, in names instead of rows: to warm another bundle with, or to ask again later.

It names no reader. What a reader had opened is told only by whether there was anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from recsys.catalog import UNKNOWN, Catalog, Vocabulary
from recsys.pipeline import Query
from recsys.profile import Reader

# code of a name that the catalogue lacks: no article has it, while -1 stands for articles without one
NOWHERE = -2
_NOT_THERE = "(not in the catalogue)"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for lists.

    Attributes:
        surfaces: the lists, in order.
        page: whether they were assembled jointly.
        limit: places in each list.
        context_id: article being read.
        context_unknown: an article was named that the catalogue did not have.
        exclude: ids that must not be shown.
        sections: names asked for, None for all.
        max_age_hours, diversity, window_hours, rising: as in ``Query``.
        language, site: names, None for what follows from the context.
        for_reader: whether anything was known of a reader.
        own_history: whether the browser sent a history, which is never logged.
    """

    surfaces: tuple[str, ...]
    page: bool
    limit: int = 10
    context_id: str | None = None
    context_unknown: bool = False
    exclude: tuple[str, ...] = ()
    sections: tuple[str, ...] | None = None
    max_age_hours: float | None = None
    language: str | None = None
    site: str | None = None
    diversity: float | None = None
    window_hours: float | None = None
    rising: bool = False
    for_reader: bool = False
    own_history: bool = False

    @classmethod
    def of(
        cls, query: Query, surfaces: Sequence[str], page: bool, catalog: Catalog, own_history: bool = False
    ) -> "Asked":
        """What a query of this catalogue asks for."""
        reader, sections = query.reader, query.sections
        return cls(
            surfaces=tuple(surfaces),
            page=page,
            limit=query.limit,
            context_id=None if query.context is None else catalog.ids[query.context],
            context_unknown=query.context_unknown,
            exclude=tuple(catalog.ids[row] for row in query.exclude),
            sections=None if sections is None else tuple(_name(catalog.sections, code) for code in sections),
            max_age_hours=query.max_age_hours,
            language=None if query.language is None else _name(catalog.languages, query.language),
            site=None if query.site is None else _name(catalog.sites, query.site),
            diversity=query.diversity,
            window_hours=query.window_hours,
            rising=query.rising,
            for_reader=reader is not None and len(reader.rows) > 0,
            own_history=own_history,
        )

    def query(self, catalog: Catalog, now: float, reader: Reader | None) -> Query:
        """The query of another catalogue, without editors' rules.

        Args:
            catalog: names that it lacks are asked for as such.
            now: unix seconds.
            reader: the reader's past in that catalogue.
        """
        context = None if self.context_id is None else catalog.row(self.context_id)
        sections, site = self.sections, self.site
        return Query(
            now=now,
            limit=self.limit,
            context=context,
            context_unknown=self.context_unknown or (self.context_id is not None and context is None),
            reader=reader,
            exclude=[row for row in map(catalog.row, self.exclude) if row is not None],
            sections=None if sections is None else tuple(_code(catalog.sections, n) for n in sections),
            max_age_hours=self.max_age_hours,
            language=None if self.language is None else _code(catalog.languages, self.language),
            site=None if site is None else _code(catalog.sites, site),
            diversity=self.diversity,
            window_hours=self.window_hours,
            rising=self.rising,
        )

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON values."""
        found = ((name, getattr(self, name), default) for name, default in _DEFAULTS)
        return {name: value for name, value, default in found if value != default}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Asked":
        """From what ``to_json`` gave."""
        given: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**given)


# no value equals what a field without a default has here
_DEFAULTS = [(field.name, field.default) for field in fields(Asked)]


def past_like(catalog: Catalog, length: int = 5) -> Reader:
    """A past as some reader may have it: the newest articles."""
    return Reader(np.array(catalog.newest()[:length], dtype=np.int32))


def _name(vocabulary: Vocabulary, code: int) -> str:
    return vocabulary.names[code] if code >= 0 else _NOT_THERE


def _code(vocabulary: Vocabulary, name: str) -> int:
    code = vocabulary.code(name)
    return NOWHERE if code == UNKNOWN else code
