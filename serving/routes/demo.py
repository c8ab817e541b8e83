"""The demo site: a home page and article pages with their four lists."""

import secrets
import time
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from recsys.pipeline import Query, Slate
from recsys.schemas import Id
from serving import answers, wire
from serving.exposing import Exposing
from serving.problems import Problem
from serving.served import Served
from serving.service import Service
from serving.sides import Sides
from serving.trust import new_nonce

router = APIRouter(include_in_schema=False)
LISTS = ["latest", "related", "popular", "must_reads"]
_COOKIE = "recsys_demo_session"


@cache
def _templates() -> Environment:
    folder = Path(__file__).parent.parent / "static"
    return Environment(loader=FileSystemLoader(folder), autoescape=select_autoescape(["html"]))


def _render(name: str, session: str, **values: Any) -> Response:
    response = HTMLResponse(_templates().get_template(name).render(**values))
    response.set_cookie(_COOKIE, session, httponly=True, samesite="lax")
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _cards(served: Served, slate: Slate) -> list[dict[str, Any]]:
    catalog = served.state.catalog
    return [
        {"article_id": catalog.ids[item.row], "reason": item.reason, "position": item.position}
        | orjson.loads(catalog.cards[item.row] or b"{}")
        for item in slate.items
    ]


@router.get("/")
async def home(request: Request) -> Response:
    """The newest and the must-reads."""
    service: Service = request.app.state.service
    session = request.cookies.get(_COOKIE) or secrets.token_hex(8)
    served = service.served
    reader = wire.past_of(served, ("session_id", session), [])
    query = Query(now=service.clock.now(), limit=12, reader=reader)
    slates, _ = served.funnel.page(["must_reads", "latest", "popular", "for_you"], query)
    blocks = [(_title(served, name), name, _cards(served, slate)) for name, slate in slates.items()]
    return _render("home.html", session, blocks=blocks)


@router.get("/article/{article_id}")
async def article_page(request: Request, article_id: Id) -> Response:
    """One article with its lists."""
    service: Service = request.app.state.service
    session = request.cookies.get(_COOKIE) or secrets.token_hex(8)
    served = service.served
    article = await service.desk.find(article_id)
    row = served.state.catalog.row(article_id)
    if article is None or row is None:
        raise Problem(404, f"there is no article {article_id!r}")
    who, served = ("session_id", session), service.current()
    reader = wire.past_of(served, who, [])
    query = wire.with_rules(service, served, Query(service.clock.now(), 5, row, reader=reader), LISTS)
    slates, _ = served.funnel.page(LISTS, query)
    answer = answers.Answer(service, served, article_id, False, True)
    request_id, _ = answer.personal(slates, who, new_nonce())
    exposed = Exposing(service, Sides(served), query, request_id, who, article_id)
    service.exposures.take(exposed.of(slates, LISTS, True, time.perf_counter()))
    blocks = [(_title(served, name), name, _cards(served, slate)) for name, slate in slates.items()]
    tracking = (
        orjson.dumps(
            {
                "session_id": session,
                "article_id": article_id,
                "request_id": request_id,
                "now": service.clock.now(),
            }
        )
        .decode()
        .replace("<", "\\u003c")
    )
    return _render("article.html", session, article=article, blocks=blocks, tracking=tracking)


@router.get("/favicon.ico")
async def favicon() -> Response:
    """None; the browser stops asking."""
    return Response(status_code=204)


@router.get("/index.html")
async def index() -> Response:
    """The home page."""
    return RedirectResponse("/")


def _title(served: Served, surface: str) -> str:
    return served.state.config.surfaces.of(surface).title
