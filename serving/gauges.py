"""What a worker is at, told once a second: no request waits for it, and any worker can answer for all."""

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.service import Service

_SECONDS = 0.5


async def keep(service: "Service") -> None:
    """Set the gauges and measure how late the event loop is, for as long as the service runs."""
    lag = service.telemetry.loop_lag
    while True:
        show(service)
        due = time.perf_counter() + _SECONDS
        await asyncio.sleep(_SECONDS)
        lag.observe(max(0.0, time.perf_counter() - due))


def show(service: "Service") -> None:
    """Set the gauges."""
    telemetry, served, now = service.telemetry, service.served, service.clock.now()
    watermark = max(0.0, served.state.popularity.watermark)
    telemetry.ready.set(float(service.takes_more))
    telemetry.articles.set(len(served.state.catalog))
    telemetry.watermark.set(watermark)
    telemetry.data_age.set(max(0.0, now - watermark) if watermark else float("nan"))
    telemetry.model_age.set(
        max(0.0, now - datetime.fromisoformat(served.bundle.manifest["created"]).timestamp())
    )
    telemetry.follow_age.set(time.monotonic() - service.live.followed)
    telemetry.waiting.set(service.committer.waiting)
    telemetry.exposures_waiting.set(service.exposures.waiting)
