"""Prometheus metrics of one service, and the ASGI layer that measures requests."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 20_000_000
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Telemetry:
    """Counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "recsys_request_seconds",
            "Time of requests",
            ("route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "recsys_fallbacks", "Lists made by a fallback", ("surface", "reason"), registry=self.registry
        )
        self.events = Counter("recsys_events", "Events by outcome", ("outcome",), registry=self.registry)
        self.event_trust = Counter(
            "recsys_event_trust", "Events by how far they are believed", ("outcome",), registry=self.registry
        )
        self.bursts = Counter(
            "recsys_event_bursts", "Articles opened far more than known lists tell", registry=self.registry
        )
        self.bursts_present = Gauge(
            "recsys_event_bursts_present", "The same, in the present window", registry=self.registry
        )
        self.lost_exposures = Counter("recsys_exposures_lost", "Exposures not logged", registry=self.registry)
        self.dropped_exposures = Counter(
            "recsys_exposures_dropped", "Exposures dropped for their age or the space", registry=self.registry
        )
        self.lost_features = Counter(
            "recsys_feature_lists_lost", "Lists whose features were not logged", registry=self.registry
        )
        self.articles = Gauge("recsys_articles", "Articles in the catalogue", registry=self.registry)
        self.watermark = Gauge(
            "recsys_log_watermark_seconds", "Time of the newest event", registry=self.registry
        )
        self.waiting = Gauge("recsys_events_waiting", "Events not yet durable", registry=self.registry)
        self.utility_lost = Histogram(
            "recsys_page_utility_lost",
            "Share of utility that joint assembly costs",
            buckets=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
            registry=self.registry,
        )
        self.publish = Histogram(
            "recsys_publish_seconds",
            "Receipt of an article to recommendable",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._of_models()

    def _of_models(self) -> None:
        self.embedding_failures = Counter(
            "recsys_embedding_failures", "Attempts to embed articles that failed", registry=self.registry
        )
        self.articles_waiting = Gauge(
            "recsys_articles_not_embedded", "Articles listed, not embedded yet", registry=self.registry
        )
        self.swaps = Counter(
            "recsys_model_swaps", "Bundles put into service or refused", ("outcome",), registry=self.registry
        )
        cached = Counter(
            "recsys_cache", "Public answers by what was found in memory", ("found",), registry=self.registry
        )
        self.cache = {name: cached.labels(name) for name in ("hit", "stale", "outdated", "miss")}
        self._requests: dict[tuple[str, int], Histogram] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count and time a request; the label is looked up once."""
        found = self._requests.get((route, status))
        if found is None:
            found = self._requests[route, status] = self.requests.labels(route, str(status))
        found.observe(seconds)

    def fallback(self, surface: str, reason: str) -> None:
        """Count a list that is not what was asked for."""
        self.fallbacks.labels(surface, reason).inc()

        self.skill_ratio = Gauge(
            "recsys_model_skill_ratio",
            "Skill on the lists of the last day over that of the gate",
            registry=self.registry,
        )
        self.leaning = Gauge(
            "recsys_model_leaning", "1 while learned curves and recipes are left out", registry=self.registry
        )
        self.skill_ratio.set(float("nan"))

    def render(self) -> bytes:
        """Text format of Prometheus."""
        return generate_latest(self.registry)


class Measured:
    """Pure ASGI layer: counts and times each request by route, and limits the size of bodies."""

    def __init__(self, app: App, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, received = time.perf_counter(), 500, 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, f"a body has at most {MAX_BODY_BYTES:,} bytes")
            return message

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                took = (time.perf_counter() - started) * 1e3
                message["headers"].append((b"server-timing", f"total;dur={took:.2f}".encode()))
            await send(message)

        try:
            await self._app(scope, bounded, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._telemetry.request(route, status, time.perf_counter() - started)
