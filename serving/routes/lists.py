"""Lists for an article, a reader, a page."""

import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from recsys.pipeline import Slate
from recsys.schemas import Id
from serving import answers, guard, wire
from serving.problems import Problem
from serving.service import Service
from serving.trust import new_nonce
from serving.wire import PageBody, PageParams, PopularParams, ReadParams, UrlParams

router = APIRouter(prefix="/v1", tags=["lists"])


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    if not service.ready:
        raise Problem(
            503, "the service is starting or stopping; try again shortly", headers={"Retry-After": "1"}
        )
    return service


def _serve(
    request: Request,
    params: ReadParams,
    surfaces: list[str],
    *,
    article_id: str | None = None,
    url: str | None = None,
    history: list[str] | None = None,
    page: bool = False,
) -> Response:
    started = time.perf_counter()
    service = _service(request)
    guard.require_read(request, service.keys)
    served = service.served
    who = wire.reader_of(service, request, params)
    context = wire.context_row(served, article_id, url, params.strict)
    if params.strict and surfaces == ["for_you"] and who is not None:
        _require_known(service, who)
    reader = wire.past_of(served, who, history or [])
    query = wire.query_of(service, served, params, context, reader)
    query = wire.with_rules(service, served, query, surfaces)
    personal = who is not None or bool(history)
    nonce = new_nonce() if personal else None
    # a history that the browser keeps is not logged, so what follows from it is not either
    if nonce is not None and not history and service.features.wants(nonce.hex(), served):
        query = replace(query, witness=[])
    slates, lost = (
        served.funnel.page(surfaces, query) if page else (_single(served.funnel, surfaces[0], query), 0.0)
    )
    service.live.asked.note(served, query, surfaces, page)
    if page:
        service.telemetry.utility_lost.observe(lost)
    _note_fallbacks(service, slates)
    context_id = served.state.catalog.ids[context[0]] if context[0] is not None else article_id
    signer = service.trust.signer
    listed = answers.listed_ids(served, slates) if nonce is not None else []
    request_id = signer.request_id(query.now, who, listed, nonce) if nonce is not None else None
    response = answers.answer(
        request,
        served,
        slates,
        signer,
        request_id=request_id,
        explain=params.explain,
        page=page,
        context_id=context_id,
    )
    if request_id is not None and query.witness:
        service.features.take(served, request_id, query.now, context_id, query.witness)
    if request_id is not None and who is not None:
        took = (time.perf_counter() - started) * 1e3
        now = service.clock.instant()
        service.exposures.take(answers.exposures_of(served, slates, request_id, who, now, context_id, took))
    return response


def _single(funnel: object, surface: str, query: object) -> dict[str, Slate]:
    return {surface: funnel.slate(surface, query)}  # type: ignore[attr-defined]


def _note_fallbacks(service: Service, slates: dict[str, Slate]) -> None:
    for name, slate in slates.items():
        if slate.fallback is not None:
            service.telemetry.fallbacks.labels(name, slate.fallback).inc()


def _require_known(service: Service, who: tuple[str, str]) -> None:
    if len(wire.past_of(service.served, who, []).rows) == 0:  # type: ignore[union-attr]
        raise Problem(404, "nothing is known of this reader", who[0])


@router.get("/articles/{article_id}/related")
async def related(request: Request, article_id: Id, params: Annotated[ReadParams, Query()]) -> Response:
    """You May Also Like: articles on the topic of one article."""
    return _serve(request, params, ["related"], article_id=article_id)


@router.get("/related")
async def related_by_url(request: Request, params: Annotated[UrlParams, Query()]) -> Response:
    """The same for an article named by ``url``."""
    if params.url is None:
        raise Problem(
            422, "url: name the article by its url, or use /v1/articles/{article_id}/related", "url"
        )
    return _serve(request, params, ["related"], url=params.url)


@router.get("/popular")
async def popular(request: Request, params: Annotated[PopularParams, Query()]) -> Response:
    """Popular Now: decayed distinct readers; a plain window or the increase if asked for."""
    return _serve(request, params, ["popular"])


@router.get("/latest")
async def latest(request: Request, params: Annotated[ReadParams, Query()]) -> Response:
    """Latest Stories, newest first."""
    return _serve(request, params, ["latest"])


@router.get("/must-reads")
async def must_reads(request: Request, params: Annotated[ReadParams, Query()]) -> Response:
    """Must-Reads: editors' priority, engagement, a spread over sections."""
    return _serve(request, params, ["must_reads"])


@router.get("/users/{user_id}/recommendations")
async def for_you(request: Request, user_id: Id, params: Annotated[ReadParams, Query()]) -> Response:
    """For You: lists from a reader's recent openings."""
    if params.user_id is not None and params.user_id != user_id:
        raise Problem(422, "user_id differs from the one in the path", "user_id")
    if params.user_token is not None:
        who = wire.reader_of(_service(request), request, params)
        if who != ("user_id", user_id):
            raise Problem(403, "user_token speaks for another user", "user_token")
    elif params.session_id is None:
        params = params.model_copy(update={"user_id": user_id})
    return _serve(request, params, ["for_you"])


@router.get("/page")
async def page(request: Request, params: Annotated[PageParams, Query()]) -> Response:
    """All lists of a page in one call; no article stands in two of them."""
    surfaces = wire.surfaces_of(params.lists)
    return _serve(request, params, surfaces, article_id=params.article_id, url=params.url, page=True)


@router.post("/page")
async def page_with_history(request: Request, params: PageBody) -> Response:
    """The same with the history that the browser keeps; it is neither stored nor logged."""
    surfaces = wire.surfaces_of(params.lists)
    return _serve(
        request,
        params,
        surfaces,
        article_id=params.article_id,
        url=params.url,
        history=params.history,
        page=True,
    )
