"""A real service in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

SECRET = "secret-for-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``recsys serve`` on a free port, stopped by its own process id.

    Args:
        models: registry.
        store: path of the SQLite file.
        as_of: the service's clock.
        environment: more variables, such as keys.
        more: further arguments.
    """

    def __init__(
        self,
        models: Path,
        store: Path,
        as_of: datetime,
        *more: str,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.models, self.store, self.port = models, store, free_port()
        command = [
            "serve",
            "--models",
            str(models),
            "--store",
            f"sqlite:///{store}",
            "--port",
            str(self.port),
        ]
        self._command = [sys.executable, "-m", "training.cli", *command, "--as-of", as_of.isoformat(), *more]
        keys = {"RECSYS_SECRET_KEY": SECRET} if environment is None else environment
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")}
        self._environment = {**clean, **keys, "HF_HUB_OFFLINE": "1"}
        self.base = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start and wait until it is ready."""
        self.log = self.store.with_suffix(f".{time.monotonic_ns()}.log")
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stderr=out, stdout=out, start_new_session=True
            )
        self.http = httpx.Client(base_url=self.base, timeout=30)
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            try:
                if self.http.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError("not ready within 30 s")

    def kill(self) -> None:
        """End it at once, workers included, with no chance to finish anything."""
        self.http.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as an operator does."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def get(self, path: str, **params: Any) -> httpx.Response:
        """GET without a key."""
        return self.http.get(path, params=params)

    def secret(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A call with the secret key."""
        headers = {"X-API-Key": SECRET, **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """POST events; the answer's body."""
        answer = self.http.post("/v1/events", json=list(events))
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body


def ids(items: list[dict[str, Any]]) -> list[str]:
    """Article ids of a list."""
    return [item["article_id"] for item in items]
