"""Editors' rules: hide, pin and boost, for some surfaces, conditions and times."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from recsys.catalog import UNKNOWN, Catalog
from recsys.schemas import Id, Instant, Surface


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Filter(_Part):
    """Which articles: every named field must match."""

    article_id: Id | None = None
    section: str | None = None
    content_type: str | None = None

    def matches(self, catalog: Catalog, row: int) -> bool:
        """Whether the article of a row is meant."""
        if self.article_id is not None and catalog.ids[row] != self.article_id:
            return False
        if self.section is not None and not _is(catalog.sections.code(self.section), catalog.section[row]):
            return False
        wanted = self.content_type
        return wanted is None or _is(catalog.content_types.code(wanted), catalog.content_type[row])


def _is(code: int, value: int) -> bool:
    return UNKNOWN != code == value


class Pin(_Part):
    """An article at a fixed place."""

    article_id: Id
    position: Annotated[int, Field(ge=1, le=100)]


class Boost(_Part):
    """A factor on the score of some articles."""

    filter: Filter
    factor: Annotated[float, Field(gt=0, le=100)]


class Validity(_Part):
    """From when until when; open where missing."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    until: Instant | None = None


class EditorRule(_Part):
    """One rule as ``/v1/rules`` takes it. ``condition`` narrows by the context article."""

    id: Id
    enabled: bool = True
    surfaces: list[Surface] = []
    condition: Filter = Filter()
    hide: list[Id] = []
    pin: list[Pin] = []
    boost: list[Boost] = []
    validity: Validity = Validity()

    def holds(self, surface: str, now: datetime, catalog: Catalog, context: int | None) -> bool:
        """Whether the rule applies to a list."""
        if not self.enabled or (self.surfaces and surface not in self.surfaces):
            return False
        start, end = self.validity.from_, self.validity.until
        if (start is not None and now < start) or (end is not None and now >= end):
            return False
        if self.condition == Filter():
            return True
        return context is not None and self.condition.matches(catalog, context)


class EditorRules:
    """The rules in force, by version."""

    def __init__(self, version: int, rules: Sequence[EditorRule]) -> None:
        self.version, self.rules = version, tuple(rules)

    @classmethod
    def of(cls, version: int, rows: Sequence[Mapping[str, Any]]) -> "EditorRules":
        """Rules from stored rows."""
        return cls(version, [EditorRule.model_validate(row) for row in rows])

    def next_change(self, now: datetime) -> float:
        """Unix seconds of the first beginning or end of a rule after ``now``; infinity without any."""
        times = (t for rule in self.rules for t in (rule.validity.from_, rule.validity.until))
        return min((t.timestamp() for t in times if t is not None and t > now), default=float("inf"))

    def for_list(
        self, surface: str, now: datetime, catalog: Catalog, context: int | None
    ) -> tuple[list[int], dict[int, int], list[Boost]]:
        """Hidden rows, pinned row by position, and boosts of one list; later rules win a place."""
        hidden: list[int] = []
        pins: dict[int, int] = {}
        boosts: list[Boost] = []
        for rule in self.rules:
            if rule.holds(surface, now, catalog, context):
                rows = (catalog.row(article_id) for article_id in rule.hide)
                hidden += [row for row in rows if row is not None]
                for pin in rule.pin:
                    row = catalog.row(pin.article_id)
                    if row is not None and row not in pins.values():
                        pins[pin.position] = row
                boosts += rule.boost
        return hidden, pins, boosts
