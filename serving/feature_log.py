"""Writes what a share of the personal lists were ranked by, off the request path and bounded.

Segments of an hour and a process lie beside the store's file; the oldest go when they grow too
many. A test recomputes them from the store and the bundle, so that training and serving agree.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recsys.features import Seen
from recsys.logged import SUFFIX, LoggedList, packed
from serving.served import Served
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")
_MAX_WAITING = 1_000


def folder_of(store_url: str) -> Path | None:
    """Where the feature log of a store lies; None where the store is no file."""
    scheme, _, path = store_url.partition(":///")
    return Path(f"{path}.features") if scheme == "sqlite" and path else None


def is_sampled(request_id: str, share: float) -> bool:
    """Whether a request is among the share that is logged; it follows from its id alone."""
    number = int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest(), "big")
    return number < share * 2.0**64


class FeatureLog:
    """A queue of lists and the segments they are written to.

    Args:
        folder: of the segments, made when there is something to write; None logs nothing.
        telemetry: counts what is lost.
    """

    def __init__(self, folder: Path | None, telemetry: Telemetry) -> None:
        self._folder, self._telemetry = folder, telemetry
        self._waiting: list[tuple[Served, str, float, tuple[int, int], str | None, Seen]] = []

    def wants(self, request_id: str, served: Served) -> bool:
        """Whether the features of this request shall be taken down."""
        return self._folder is not None and is_sampled(
            request_id, served.state.config.serving.log_features_share
        )

    def take(
        self, served: Served, request_id: str, at: float, context_id: str | None, seen: Sequence[Seen]
    ) -> None:
        """Queue what the lists of one request were ranked by; never waits, losses are counted.

        Args:
            served: the bundle and state that ranked, not changed since.
            request_id: of the exposures.
            at: unix seconds of the request.
            context_id: article being read.
            seen: as the funnel gave it; the last of a surface is what its list was ranked by.
        """
        last = {each.surface: each for each in seen}
        if len(self._waiting) + len(last) > _MAX_WAITING:
            self._telemetry.lost_features.inc(len(last))
            return
        known = (served.event_seq, served.article_seq)
        self._waiting += [(served, request_id, at, known, context_id, each) for each in last.values()]

    def write(self, now: float) -> None:
        """Append what is queued to the segment of the hour."""
        batch, self._waiting = self._waiting, []
        if not batch or self._folder is None:
            return
        lists = [_logged(*each) for each in batch]
        hour = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H")
        path = self._folder / f"{hour}-{os.getpid()}{SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists()
            with path.open("ab") as out:
                out.write(packed(lists))
            if fresh:
                self._drop_oldest(batch[-1][0].state.config.serving.feature_log_mb * 1_000_000)
        except OSError as error:
            self._telemetry.lost_features.inc(len(batch))
            log.warning("features_lost", extra={"count": len(batch), "reason": str(error)})

    def _drop_oldest(self, limit: int) -> None:
        """Keep the newest segments of at most ``limit`` bytes; looked at whenever one begins."""
        assert self._folder is not None
        kept = 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True):
            kept += path.stat().st_size
            if kept > limit:
                path.unlink(missing_ok=True)


def _logged(
    served: Served, request_id: str, at: float, known: tuple[int, int], context_id: str | None, seen: Seen
) -> LoggedList:
    ids = served.state.catalog.ids
    return LoggedList(
        request_id=request_id,
        surface=seen.surface,
        at=at,
        count_at=seen.count_at,
        model_version=served.version,
        event_seq=known[0],
        article_seq=known[1],
        context_article_id=context_id,
        features=seen.names,
        article_ids=tuple(ids[row] for row in seen.rows.tolist()),
        values=seen.matrix.astype(np.float32),
    )
