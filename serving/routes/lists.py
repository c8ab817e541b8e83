"""Lists for an article, a reader, a page."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from recsys.schemas import Id
from serving import lists, wire
from serving.lists import Asked
from serving.problems import Problem
from serving.service import Service
from serving.wire import PageBody, PageParams, PopularParams, ReadParams, UrlParams

router = APIRouter(prefix="/v1", tags=["lists"])


def _serve(request: Request, asked: Asked) -> Response:
    reply = lists.serve(request.app.state.service, request, asked)
    known = request.headers.get("if-none-match", "").encode("latin-1")
    return reply.unless_known(known).as_response()


@router.get("/articles/{article_id}/related")
async def related(request: Request, article_id: Id, params: Annotated[ReadParams, Query()]) -> Response:
    """You May Also Like: articles on the topic of one article."""
    return _serve(request, Asked(params, ["related"], article_id, started=time.perf_counter()))


@router.get("/related")
async def related_by_url(request: Request, params: Annotated[UrlParams, Query()]) -> Response:
    """The same for an article named by ``url``."""
    if params.url is None:
        raise Problem(
            422, "url: name the article by its url, or use /v1/articles/{article_id}/related", "url"
        )
    return _serve(request, Asked(params, ["related"], url=params.url, started=time.perf_counter()))


@router.get("/popular")
async def popular(request: Request, params: Annotated[PopularParams, Query()]) -> Response:
    """Popular Now: decayed distinct readers; a plain window or the increase if asked for."""
    return _serve(request, Asked(params, ["popular"], started=time.perf_counter()))


@router.get("/latest")
async def latest(request: Request, params: Annotated[ReadParams, Query()]) -> Response:
    """Latest Stories, newest first."""
    return _serve(request, Asked(params, ["latest"], started=time.perf_counter()))


@router.get("/must-reads")
async def must_reads(request: Request, params: Annotated[ReadParams, Query()]) -> Response:
    """Must-Reads: editors' priority, engagement, a spread over sections."""
    return _serve(request, Asked(params, ["must_reads"], started=time.perf_counter()))


@router.get("/users/{user_id}/recommendations")
async def for_you(request: Request, user_id: Id, params: Annotated[ReadParams, Query()]) -> Response:
    """For You: lists from a reader's recent openings."""
    if params.user_id is not None and params.user_id != user_id:
        raise Problem(422, "user_id differs from the one in the path", "user_id")
    if params.user_token is not None:
        service: Service = request.app.state.service
        who = wire.reader_of(service, request, params)
        if who != ("user_id", user_id):
            raise Problem(403, "user_token speaks for another user", "user_token")
    elif params.session_id is None:
        params = params.model_copy(update={"user_id": user_id})
    return _serve(request, Asked(params, ["for_you"], started=time.perf_counter()))


@router.get("/page")
async def page(request: Request, params: Annotated[PageParams, Query()]) -> Response:
    """All lists of a page in one call; no article stands in two of them."""
    surfaces = wire.surfaces_of(params.lists)
    asked = Asked(params, surfaces, params.article_id, params.url, (), True, time.perf_counter())
    return _serve(request, asked)


@router.post("/page")
async def page_with_history(request: Request, params: PageBody) -> Response:
    """The same with the history that the browser keeps; it is neither stored nor logged."""
    surfaces = wire.surfaces_of(params.lists)
    started = time.perf_counter()
    asked = Asked(params, surfaces, params.article_id, params.url, params.history, True, started)
    return _serve(request, asked)
