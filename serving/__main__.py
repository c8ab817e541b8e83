"""Start the service: ``recsys serve`` comes here."""

import logging
import os
import sys
from dataclasses import replace

import orjson
import uvicorn

from recsys.bundle import Registry
from recsys.store import open_store
from serving.app import create_app
from serving.settings import Settings, with_keys


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
    )
    settings, key_file = with_keys(settings)
    if key_file is not None:
        print(f"secret key: {key_file}", file=sys.stderr)
    set_up_logs()
    uvicorn.run(
        create_app(settings), host=settings.host, port=settings.port, access_log=False, log_level="warning"
    )
