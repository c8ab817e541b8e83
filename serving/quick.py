"""The short way of a request for lists, around the web framework.

Reading a query string and picking a handler costs the framework as much as a list costs the engine.
So lists are answered in front of it, by the same checks and the same code; public ones from memory
while they are true. Whatever is unusual (an unknown parameter, a body, an error) goes the framework's
way, which knows how to say what is wrong.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import ValidationError

from recsys.errors import RecsysError
from recsys.schemas import check_id
from serving import guard, lists, wire
from serving.answer_cache import AnswerCache
from serving.problems import Problem
from serving.reply import Reply
from serving.service import Service
from serving.telemetry import App, Receive, Scope, Send
from serving.wire import PageParams, PopularParams, ReadParams, UrlParams

_FIXED: Mapping[str, tuple[str, type[ReadParams]]] = {
    "/v1/popular": ("popular", PopularParams),
    "/v1/latest": ("latest", ReadParams),
    "/v1/must-reads": ("must_reads", ReadParams),
    "/v1/related": ("related", UrlParams),
}
_USERS, _FOR_YOU = "/v1/users/", "/recommendations"
_ARTICLES, _RELATED = "/v1/articles/", "/related"
_MANY = frozenset(("section", "exclude"))


class QuickLists:
    """Pure ASGI layer that answers GET requests for lists.

    Args:
        app: takes everything else.
        service: makes the lists.
    """

    def __init__(self, app: App, service: Service) -> None:
        self._app, self._service = app, service
        self._cache = AnswerCache(service.freshness, service.telemetry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        reply, started = None, time.perf_counter()
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith("/v1/"):
            reply = self._reply(scope, started)
        if reply is None:
            await self._app(scope, receive, send)
            return
        known = next((value for name, value in scope["headers"] if name == b"if-none-match"), b"")
        reply = reply.unless_known(known)
        took = time.perf_counter() - started
        await reply.send(send, (b"server-timing", b"total;dur=%.2f" % (took * 1e3)))
        self._service.telemetry.request(_route(scope["path"]), reply.status, took)

    def _reply(self, scope: Scope, started: float) -> Reply | None:
        key = (scope["path"], scope["query_string"])
        service = self._service
        try:
            if service.keys.reads == "key":
                guard.require_read(Request(scope), service.keys)
            if service.ready:
                service.urgent.look()
            kept = self._cache.get(key, service.live) if service.ready else None
            if kept is not None:
                if kept.aging:
                    # once for all who ask meanwhile; they are not kept waiting for it
                    asyncio.get_running_loop().call_soon(self._renew, scope, key)
                return kept.reply
            return self._made(scope, key, started)
        except (Problem, RecsysError, ValidationError, ValueError):
            return None

    def _renew(self, scope: Scope, key: tuple[str, bytes]) -> None:
        try:
            self._made(scope, key, time.perf_counter())
        except (Problem, RecsysError, ValidationError, ValueError):
            self._cache.drop(key)

    def _made(self, scope: Scope, key: tuple[str, bytes], started: float) -> Reply | None:
        asked = asked_of(*key, started)
        if asked is None:
            return None
        mark = self._cache.mark(self._service.live)
        reply = lists.serve(self._service, Request(scope), asked)
        if reply.lasting:
            self._cache.put(key, mark, reply)
        return reply


def _route(path: str) -> str:
    """The path as metrics name it."""
    if path.startswith(_ARTICLES):
        return "/v1/articles/{article_id}/related"
    return "/v1/users/{user_id}/recommendations" if path.startswith(_USERS) else path


def asked_of(path: str, query_string: bytes, started: float) -> lists.Asked | None:
    """The request that a path and a query string make; None where the framework shall look at it.

    Raises:
        ValidationError, ValueError: a parameter that is not acceptable.
    """
    if path == "/v1/page":
        page = PageParams.model_validate(_values(query_string))
        surfaces = wire.surfaces_of(page.lists)
        return lists.Asked(page, surfaces, page.article_id, page.url, page=True, started=started)
    if path in _FIXED:
        surface, kind = _FIXED[path]
        params = kind.model_validate(_values(query_string))
        url = params.url if isinstance(params, UrlParams) else None
        return None if surface == "related" and url is None else lists.Asked(
            params, [surface], url=url, started=started
        )  # fmt: skip
    if path.startswith(_ARTICLES) and path.endswith(_RELATED):
        article_id = path[len(_ARTICLES) : -len(_RELATED)]
        if "/" not in article_id:
            params = ReadParams.model_validate(_values(query_string))
            return lists.Asked(params, ["related"], check_id(article_id), started=started)
    if path.startswith(_USERS) and path.endswith(_FOR_YOU):
        params = ReadParams.model_validate(_values(query_string))
        user_id = path[len(_USERS) : -len(_FOR_YOU)]
        if "/" not in user_id and (params.user_id, params.user_token, params.session_id) == (None,) * 3:
            asks = params.model_copy(update={"user_id": check_id(user_id)})
            return lists.Asked(asks, ["for_you"], started=started)
    return None


def _values(query_string: bytes) -> dict[str, Any]:
    """Parameters by name, those that may be repeated as lists; of the others the last one counts."""
    found: dict[str, Any] = {}
    if not query_string:
        return found
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    for name, value in pairs:
        if name in _MANY:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found
