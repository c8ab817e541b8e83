"""The one clock of a service; ``--as-of`` sets it for old logs and demos."""

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970, running from a set time or from the machine's.

    Args:
        as_of: time at which the clock starts; None takes the machine's clock.
    """

    def __init__(self, as_of: datetime | None = None) -> None:
        self._offset = 0.0 if as_of is None else as_of.timestamp() - time.time()

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self._offset

    def instant(self) -> datetime:
        """Aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def latest_allowed(self, tolerance: float) -> float:
        """Event times up to here are taken: a client's clock follows this clock or the machine's."""
        return max(self.now(), time.time()) + tolerance
