"""Served lists on their way to the store: queued by requests, written once a second, bounded."""

import logging
from collections.abc import Sequence

from recsys.errors import StoreError
from recsys.schemas import Exposure
from recsys.store import Store
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")
_MAX_WAITING = 20_000


class ExposureLog:
    """A queue of served lists.

    Args:
        store: where they are kept.
        telemetry: counts what is lost.
    """

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store, self._telemetry = store, telemetry
        self._waiting: list[Exposure] = []

    def take(self, exposures: Sequence[Exposure]) -> None:
        """Queue served lists; never waits, losses are counted."""
        if len(self._waiting) + len(exposures) > _MAX_WAITING:
            self._telemetry.lost_exposures.inc(len(exposures))
            return
        self._waiting.extend(exposures)

    def forget(self, user_id: str) -> None:
        """Drop what waits of a user."""
        self._waiting = [exposure for exposure in self._waiting if exposure.user_id != user_id]

    def write(self) -> None:
        """Write what waits."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            self._store.append_exposures(batch)
        except StoreError as error:
            self._telemetry.lost_exposures.inc(len(batch))
            log.warning("exposures_lost", extra={"count": len(batch), "reason": str(error)})
