"""The real application called without a server: what is left is uvicorn's and the network's."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from serving.app import create_app
from serving.pace import StageCosts
from serving.settings import Settings
from tests.benchmarks.worlds import NOW


class Recorder(StageCosts):
    """Keeps every time of a stage since the last ``taken``."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tuple[str, float]] = []

    def took(self, stage: str, seconds: float) -> None:
        """See ``StageCosts``."""
        super().took(stage, seconds)
        self._kept.append((stage, seconds))

    def taken(self) -> list[tuple[str, float]]:
        """What was kept, and begin anew."""
        kept, self._kept = self._kept, []
        return kept


class InProcess:
    """The application and an event loop of its own.

    Attributes:
        service: behind the application.
        costs: the times of its stages.
        cpu: processor seconds of this thread for the latest request.
    """

    cpu = 0.0

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self.loop = app, loop
        self.service = app.state.service
        self.costs = self.service.costs = Recorder()

    def ask(self, path: str) -> float:
        """Seconds that the application took for a GET."""
        raw, _, query = path.partition("?")
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": raw, "raw_path": raw.encode(),
            "query_string": query.encode(), "headers": [(b"host", b"x")], "scheme": "http", "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "app": self._app,
        }  # fmt: skip
        return self.loop.run_until_complete(self._ask(scope))

    async def _ask(self, scope: dict[str, Any]) -> float:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                raise RuntimeError(f"{scope['path']} answered {message['status']}")

        started, before = time.perf_counter(), time.thread_time()
        await self._app(scope, receive, send)
        self.cpu = time.thread_time() - before
        return time.perf_counter() - started

    def forget(self) -> None:
        """Empty what is kept of answers and rankings, so that the next request makes its list."""
        layer = self._app.middleware_stack
        while layer is not None:
            cache = getattr(layer, "_cache", None)
            if cache is not None:
                cache.__init__(self.service.freshness, self.service.telemetry)
            layer = getattr(layer, "app", None) or getattr(layer, "_app", None)
        self.service.served.funnel._memo = None


@contextmanager
def running(
    models: Path, store: Path, change: Callable[[Settings], Settings] = lambda s: s
) -> Iterator[InProcess]:
    """The application with its bundle loaded and ready."""
    settings = Settings(models, f"sqlite:///{store}", as_of=NOW, secret_key="secret-for-benchmarks")
    app = create_app(change(replace(settings)))
    loop = asyncio.new_event_loop()
    service = app.state.service
    loop.run_until_complete(service.start())
    try:
        yield InProcess(app, loop)
    finally:
        loop.run_until_complete(service.stop())
        loop.close()
