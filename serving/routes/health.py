"""Health and metrics."""

import asyncio

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving import gauges
from serving.service import Service

router = APIRouter(tags=["operations"])


@router.get("/health/live")
async def live() -> Response:
    """The process answers."""
    return Response(b'{"status":"live"}', media_type="application/json")


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Ready once the bundle is loaded, the tail caught up and the funnel warm, until the stop begins."""
    service: Service = request.app.state.service
    if not service.takes_more:
        status = b'{"status":"stopping"}' if service.stopping else b'{"status":"starting"}'
        return Response(status, 503, media_type="application/json")
    body = {
        "status": "ready",
        "model_version": service.served.version,
        "time": service.clock.instant().isoformat(),
    }
    return Response(orjson.dumps(body), media_type="application/json")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format, of all workers of this service."""
    service: Service = request.app.state.service
    if service.ready:
        gauges.show(service)
    text = await asyncio.to_thread(service.telemetry.render)
    return Response(text, media_type="text/plain; version=0.0.4")
