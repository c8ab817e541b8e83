"""An answer as bytes, sent without further work."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import Response

Headers = list[tuple[bytes, bytes]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Reply:
    """One answer.

    Attributes:
        status: of HTTP.
        headers: names in lower case; without the length, which follows from the body.
        body: as sent.
        tag: ETag without ``W/``, None for a private answer.
        lasting: whether the same question may be given it again; not one that was made in a hurry.
    """

    __slots__ = ("body", "headers", "lasting", "status", "tag")

    def __init__(self, status: int, headers: Headers, body: bytes, tag: bytes | None = None) -> None:
        self.status, self.body, self.tag, self.lasting = status, body, tag, tag is not None
        self.headers = [*headers, (b"content-length", str(len(body)).encode())]

    def unless_known(self, if_none_match: bytes) -> "Reply":
        """This answer, or 304 where the caller has it: one of the tags sent is this one."""
        if self.tag is None or not if_none_match:
            return self
        given = [part.strip().removeprefix(b"W/") for part in if_none_match.split(b",")]
        if self.tag not in given and b"*" not in given:
            return self
        kept = [pair for pair in self.headers if pair[0] not in (b"content-type", b"content-length")]
        found = Reply(304, kept, b"")
        found.headers.pop()
        return found

    def as_response(self) -> Response:
        """For a FastAPI route."""
        response = Response(self.body, self.status)
        response.raw_headers = list(self.headers)
        return response

    async def send(self, send: Send, *more: tuple[bytes, bytes]) -> None:
        """To an ASGI server, with further headers."""
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, *more]})
        await send({"type": "http.response.body", "body": self.body})
