"""Articles that are suddenly opened far more often than known lists explain."""

import logging

from recsys.config import TrustConfig
from serving.budgets import Tally
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")


class Bursts:
    """Watches openings that nobody vouches for, each article told once a window.

    Args:
        config: how many openings in which time are a burst.
        telemetry: for the metrics.
    """

    def __init__(self, config: TrustConfig, telemetry: Telemetry) -> None:
        self._config = config
        seconds = 60.0 * config.burst_minutes
        self._known, self._unknown, self._uncounted = Tally(seconds), Tally(seconds), Tally(seconds)
        self._told: set[str] = set()
        self._telemetry = telemetry

    def opened(self, article_id: str, vouched: bool, counted: bool, now: float) -> None:
        """Note an opening.

        Args:
            article_id: of what.
            vouched: whether it came from a list that was served to its reader, or from the site's server.
            counted: whether it counts.
            now: unix seconds.
        """
        tallies = (self._known, self._unknown, self._uncounted)
        turned = [tally.turn(now) for tally in tallies]
        if any(turned):
            self._told.clear()
            self._telemetry.bursts_present.set(0)
        key = hash(article_id)
        if vouched:
            self._known.add(key)
            return
        if not counted:
            self._uncounted.add(key)
        openings, known = self._unknown.add(key), self._known.of(key)
        if openings < max(self._config.burst_openings, self._config.burst_ratio * known):
            return
        if article_id not in self._told:
            self._told.add(article_id)
            self._telemetry.bursts.inc()
            self._telemetry.bursts_present.set(len(self._told))
            fields = {"unattributed": openings, "attributed": known, "uncounted": self._uncounted.of(key)}
            log.warning("event_burst", extra={"article_id": article_id, **fields})
