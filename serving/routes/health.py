"""Health and metrics."""

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.service import Service

router = APIRouter(tags=["operations"])


@router.get("/health/live")
async def live() -> Response:
    """The process answers."""
    return Response(b'{"status":"live"}', media_type="application/json")


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Ready only after the bundle is loaded, the tail is caught up and the funnel is warm."""
    service: Service = request.app.state.service
    if not service.ready:
        return Response(b'{"status":"starting"}', 503, media_type="application/json")
    body = {
        "status": "ready",
        "model_version": service.served.version,
        "time": service.clock.instant().isoformat(),
    }
    return Response(orjson.dumps(body), media_type="application/json")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    service: Service = request.app.state.service
    telemetry = service.telemetry
    if service.ready:
        telemetry.articles.set(len(service.served.state.catalog))
        telemetry.watermark.set(max(0.0, service.served.state.popularity.watermark))
        telemetry.waiting.set(service.committer.waiting)
    return Response(telemetry.render(), media_type="text/plain; version=0.0.4")
