"""Upsert, change and remove articles; in every list they belong in before the answer."""

from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from recsys.schemas import Article, Id
from serving import guard
from serving.problems import Problem
from serving.routes.events import read_json_rows
from serving.service import Service

router = APIRouter(prefix="/v1/articles", tags=["articles"])
_MAX_BYTES = 20_000_000
_JSON = ("application/json",)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    guard.require_secret(request, service.keys)
    if not service.ready:
        raise Problem(503, "the service is starting or stopping; send it again", headers={"Retry-After": "1"})
    return service


def _check(row: Any) -> Article:
    try:
        return Article.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"]) or "body"
        message = "unknown field" if first["type"] == "extra_forbidden" else first["msg"]
        raise Problem(422, f"{field}: {message.removeprefix('Value error, ')}", field) from error


async def _body(request: Request, article_id: str) -> dict[str, Any]:
    rows = await read_json_rows(request, 1, _MAX_BYTES, _JSON)
    if len(rows) != 1 or not isinstance(rows[0], dict):
        raise Problem(422, "the body is one JSON object", "body")
    given = rows[0].get("article_id", article_id)
    if given != article_id:
        raise Problem(422, "article_id differs from the one in the path", "article_id")
    return {**rows[0], "article_id": article_id}


def _stored(article: Article) -> Response:
    return Response(article.model_dump_json(exclude_none=True), media_type="application/json")


@router.get("/{article_id}")
async def get_article(request: Request, article_id: Id) -> Response:
    """The article as it stands."""
    article = await _service(request).desk.find(article_id)
    if article is None:
        raise Problem(404, f"the catalogue has no article {article_id!r}", "article_id")
    return _stored(article)


@router.put("/{article_id}")
async def put_article(request: Request, article_id: Id) -> Response:
    """Insert or replace an article."""
    service = _service(request)
    article = _check(await _body(request, article_id))
    return _stored((await service.desk.put([article]))[0])


@router.patch("/{article_id}")
async def patch_article(request: Request, article_id: Id) -> Response:
    """Change some fields of an article."""
    service = _service(request)
    changes = await _body(request, article_id)
    standing = await service.desk.find(article_id)
    if standing is None:
        raise Problem(404, f"the catalogue has no article {article_id!r}; PUT it first", "article_id")
    article = _check({**standing.model_dump(), **changes})
    return _stored((await service.desk.put([article]))[0])


@router.delete("/{article_id}", status_code=204)
async def delete_article(request: Request, article_id: Id) -> Response:
    """Remove an article; gone on the next request."""
    if not await _service(request).desk.delete(article_id):
        raise Problem(404, f"the catalogue has no article {article_id!r}", "article_id")
    return Response(status_code=204)


@router.post("")
async def post_articles(request: Request) -> Response:
    """Insert or replace up to 1,000 articles; a bad one stops none of the others."""
    service = _service(request)
    rows = await read_json_rows(request, 1_000, _MAX_BYTES, _JSON)
    good: dict[str, Article] = {}
    rejected = []
    for index, row in enumerate(rows):
        try:
            article = _check(row)
            good[article.article_id] = article
        except Problem as problem:
            rejected.append({"index": index, "field": problem.field, "error": problem.detail})
    await service.desk.put(list(good.values())) if good else None
    return Response(
        orjson.dumps({"accepted": len(good), "rejected": rejected}), media_type="application/json"
    )
