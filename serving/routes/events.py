"""What readers did, acknowledged only when it is durable."""

from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.routing import Route

from recsys.schemas import Event
from serving import guard
from serving.problems import Problem
from serving.service import Service

router = APIRouter(prefix="/v1", tags=["events"])
MAX_EVENTS = 1_000
MAX_BYTES = 2_000_000
_TOLERANCE_SECONDS = 600.0
_TYPES = ("application/json", "text/plain")


@router.post("/events", status_code=202)
async def post_events(request: Request) -> Response:
    """One event or an array of up to 1,000; ``event_id`` makes it idempotent."""
    service: Service = request.app.state.service
    if not service.ready:
        raise Problem(
            503, "the service is starting or stopping; send the events again", headers={"Retry-After": "1"}
        )
    guard.require_public(request, service.keys)
    rows = await read_json_rows(request, MAX_EVENTS, MAX_BYTES, _TYPES)
    now, latest = service.clock.now(), service.clock.latest_allowed(_TOLERANCE_SECONDS)
    caller = service.trust.caller(request, now)
    accepted, rejected = [], []
    for index, row in enumerate(rows):
        checked = _check(row, latest, caller.trusted)
        if isinstance(checked, Event):
            accepted.append(checked)
        else:
            rejected.append({"index": index, **checked})
    numbers = await service.committer.submit(service.trust.judge(accepted, caller, now))
    fresh = sum(number is not None for number in numbers)
    for outcome, count in (
        ("accepted", fresh),
        ("duplicate", len(numbers) - fresh),
        ("rejected", len(rejected)),
    ):
        if count:
            service.telemetry.events.labels(outcome).inc(count)
    body = {"accepted": fresh, "duplicates": len(numbers) - fresh, "rejected": rejected}
    return Response(orjson.dumps(body), 202, media_type="application/json")


# the framework's own route solves dependencies, of which there are none
ROUTE = Route("/v1/events", post_events, methods=["POST"])


async def read_json_rows(request: Request, most: int, max_bytes: int, types: tuple[str, ...]) -> list[Any]:
    """The body as a list of rows; one object is a list of one.

    Raises:
        Problem: 400 no JSON, 413 too large, 422 too many or of another media type.
    """
    media = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if media not in types:
        raise Problem(422, f"Content-Type {media!r}; send {' or '.join(types)}", "Content-Type")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise Problem(413, f"a body has at most {max_bytes:,} bytes; send fewer rows at a time")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise Problem(413, f"a body has at most {max_bytes:,} bytes; send fewer rows at a time")
    try:
        rows = orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    rows = rows if isinstance(rows, list) else [rows]
    if len(rows) > most:
        raise Problem(422, f"{len(rows)} rows in one call; at most {most:,} are taken", "body")
    return rows


def _check(row: Any, latest: float, trusted: bool) -> Event | dict[str, str]:
    if not isinstance(row, dict):
        return {"field": "event", "error": "an event is a JSON object"}
    if row.get("trust") is not None and not trusted:
        return {
            "field": "trust",
            "error": "only a call with the secret key says what an event counts; leave it out",
        }
    try:
        event = Event.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"]) or "event"
        message = "unknown field" if first["type"] == "extra_forbidden" else first["msg"]
        return {"field": field, "error": message.removeprefix("Value error, ")}
    return event if event.ts.timestamp() <= latest else _future(event.ts, latest)


def _future(ts: datetime, latest: float) -> dict[str, str]:
    allowed = datetime.fromtimestamp(latest, ts.tzinfo).isoformat(timespec="seconds")
    return {
        "field": "ts",
        "error": f"{ts.isoformat()} lies in the future; the latest time taken is {allowed}",
    }
