"""Rules, models, explanations, erasure: what needs the secret key."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from recsys.bundle import read_manifest
from recsys.errors import BundleError
from recsys.rules_editor import EditorRule, EditorRules
from recsys.schemas import Id, Surface
from serving import guard, wire
from serving.problems import Problem
from serving.service import Service

router = APIRouter(prefix="/v1", tags=["steering"])


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    guard.require_secret(request, service.keys)
    if not service.ready:
        raise Problem(503, "the service is starting or stopping", headers={"Retry-After": "1"})
    return service


def _json(body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)


class ExplainParams(BaseModel):
    """``/v1/explain``."""

    model_config = ConfigDict(extra="forbid")

    candidate_id: Id
    surface: Surface = "related"
    article_id: Id | None = None
    user_id: Id | None = None
    session_id: Id | None = None


@router.get("/explain")
async def explain(request: Request, params: Annotated[ExplainParams, Query()]) -> Response:
    """Why an article stands in a list, or the exact filter that removed it."""
    service = _service(request)
    served = service.served
    row = served.state.catalog.row(params.candidate_id)
    if row is None:
        return _json(
            {"candidate_id": params.candidate_id, "removed_by": "unknown_article", "parts": {}, "rank": None}
        )
    asked = wire.ReadParams(user_id=params.user_id, session_id=params.session_id)
    reader = wire.past_of(served, wire.reader_of(service, request, asked), [])
    context = wire.context_row(served, params.article_id, None, False)
    query = wire.query_of(service, served, asked, context, reader)
    query = wire.with_rules(service, served, query, [params.surface])
    removed, parts, rank = served.funnel.explain(params.surface, query, row)
    if removed is None and rank is None:
        removed = "another_version_of_the_story"
    body = {
        "candidate_id": params.candidate_id,
        "surface": params.surface,
        "removed_by": removed,
        "score": sum(parts.values()),
        "parts": parts,
        "rank": rank,
    }
    return _json(body)


@router.get("/rules")
async def get_rules(request: Request) -> Response:
    """The editors' rules; the version stands in ``ETag``."""
    version, rules = await asyncio.to_thread(_service(request).store.get_rules)
    return _json({"version": version, "rules": rules}, {"ETag": f'"{version}"'})


@router.put("/rules")
async def put_rules(request: Request, rules: list[EditorRule]) -> Response:
    """Replace the rules; ``If-Match`` with the version read keeps two editors apart."""
    service = _service(request)
    if len({rule.id for rule in rules}) != len(rules):
        raise Problem(422, "two rules have the same id", "id")
    expected = request.headers.get("if-match", "").strip('"')
    rows = [rule.model_dump(mode="json", by_alias=True) for rule in rules]
    wanted = int(expected) if expected.isdecimal() else None
    version = await asyncio.to_thread(service.store.put_rules, rows, wanted)
    service.live.rules = EditorRules(version, rules)
    return _json({"version": version, "rules": rows}, {"ETag": f'"{version}"'})


@router.get("/models")
async def models(request: Request) -> Response:
    """The bundles of the registry and which is in service."""
    service = _service(request)
    registry = service.registry
    found = []
    for version in registry.versions():
        try:
            manifest = read_manifest(registry.folder / version)
            facts = {
                key: manifest.get(key)
                for key in ("created", "articles", "events", "metrics", "config_digest")
            }
            found.append({"version": version, **facts, "error": None})
        except BundleError as error:
            found.append({"version": version, "error": str(error)})
    return _json({"current": service.served.version, "models": found})


@router.post("/models/{version}:promote")
async def promote(request: Request, version: str) -> Response:
    """Put a bundle into service; a bad one is refused and the old one stays."""
    service = _service(request)
    if version not in service.registry.versions():
        raise Problem(404, f"the registry has no bundle {version!r}", "version")
    await service.live.promote(version)
    return _json({"current": service.served.version})


@router.post("/models:rollback")
async def rollback(request: Request) -> Response:
    """Return to the bundle that was in service before."""
    service = _service(request)
    await service.live.rollback()
    return _json({"current": service.served.version})


@router.delete("/users/{user_id}")
async def forget(request: Request, user_id: Id) -> Response:
    """Erase a user's events, exposures and history."""
    return _json({"erased": await _service(request).forget(user_id)})
