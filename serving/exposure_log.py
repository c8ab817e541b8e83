"""Served lists on their way to the store: queued by requests, written once a second, bounded."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from recsys.config import ServingConfig
from recsys.errors import StoreError
from recsys.exposed import Exposed, seconds_of
from recsys.schemas import Exposure
from recsys.store import Store
from serving.feature_log import is_sampled
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")
_MAX_WAITING = 20_000
_TRIM_SECONDS = 3600.0
_AT_ONCE = 16


class ExposureLog:
    """A queue of served lists.

    Args:
        store: where they are kept.
        telemetry: counts what is lost and what is dropped.
        told: of every list at once, for the clicks in it.
    """

    def __init__(
        self,
        store: Store,
        telemetry: Telemetry,
        told: Callable[[Exposed | Exposure], None] = lambda _: None,
    ) -> None:
        self._told = told
        self._store, self._telemetry = store, telemetry
        self._waiting: list[Exposed | Exposure] = []
        self._trimmed = float("-inf")

    @property
    def waiting(self) -> int:
        """Lists that are not yet written."""
        return len(self._waiting)

    def take(self, exposures: Sequence[Exposed | Exposure]) -> None:
        """Queue served lists; never waits, losses are counted."""
        for shown in exposures:
            self._told(shown)
        if len(self._waiting) + len(exposures) > _MAX_WAITING:
            self._telemetry.lost_exposures.inc(len(exposures))
            return
        self._waiting.extend(exposures)

    def forget(self, user_id: str) -> None:
        """Drop what waits of a user."""
        self._waiting = [each for each in self._waiting if _user_of(each) != user_id]

    def write(self, config: ServingConfig) -> None:
        """Write what waits, and drop what is too old or too much at most once an hour.

        Args:
            config: share, days and megabytes that are kept.
        """
        batch, self._waiting = self._waiting, []
        if config.log_exposures_share < 1.0:
            share = config.log_exposures_share
            # a report needs every list of an experiment
            batch = [each for each in batch if each.experiment_id or is_sampled(each.request_id, share)]
        if not batch:
            return
        try:
            self._store.append_exposures(_yielding(batch))
            self._trim(seconds_of(batch[-1]), config)
        except StoreError as error:
            self._telemetry.lost_exposures.inc(len(batch))
            log.warning("exposures_lost", extra={"count": len(batch), "reason": str(error)})

    def _trim(self, now: float, config: ServingConfig) -> None:
        running = time.monotonic()
        if running < self._trimmed + _TRIM_SECONDS:
            return
        self._trimmed = running
        since = datetime.fromtimestamp(now, UTC) - timedelta(days=config.exposure_log_days)
        dropped = self._store.trim_exposures(since, config.exposure_log_mb * 1_000_000)
        if dropped:
            self._telemetry.dropped_exposures.inc(dropped)
            log.info("exposures_dropped", extra={"count": dropped})


def _yielding(batch: Sequence[Exposed | Exposure]) -> Iterator[Exposed | Exposure]:
    """Lets requests run in between: encoding a whole second at once would keep the interpreter from them."""
    for at, each in enumerate(batch):
        if at % _AT_ONCE == 0:
            time.sleep(0)
        yield each


def _user_of(shown: Exposed | Exposure) -> str | None:
    if isinstance(shown, Exposure):
        return shown.user_id
    kind, name = shown.reader
    return name if kind == "user_id" else None
