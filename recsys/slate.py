"""What is asked of the funnel and what it answers."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from recsys.candidates import Candidates
from recsys.features import Seen
from recsys.profile import Reader
from recsys.rules_editor import Boost

# optional stages in the order in which they are left out when time is short
OPTIONAL = ("variety", "curves", "covisited")


class Pace(Protocol):
    """Decides while a list is being made whether there is time for a stage."""

    def begins(self, stage: str) -> bool:
        """The stage before ends here; whether ``stage`` shall run. Others than ``OPTIONAL`` always do."""

    def found(self, surface: str, count: int) -> None:
        """Is told how many candidates a list was chosen from."""


class Memo(Protocol):
    """Keeps rankings that are the same for all readers, for as long as nothing that they rest on changes."""

    def get(self, key: Hashable) -> object | None:
        """What was kept under ``key``, None where it is not there or no longer true."""

    def put(self, key: Hashable, value: object) -> None:
        """Keep a ranking."""


@dataclass(frozen=True, slots=True)
class Query:
    """One request for lists, resolved to rows and codes.

    Attributes:
        now: unix seconds.
        limit: places in each list.
        context: row of the article being read.
        context_unknown: an article was named that the catalogue does not have.
        reader: the reader's past, None for nobody in particular.
        exclude: rows that must not be shown.
        sections: section codes asked for, None for all.
        max_age_hours: age limit asked for.
        language: language code asked for; None takes the context's.
        site: site code asked for, None for any.
        diversity: 0-1, None takes the surface's own.
        pins: row by position, by surface.
        hidden: rows hidden by editors, by surface.
        boosts: editors' factors, by surface.
        window_hours: popular only: count readers in this window instead of decayed ones.
        rising: popular only: order by the increase.
        witness: is given what every list was ranked by, for the log of features.
        pace: tells which optional stages there is time for; None allows all.
    """

    now: float
    limit: int = 10
    context: int | None = None
    context_unknown: bool = False
    reader: Reader | None = None
    exclude: Sequence[int] = ()
    sections: tuple[int, ...] | None = None
    max_age_hours: float | None = None
    language: int | None = None
    site: int | None = None
    diversity: float | None = None
    pins: dict[str, dict[int, int]] = field(default_factory=dict)
    hidden: dict[str, list[int]] = field(default_factory=dict)
    boosts: dict[str, list[Boost]] = field(default_factory=dict)
    window_hours: float | None = None
    rising: bool = False
    witness: list[Seen] | None = None
    pace: Pace | None = None

    def begins(self, stage: str) -> bool:
        """Whether an optional stage shall run; also told of those that always do."""
        return self.pace is None or self.pace.begins(stage)

    def found(self, surface: str, count: int) -> None:
        """Tell how many candidates a list is chosen from."""
        if self.pace is not None:
            self.pace.found(surface, count)

    def for_everyone(self) -> bool:
        """Whether nothing about the reader, and nothing that is rarely asked twice, narrows the lists."""
        nobody = self.reader is None or not self.reader.hidden
        return nobody and not len(self.exclude) and self.witness is None


class Item(NamedTuple):
    """One place of a list.

    Attributes:
        row: catalogue row.
        position: 1-based.
        score: sum of the parts.
        names: of the parts.
        values: of the parts.
        sources: candidate generators that brought it.
        reason: for the reader, in plain words.
        won_from: lists that wanted it too.
    """

    row: int
    position: int
    score: float
    names: tuple[str, ...]
    values: Sequence[float]
    sources: list[str]
    reason: str
    won_from: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, float]:
        """Additive parts of the score by name."""
        return dict(zip(self.names, self.values, strict=False))


@dataclass(frozen=True, slots=True)
class Slate:
    """A finished list.

    Attributes:
        surface: the kind of list.
        items: in order.
        fallback: why it is not what was asked for, None if it is.
        propensities: chance of each place given those above it; None where nothing was left to chance.
        ranked: what it was chosen from, best first, one version of each story.
    """

    surface: str
    items: list[Item]
    fallback: str | None
    propensities: list[float] | None = None
    ranked: Candidates | None = field(default=None, compare=False, repr=False)
