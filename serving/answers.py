"""Answers as bytes: each article's card is encoded once, when it changes."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import Request
from fastapi.responses import Response

from recsys.pipeline import Item, Slate
from recsys.schemas import Exposure, ExposureItem
from serving.served import Served
from serving.trust import Signer

PUBLIC = "public, max-age=15, stale-while-revalidate=60"
PRIVATE = "private, no-store"


def _item(served: Served, item: Item, explain: bool) -> dict[str, Any]:
    catalog = served.state.catalog
    found: dict[str, Any] = {
        "article_id": catalog.ids[item.row],
        "position": item.position,
        "score": item.score,
        "reason": item.reason,
        "source": item.sources[0] if item.sources else None,
        "article": orjson.Fragment(catalog.cards[item.row] or b"null"),
    }
    if explain:
        found["explain"] = {"parts": item.parts, "sources": item.sources, "won_from": list(item.won_from)}
    return found


def _list(served: Served, slate: Slate, explain: bool) -> dict[str, Any]:
    return {
        "title": served.state.config.surfaces.of(slate.surface).title,
        "fallback": slate.fallback,
        "items": [_item(served, item, explain) for item in slate.items],
    }


def answer(
    request: Request,
    served: Served,
    slates: Mapping[str, Slate],
    signer: Signer,
    *,
    request_id: str | None,
    explain: bool,
    page: bool,
    context_id: str | None,
) -> Response:
    """The response for one list or a page.

    Args:
        request: for ``If-None-Match``.
        served: the bundle and state that made the lists.
        slates: by surface.
        signer: makes the ids of public lists.
        request_id: fresh, of lists that depend on the reader; None for public ones.
        explain: add the parts of each score.
        page: answer with ``lists`` rather than one list.
        context_id: article being read.
    """
    body: dict[str, Any] = {"model_version": served.version, "experiment": None}
    if page:
        body["lists"] = {name: _list(served, slate, explain) for name, slate in slates.items()}
    else:
        surface, slate = next(iter(slates.items()))
        body |= {"surface": surface, **_list(served, slate, explain)}
    if request_id is not None:
        content = orjson.dumps({"request_id": request_id, **body}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(content, media_type="application/json", headers={"Cache-Control": PRIVATE})
    return _public(request, served, slates, signer, body, context_id, explain)


def listed_ids(served: Served, slates: Mapping[str, Slate]) -> list[str]:
    """Ids of the articles of all lists."""
    return [served.state.catalog.ids[item.row] for slate in slates.values() for item in slate.items]


def _public(
    request: Request,
    served: Served,
    slates: Mapping[str, Slate],
    signer: Signer,
    body: dict[str, Any],
    context_id: str | None,
    explain: bool,
) -> Response:
    catalog = served.state.catalog
    rows = [item.row for slate in slates.values() for item in slate.items]
    names = listed_ids(served, slates)
    shape = f"{served.version}\0{context_id}\0" + "\0".join(
        f"{name}:{','.join(catalog.ids[i.row] for i in slate.items)}" for name, slate in slates.items()
    )
    list_id = signer.list_id(hashlib.blake2b(shape.encode(), digest_size=12).digest(), names)
    content = orjson.dumps({"list_id": list_id, **body}, option=orjson.OPT_SERIALIZE_NUMPY)
    tag = _tag(list_id, explain, [catalog.cards[row] or b"" for row in rows])
    keyed = dict.fromkeys([*([context_id] if context_id else []), *names])
    headers = {
        "Cache-Control": PUBLIC,
        "ETag": f"W/{tag}",
        "Surrogate-Key": " ".join(f"article-{quote(name, safe='')}" for name in keyed),
    }
    given = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if tag in given or "*" in given:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _tag(list_id: str, explain: bool, cards: Sequence[bytes]) -> str:
    """The same for the same articles in the same order, though scores fall by the second."""
    seen = hashlib.blake2b(f"{list_id}\0{explain}".encode(), digest_size=12)
    for card in cards:
        seen.update(card)
    return f'"{seen.hexdigest()}"'


def exposures_of(
    served: Served,
    slates: Mapping[str, Slate],
    request_id: str,
    reader: tuple[str, str],
    ts: datetime,
    context_id: str | None,
    took_ms: float,
) -> list[Exposure]:
    """The served lists of one personal answer, for the log."""
    ids = served.state.catalog.ids
    return [
        Exposure.model_construct(
            request_id=request_id,
            surface=surface,  # type: ignore[arg-type]
            ts=ts,
            items=[
                ExposureItem.model_construct(
                    article_id=ids[item.row],
                    position=item.position,
                    score=item.score,
                    propensity=1.0,
                    source=item.sources[0] if item.sources else None,
                )
                for item in slate.items
            ],
            context_article_id=context_id,
            model_version=served.version,
            fallback=slate.fallback,
            took_ms=took_ms,
            user_id=reader[1] if reader[0] == "user_id" else None,
            session_id=reader[1] if reader[0] == "session_id" else None,
        )
        for surface, slate in slates.items()
    ]
