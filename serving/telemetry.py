"""Prometheus metrics of a service, and the ASGI layer that measures requests."""

import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from fastapi import HTTPException
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 20_000_000
# the client library looks for this when it is imported
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_FINE = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_STAGES_OF_EVERY = 5
_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


# a series each for when a count began doubles the answer and tells nothing
disable_created_metrics()  # type: ignore[no-untyped-call]


class Telemetry:
    """Counters of one worker; with several workers, those of all of them can be read from any.

    Children of labels that every request needs are looked up once: a look-up costs more than the count.
    Gauges of several workers become one number, the sum or the worst of those that live.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests: dict[tuple[str, int], Histogram] = {}
        self._fallbacks: dict[tuple[str, str], Counter] = {}
        self._stages: dict[str, Histogram] = {}
        self._staged = 0
        self._of_requests()
        self._of_events()
        self._of_articles()
        self._of_the_whole()

    def _counter(self, name: str, text: str, label: str | None = None, values: Sequence[str] = ()) -> Counter:
        counter = Counter(name, text, () if label is None else (label,), registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter

    def _gauge(
        self, name: str, text: str, of_workers: Literal["livesum", "livemax", "livemostrecent"]
    ) -> Gauge:
        return Gauge(name, text, registry=self.registry, multiprocess_mode=of_workers)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = _BUCKETS
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _of_requests(self) -> None:
        self.requests = self._histogram("recsys_request_seconds", "Time of requests", ("route", "status"))
        self.stages = self._histogram(
            "recsys_stage_seconds", "Time of the stages of every fifth request for lists", ("stage",), _FINE
        )
        self.candidates = self._histogram(
            "recsys_candidates",
            "Candidates that the lists of every fifth request were chosen from",
            ("surface",),
            (0, 10, 30, 100, 200, 300, 500, 1000, 5000),
        )
        self.fallbacks = Counter(
            "recsys_fallbacks", "Lists made by a fallback", ("surface", "reason"), registry=self.registry
        )
        found = ("hit", "stale", "outdated", "miss")
        cached = self._counter("recsys_cache", "Public answers by what was found in memory", "found", found)
        self.cache = {name: cached.labels(name) for name in found}
        self.sides = Counter(
            "recsys_experiment_lists",
            "Answers under an experiment",
            ("experiment", "variant"),
            registry=self.registry,
        )
        self.sides_missing = Counter(
            "recsys_experiment_side_missing",
            "Answers that lacked the bundle of their side and were left out of the experiment",
            ("experiment",),
            registry=self.registry,
        )
        self.utility_lost = self._histogram(
            "recsys_page_utility_lost", "Share of utility that joint assembly costs", buckets=_SHARES
        )
        self.loop_lag = self._histogram(
            "recsys_event_loop_lag_seconds", "How late the event loop does what is due", buckets=_FINE
        )

    def _of_events(self) -> None:
        outcomes = ("accepted", "duplicate", "rejected")
        self.events = self._counter("recsys_events", "Events by outcome", "outcome", outcomes)
        self.event_trust = self._counter(
            "recsys_event_trust", "Events by how far they are believed", "outcome"
        )
        self.bursts = self._counter("recsys_event_bursts", "Articles opened far more than known lists tell")
        self.bursts_present = self._gauge(
            "recsys_event_bursts_present", "The same, in the present window", "livemax"
        )
        self.waiting = self._gauge("recsys_events_waiting", "Events not yet durable", "livesum")
        self.exposures_waiting = self._gauge(
            "recsys_exposures_waiting", "Served lists not yet logged", "livesum"
        )
        self.lost_exposures = self._counter("recsys_exposures_lost", "Exposures not logged")
        self.dropped_exposures = self._counter(
            "recsys_exposures_dropped", "Exposures dropped for their age or the space"
        )
        self.lost_features = self._counter(
            "recsys_feature_lists_lost", "Lists whose features were not logged"
        )

    def _of_articles(self) -> None:
        self.articles = self._gauge("recsys_articles", "Articles in the catalogue", "livemax")
        self.articles_waiting = self._gauge(
            "recsys_articles_not_embedded", "Articles listed, not embedded yet", "livemax"
        )
        self.publish = self._histogram("recsys_publish_seconds", "Receipt of an article to recommendable")
        self.embedding_failures = self._counter(
            "recsys_embedding_failures", "Attempts to embed articles that failed"
        )

    def _of_the_whole(self) -> None:
        self.ready = self._gauge("recsys_workers_ready", "Workers that take requests", "livesum")
        self.watermark = self._gauge("recsys_log_watermark_seconds", "Time of the newest event", "livemax")
        self.data_age = self._gauge("recsys_data_age_seconds", "Age of the newest event", "livemax")
        self.follow_age = self._gauge(
            "recsys_follow_age_seconds", "Time since the store was last followed", "livemax"
        )
        self.model_age = self._gauge("recsys_model_age_seconds", "Age of the bundle in service", "livemax")
        self.swaps = self._counter(
            "recsys_model_swaps", "Bundles put into service or refused", "outcome", ("done", "refused")
        )
        # the worker that scored last knows best
        self.skill_ratio = self._gauge(
            "recsys_model_skill_ratio",
            "Skill on the lists of the last day over that of the gate",
            "livemostrecent",
        )
        self.skill_ratio.set(float("nan"))
        self.leaning = self._gauge(
            "recsys_model_leaning", "1 while learned curves and recipes are left out", "livemax"
        )
        self.store_errors = self._counter(
            "recsys_store_errors", "What the store refused", "during", ("request", "follow")
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count and time a request."""
        found = self._requests.get((route, status))
        if found is None:
            found = self._requests[route, status] = self.requests.labels(route, str(status))
        found.observe(seconds)

    def fallback(self, surface: str, reason: str) -> None:
        """Count a list that is not what was asked for."""
        found = self._fallbacks.get((surface, reason))
        if found is None:
            found = self._fallbacks[surface, reason] = self.fallbacks.labels(surface, reason)
        found.inc()

    def staged(self, stages: Iterable[tuple[str, float]], candidates: Iterable[tuple[str, int]]) -> None:
        """Time the stages of one request; every fifth is kept, so that it costs less than it tells.

        Args:
            stages: names and seconds.
            candidates: surfaces, and how many candidates each list was chosen from.
        """
        self._staged += 1
        if self._staged % _STAGES_OF_EVERY:
            return
        for stage, seconds in stages:
            found = self._stages.get(stage)
            if found is None:
                found = self._stages[stage] = self.stages.labels(stage)
            found.observe(seconds)
        for surface, count in candidates:
            self.candidates.labels(surface).observe(count)

    def render(self) -> bytes:
        """Text format of Prometheus, of all workers of this service."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            return generate_latest(self.registry)
        for pid in _dead_workers(Path(folder)):
            # what they counted stays counted, what they were at is over
            multiprocess.mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
        whole = CollectorRegistry()
        multiprocess.MultiProcessCollector(whole, folder)  # type: ignore[no-untyped-call]
        return generate_latest(whole)


def _dead_workers(folder: Path) -> Iterator[int]:
    for path in folder.glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            yield pid


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Workers that are started meanwhile count together, in files that go when the service ends."""
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]


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
