"""Parameters of the read endpoints, and their translation to a query of the funnel."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from fastapi import Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from recsys.catalog import UNKNOWN
from recsys.pipeline import Query
from recsys.profile import Reader, reader_key
from recsys.schemas import Id, Surface
from recsys.slate import Pace
from recsys.text import clean
from serving import guard
from serving.problems import Problem
from serving.served import Served
from serving.service import Service

NOWHERE = -2
_DURATION = re.compile(r"^(\d{1,6})(m|h|d)$")
_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}


def _hours(value: str) -> str:
    if not _DURATION.match(value):
        raise ValueError(f"{value!r} is no duration; write 30m, 36h or 7d")
    return value


def _flag(value: object) -> object:
    if value in ("true", "1", True):
        return True
    if value in ("false", "0", False):
        return False
    raise ValueError("write true, false, 1 or 0")


Flag = Annotated[bool, BeforeValidator(_flag)]
Duration = Annotated[str, AfterValidator(_hours)]


class ReadParams(BaseModel):
    """Parameters that every list takes."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    session_id: Id | None = None
    user_id: Id | None = None
    user_token: Annotated[str, Field(max_length=1000)] | None = None
    section: Annotated[list[str], Field(max_length=50)] = []
    exclude: Annotated[list[Id], Field(max_length=500)] = []
    max_age: Duration | None = None
    diversity: Annotated[float, Field(ge=0, le=1)] | None = None
    language: Annotated[str, Field(max_length=35)] | None = None
    site: Annotated[str, Field(max_length=200)] | None = None
    experiment: Annotated[str, Field(max_length=257)] | None = None
    timeout_ms: Annotated[int, Field(ge=1, le=60_000)] | None = None
    explain: Flag = False
    strict: Flag = False


class PopularParams(ReadParams):
    """``popular`` also takes a window and ``rising``."""

    window: Literal["1h", "24h", "7d"] | None = None
    rising: Flag = False


class PageParams(ReadParams):
    """``/v1/page``."""

    article_id: Id | None = None
    url: Annotated[str, Field(max_length=4000)] | None = None
    lists: Annotated[str, Field(max_length=200)] = "related,popular,latest,must_reads"


class UrlParams(ReadParams):
    """Endpoints without an article in the path that may name one by ``url``."""

    url: Annotated[str, Field(max_length=4000)] | None = None


class PageBody(ReadParams):
    """``POST /v1/page``: the parameters of the page with ``history`` and a long ``exclude``."""

    article_id: Id | None = None
    url: Annotated[str, Field(max_length=4000)] | None = None
    lists: str | list[Surface] = "related,popular,latest,must_reads"
    exclude: Annotated[list[Id], Field(max_length=5000)] = []
    history: Annotated[list[Id], Field(max_length=50)] = []


def surfaces_of(lists: str | list[Surface]) -> list[str]:
    """The lists of a page, in the order asked for.

    Raises:
        Problem: 422 for an unknown or repeated name.
    """
    names: list[str] = [name.strip() for name in lists.split(",")] if isinstance(lists, str) else [*lists]
    allowed = ("related", "popular", "latest", "must_reads", "for_you")
    for name in names:
        if name not in allowed:
            raise Problem(422, f"lists: {name!r} is no list; allowed are {', '.join(allowed)}", "lists")
    if len(set(names)) != len(names):
        raise Problem(422, "lists: a list is named twice", "lists")
    return names


def context_row(
    served: Served, article_id: str | None, url: str | None, strict: bool
) -> tuple[int | None, bool]:
    """Row of the context article, and whether one was named that is unknown.

    Raises:
        Problem: 404 for an unknown one with ``strict``.
    """
    catalog = served.state.catalog
    if article_id is None and url is None:
        return None, False
    row = catalog.row(article_id) if article_id is not None else catalog.row_by_url(url or "")
    if row is not None and catalog.is_known(row):
        return row, False
    if strict:
        raise Problem(404, f"the catalogue has no article {(article_id or url or '')[:128]!r}", "article_id")
    return None, True


def reader_of(service: Service, request: Request, params: ReadParams) -> tuple[str, str] | None:
    """The reader a call speaks for as (``user_id`` or ``session_id``, id), None for nobody.

    Raises:
        Problem: 403 for a user without proof.
    """
    if params.user_token is not None:
        return "user_id", guard.user_of_token(params.user_token, service.clock.now(), service.keys)
    if params.user_id is not None:
        guard.check_user(request, params.user_id, service.keys)
        return "user_id", params.user_id
    return ("session_id", params.session_id) if params.session_id is not None else None


def past_of(served: Served, reader: tuple[str, str] | None, history: Sequence[str]) -> Reader | None:
    """What is known of a reader, with the browser's own history in front."""
    known = None
    if reader is not None:
        known = served.state.histories.of(reader_key(f"{reader[0][0]}:{reader[1]}"))
    if not history:
        return known
    catalog = served.state.catalog
    rows = [row for row in (catalog.row(article_id) for article_id in reversed(history)) if row is not None]
    rows = list(dict.fromkeys([*rows, *(known.rows.tolist() if known is not None else [])]))[:50]
    return Reader(np.array(rows, dtype=np.int32), known.hidden if known is not None else frozenset())


def query_of(
    service: Service,
    served: Served,
    params: ReadParams,
    context: tuple[int | None, bool],
    reader: Reader | None,
    pace: Pace | None = None,
) -> Query:
    """The funnel's query for checked parameters."""
    catalog = served.state.catalog
    row, unknown = context
    window = getattr(params, "window", None)
    excluded = [found for found in (catalog.row(name) for name in params.exclude) if found is not None]
    return Query(
        now=service.clock.now(),
        limit=params.limit,
        context=row,
        context_unknown=unknown,
        reader=reader,
        exclude=excluded,
        sections=_sections(served, params.section),
        max_age_hours=_age(params.max_age),
        language=None if params.language is None else _code(catalog.languages.code(params.language)),
        site=_site(served, params.site, row),
        diversity=params.diversity,
        window_hours=_age(window),
        rising=bool(getattr(params, "rising", False)),
        pace=pace,
    )


def with_rules(service: Service, served: Served, query: Query, surfaces: list[str]) -> Query:
    """The query with the editors' rules that hold for these lists now."""
    if not service.live.rules.rules:
        return query
    now = service.clock.instant()
    found = {
        name: service.live.rules.for_list(name, now, served.state.catalog, query.context) for name in surfaces
    }
    return replace(
        query,
        hidden={name: hidden for name, (hidden, _, _) in found.items()},
        pins={name: pins for name, (_, pins, _) in found.items()},
        boosts={name: boosts for name, (_, _, boosts) in found.items()},
    )


def _sections(served: Served, names: list[str]) -> tuple[int, ...] | None:
    if not names:
        return None
    return tuple(_code(served.state.catalog.sections.code(clean(name))) for name in names)


def _site(served: Served, name: str | None, context: int | None) -> int | None:
    catalog = served.state.catalog
    if name is not None:
        return _code(catalog.sites.code(name))
    own = UNKNOWN if context is None else int(catalog.site[context])
    return None if own == UNKNOWN else own


def _code(code: int) -> int:
    # no article has this code, while -1 stands for articles without one
    return NOWHERE if code == UNKNOWN else code


def _age(value: str | None) -> float | None:
    if value is None:
        return None
    number, unit = _DURATION.match(value).groups()  # type: ignore[union-attr]
    return int(number) * _HOURS[unit]
