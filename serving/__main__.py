"""Start the service: ``recsys serve`` comes here."""

import logging
import os
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI

from recsys.bundle import Registry
from recsys.config import build_config
from recsys.schemas import parse_time
from recsys.store import open_store
from serving.app import create_app
from serving.settings import Settings, with_keys
from serving.telemetry import shared_by_workers

_HANDED_DOWN = "RECSYS_WORKER_SETTINGS"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event and its fields."""

    _plain = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        fields = {key: value for key, value in vars(record).items() if key not in self._plain}
        base = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        return orjson.dumps({**base, **fields}, default=str).decode()


def set_up_logs() -> None:
    """Logs of the service to standard error, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger("recsys")
    root.handlers, root.propagate = [handler], False
    root.setLevel(logging.INFO)


def serve(settings: Settings, workers: int = 1) -> None:
    """Run until stopped.

    Args:
        settings: of every worker.
        workers: processes; each has the whole state and follows the store, so every worker sees every
            event, article and rule within a second.

    Raises:
        UsageError: bound to other than loopback without keys.
        BundleError: no bundle in service.
        StoreError: the store cannot be opened.
    """
    registry = Registry(settings.models)
    registry.require_current()
    open_store(settings.store).close()
    settings = replace(
        settings,
        public_key=settings.public_key or os.environ.get("RECSYS_PUBLIC_KEY") or None,
        secret_key=settings.secret_key or os.environ.get("RECSYS_SECRET_KEY") or None,
        workers=workers,
    )
    settings, key_file = with_keys(settings)
    if key_file is not None:
        print(f"secret key: {key_file}", file=sys.stderr)
    if workers == 1:
        set_up_logs()
        uvicorn.run(create_app(settings), **_listening(settings))
        return
    os.environ[_HANDED_DOWN] = _to_json(settings)
    with shared_by_workers():
        uvicorn.run("serving.__main__:worker_app", factory=True, workers=workers, **_listening(settings))


def _listening(settings: Settings) -> dict[str, Any]:
    # X-Forwarded-For is believed by serving.addresses alone, from the proxies that the configuration names
    quiet = {"access_log": False, "log_level": "warning", "proxy_headers": False}
    return {"host": settings.host, "port": settings.port, **quiet}


def _to_json(settings: Settings) -> str:
    values = {**vars(settings), "models": str(settings.models), "started": time.time()}
    if settings.config is not None:
        values["config"] = settings.config.model_dump(mode="json")
    return orjson.dumps(values).decode()


def worker_app() -> FastAPI:
    """The application of one of several workers; its settings come from the parent process.

    A worker that is started again later takes its place on the same clock.
    """
    values = orjson.loads(os.environ[_HANDED_DOWN])
    running = time.time() - values.pop("started")
    values["models"] = Path(values["models"])
    if values["config"] is not None:
        values["config"] = build_config(values["config"], "the parent process")
    if values["as_of"] is not None:
        values["as_of"] = parse_time(values["as_of"]) + timedelta(seconds=running)
    set_up_logs()
    return create_app(Settings(**values))
