"""Answers as bytes: each article's card is encoded once, when it changes."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from recsys.pipeline import Item, Slate
from serving.reply import Headers, Reply
from serving.served import Served
from serving.service import Service

PUBLIC: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"public, max-age=15, stale-while-revalidate=60"),
]
PRIVATE: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"private, no-store")]


class Answer:
    """Encodes the lists of one request.

    Args:
        service: for the clock and the key that ids are signed with.
        served: the bundle and state that made the lists.
        context_id: article being read.
        explain: add the parts of each score.
        page: answer with ``lists`` rather than one list.
        experiment: id and variant that the answer is under, None for none.
    """

    __slots__ = ("_explain", "_page", "_served", "_service", "context_id", "experiment")

    def __init__(
        self,
        service: Service,
        served: Served,
        context_id: str | None,
        explain: bool,
        page: bool,
        experiment: dict[str, str] | None = None,
    ) -> None:
        self.experiment = experiment
        self._service, self._served = service, served
        self.context_id, self._explain, self._page = context_id, explain, page

    def personal(
        self, slates: Mapping[str, Slate], who: tuple[str, str] | None, nonce: bytes
    ) -> tuple[str, Reply]:
        """A fresh request id and the answer that carries it."""
        now, listed = self._service.clock.now(), self._listed(slates)
        request_id = self._service.trust.signer.request_id(now, who, listed, nonce)
        content = orjson.dumps({"request_id": request_id, **self._body(slates)})
        return request_id, Reply(200, PRIVATE, content)

    def public(self, slates: Mapping[str, Slate]) -> Reply:
        """An answer that depends on no reader, with a stable id and a tag."""
        catalog = self._served.state.catalog
        shape = f"{self._served.version}\0{self.context_id}\0" + "\0".join(
            f"{name}:{','.join(catalog.ids[item.row] for item in slate.items)}"
            for name, slate in slates.items()
        )
        digest = hashlib.blake2b(shape.encode(), digest_size=16).digest()
        listed = self._listed(slates)
        list_id = self._service.trust.signer.list_id(digest, listed)
        content = orjson.dumps({"list_id": list_id, **self._body(slates)})
        tag = self._tag(digest, slates)
        keyed = dict.fromkeys([*([self.context_id] if self.context_id else []), *listed])
        keys = " ".join(f"article-{quote(name, safe='')}" for name in keyed)
        headers = [*PUBLIC, (b"etag", b"W/" + tag), (b"surrogate-key", keys.encode())]
        return Reply(200, headers, content, tag)

    def _listed(self, slates: Mapping[str, Slate]) -> list[str]:
        ids = self._served.state.catalog.ids
        return [ids[item.row] for slate in slates.values() for item in slate.items]

    def _body(self, slates: Mapping[str, Slate]) -> dict[str, Any]:
        body: dict[str, Any] = {"model_version": self._served.version, "experiment": self.experiment}
        if self._page:
            return {**body, "lists": {name: self._list(slate) for name, slate in slates.items()}}
        surface, slate = next(iter(slates.items()))
        return {**body, "surface": surface, **self._list(slate)}

    def _list(self, slate: Slate) -> dict[str, Any]:
        return {
            "title": self._served.state.config.surfaces.of(slate.surface).title,
            "fallback": slate.fallback,
            "items": [self._item(item) for item in slate.items],
        }

    def _item(self, item: Item) -> dict[str, Any]:
        catalog = self._served.state.catalog
        found: dict[str, Any] = {
            "article_id": catalog.ids[item.row],
            "position": item.position,
            "score": item.score,
            "reason": item.reason,
            "source": item.sources[0] if item.sources else None,
            "article": orjson.Fragment(catalog.cards[item.row] or b"null"),
        }
        if self._explain:
            found["explain"] = {
                "parts": item.parts, "sources": item.sources, "won_from": list(item.won_from),
            }  # fmt: skip
        return found

    def _tag(self, digest: bytes, slates: Mapping[str, Slate]) -> bytes:
        """The same for the same articles in the same order, though scores fall by the second."""
        seen = hashlib.blake2b(digest, digest_size=12)
        seen.update(b"explained" if self._explain else b"")
        cards = self._served.state.catalog.cards
        for slate in slates.values():
            for item in slate.items:
                seen.update(cards[item.row] or b"")
        return f'"{seen.hexdigest()}"'.encode()
