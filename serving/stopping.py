"""The beginning of a stop: not ready any more, yet everything is still answered for a moment."""

import asyncio
import logging
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.service import Service

log = logging.getLogger("recsys.serving")


def announce(service: "Service", drain_seconds: float) -> None:
    """From SIGTERM on ``/health/ready`` says 503; the server's own stop begins a moment later.

    A load balancer that looks in between sends no more requests, so none meets a closed door.

    Args:
        service: of this worker.
        drain_seconds: the moment.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    if not callable(stop):
        return

    def begin(number: int, frame: FrameType | None) -> None:
        # a signal may arrive between any two steps of the loop: only the loop touches the service
        loop.call_soon_threadsafe(_begin, number)

    def _begin(number: int) -> None:
        if not service.stopping:
            service.stopping = True
            log.info("stopping", extra={"drain_seconds": drain_seconds})
            loop.call_later(drain_seconds, stop, number, None)

    signal.signal(signal.SIGTERM, begin)
