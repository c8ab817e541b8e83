"""Writes what a share of the personal lists were ranked by, off the request path and bounded.

Segments (``recsys/segments.py``) lie beside the store's file; the oldest go when they grow too many.
A test recomputes them from the store and the bundle, so that training and serving agree.
"""

import hashlib
import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recsys.features import Seen
from recsys.logged import LoggedList
from recsys.segments import Segments
from serving.served import Served
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")
_MAX_WAITING = 1_000


def folder_of(store_url: str) -> Path | None:
    """Where the feature log of a store lies; None where the store is no file."""
    scheme, _, path = store_url.partition(":///")
    return Path(f"{path}.features") if scheme == "sqlite" and path else None


def writer_name() -> str:
    """Tells this process's segments from those of others; a number of a process comes again."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


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
        self._segments = None if folder is None else Segments(folder, writer_name())
        self._telemetry = telemetry
        self._waiting: list[tuple[Served, str, float, tuple[int, int], str | None, Seen]] = []

    def wants(self, request_id: str, served: Served) -> bool:
        """Whether the features of this request shall be taken down."""
        return self._segments is not None and is_sampled(
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
        if not batch or self._segments is None:
            return
        limit = batch[-1][0].state.config.serving.feature_log_mb * 1_000_000
        try:
            begun = self._segments.append((now, _logged(*each).line()) for each in batch)
            if begun:
                self._segments.drop(limit)
        except OSError as error:
            self._telemetry.lost_features.inc(len(batch))
            log.warning("features_lost", extra={"count": len(batch), "reason": str(error)})


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
