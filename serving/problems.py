"""Errors as RFC 9457 problem details."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from recsys.errors import BundleError, RecsysError, StoreError
from recsys.store import ConflictError
from serving.ingest import OverloadedError

_TITLES = {
    400: "The request cannot be read",
    401: "A key is needed",
    403: "This key does not open this",
    404: "There is no such thing",
    405: "This method is not offered here",
    409: "Somebody else changed it in the meantime",
    413: "The body is too large",
    422: "A parameter or field is not acceptable",
    503: "The service cannot do this right now",
}


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        detail: what is wrong and what to do.
        field: the parameter or field.
        headers: further headers.
    """

    def __init__(
        self, status: int, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field
        self.headers = dict(headers or {})


def problem_response(
    status: int,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """``application/problem+json``."""
    title = _TITLES.get(status, "The request failed")
    slug = title.lower().replace(" ", "-")
    body: dict[str, Any] = {
        "type": f"urn:recsys:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
        body["field"] = errors[0]["field"]
    return Response(orjson.dumps(body), status, dict(headers or {}), "application/problem+json")


def _field(location: tuple[Any, ...]) -> str:
    steps = [str(step) for step in location if step not in ("query", "body", "path")]
    return ".".join(steps) or "body"


def _validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = []
    for item in error.errors():
        message = "unknown parameter" if item["type"] == "extra_forbidden" else item["msg"]
        found.append({"field": _field(item["loc"]), "error": message.removeprefix("Value error, ")})
    detail = "; ".join(f"{entry['field']}: {entry['error']}" for entry in found[:5])
    return problem_response(422, f"{detail}. /docs lists what is allowed.", found)


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    errors = [{"field": error.field, "error": error.detail}] if error.field else None
    return problem_response(error.status, error.detail, errors, error.headers)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem_response(
        error.status_code, f"{error.detail}; /docs lists what is offered", headers=error.headers
    )


def _overloaded(_: Request, error: Exception) -> Response:
    detail = "more events are waiting to be written than the queue holds; send them again in a second"
    return problem_response(503, detail, headers={"Retry-After": "1"})


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, ConflictError):
        return problem_response(409, str(error))
    if isinstance(error, StoreError):
        request.app.state.service.telemetry.store_errors.labels("request").inc()
        detail = "the store does not take writes; nothing of this request was kept, send it again later"
        return problem_response(503, detail, headers={"Retry-After": "5"})
    return problem_response(422 if isinstance(error, BundleError) else 400, str(error))


def install(app: FastAPI) -> None:
    """Answer every error as a problem document."""
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OverloadedError, _overloaded)
    app.add_exception_handler(RecsysError, _refused)
