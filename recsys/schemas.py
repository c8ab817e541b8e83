"""Canonical articles, events and exposures: the rows that every room exchanges.

Times are aware UTC datetimes here and unix seconds (float64) in arrays. Text is cleaned on the way
in, whichever door a row comes through.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from recsys.text import clean

SURFACES = ("related", "popular", "latest", "must_reads", "for_you")
EVENT_TYPES = ("view", "impression", "click", "read", "share", "save", "comment", "hide")
MAX_ID_CHARS = 128
MAX_TITLE_CHARS = 2_000
MAX_POSITION = 1_000_000
MAX_TEXT_CHARS = 1_000_000

Surface = Literal["related", "popular", "latest", "must_reads", "for_you"]
EventType = Literal["view", "impression", "click", "read", "share", "save", "comment", "hide"]


def check_id(value: str) -> str:
    """An id of 1-128 characters without control, format, surrogate, private or separator characters."""
    if not 1 <= len(value) <= MAX_ID_CHARS:
        raise ValueError(f"an id has 1 to {MAX_ID_CHARS} characters, this one has {len(value)}")
    if value.isascii() and value.isprintable() and " " not in value:
        return value
    for char in value:
        if unicodedata.category(char)[0] in "CZ":
            raise ValueError(f"the character U+{ord(char):04X} is not allowed in an id")
    return value


def parse_time(value: Any) -> datetime:
    """An RFC 3339 time with zone, as UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ValueError(
                f"{value[:40]!r} is not an RFC 3339 time such as 2026-01-31T08:00:00Z"
            ) from error
    if not isinstance(value, datetime):
        raise ValueError("a time is an RFC 3339 string such as 2026-01-31T08:00:00Z")
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no zone; add Z or an offset such as +01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value.isoformat()} lies outside the years 1 to 9999 in UTC") from error


def _clean_title(value: Any) -> Any:
    return _clean_limited(value, MAX_TITLE_CHARS)


def _clean_text(value: Any) -> Any:
    return _clean_limited(value, MAX_TEXT_CHARS)


def _clean_limited(value: Any, limit: int) -> Any:
    if not isinstance(value, str):
        return value
    if len(value) > limit:
        raise ValueError(f"at most {limit} characters are allowed, this has {len(value)}")
    return clean(value)


def _none_if_blank(value: str | None) -> str | None:
    return value or None


def _split_tags(value: Any) -> Any:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise ValueError("a list of strings is expected")
    return [item for item in (_clean_title(item) for item in value) if item]


Id = Annotated[str, AfterValidator(check_id)]
Instant = Annotated[datetime, BeforeValidator(parse_time)]
Title = Annotated[str, BeforeValidator(_clean_title), Field(min_length=1)]
Text = Annotated[str | None, BeforeValidator(_clean_text), AfterValidator(_none_if_blank)]
Name = Annotated[str | None, BeforeValidator(_clean_title), AfterValidator(_none_if_blank)]
Names = Annotated[list[str], BeforeValidator(_split_tags)]
Position = Annotated[int, Field(ge=1, le=MAX_POSITION)]
Url = Annotated[str | None, Field(max_length=4_000)]


class Row(BaseModel):
    """Base of canonical rows: unknown fields are refused so that a typo never passes silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Article(Row):
    """One article of the catalogue. Only ``article_id`` and ``title`` are required."""

    article_id: Id
    title: Title
    abstract: Text = None
    body: Text = None
    url: Url = None
    section: Name = None
    subsection: Name = None
    tags: Names = []
    authors: Names = []
    language: Name = None
    image_url: Url = None
    published_at: Instant | None = None
    updated_at: Instant | None = None
    expires_at: Instant | None = None
    is_hidden: bool = False
    editor_priority: Annotated[float, Field(ge=0, le=1)] | None = None
    content_type: Name = None
    access: Name = None
    story_id: Id | None = None
    sensitivity: Names = []
    site: Name = None


class _ByReader(Row):
    user_id: Id | None = None
    session_id: Id | None = None

    @model_validator(mode="after")
    def _has_reader(self) -> "_ByReader":
        if self.user_id is None and self.session_id is None:
            raise ValueError("user_id or session_id is required")
        return self

    @property
    def reader(self) -> str:
        """Key of the reader: ``u:`` and the user id, else ``s:`` and the session id."""
        return f"u:{self.user_id}" if self.user_id is not None else f"s:{self.session_id}"


class Event(_ByReader):
    """Something a reader did.

    ``value`` is seconds for ``read``. ``trust`` is what the event counts in lists, None for fully; the
    service sets it, a site's own server may (``docs/trust.md``).
    """

    event_id: Id
    type: EventType
    ts: Instant
    article_id: Id
    request_id: Id | None = None
    list_id: Id | None = None
    surface: Surface | None = None
    position: Position | None = None
    context_article_id: Id | None = None
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    site: Name = None
    trust: Annotated[float, Field(ge=0, le=1)] | None = None


class ExposureItem(Row):
    """One place of a served list; ``propensity`` is conditional on the items above."""

    article_id: Id
    position: Position
    score: float | None = None
    propensity: Annotated[float, Field(gt=0, le=1)] | None = None
    source: str | None = None


class Exposure(_ByReader):
    """A list that was served. ``request_id`` and ``surface`` together are the key."""

    request_id: Id
    surface: Surface
    ts: Instant
    items: list[ExposureItem]
    context_article_id: Id | None = None
    experiment_id: Id | None = None
    variant: Id | None = None
    model_version: str | None = None
    device: Name = None
    fallback: str | None = None
    took_ms: Annotated[float, Field(ge=0)] | None = None
    site: Name = None
    history: list[Id] = []
