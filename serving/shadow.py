"""A bundle that is tried on live requests and never shown: ``python -m serving.shadow``.

It follows the store's served lists after they were answered, in a process of its own. For each list it
counts the events that the serving worker had counted, and none after: no click explains itself.
"""

import math
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson

from recsys.bundle import Registry
from recsys.config import build_config
from recsys.errors import RecsysError
from recsys.exposed import Exposed
from recsys.pipeline import Query
from recsys.profile import reader_key
from recsys.shadowed import SUFFIX, Shadowed, folder_of
from recsys.store import Store, open_store
from serving.clock import Clock
from serving.feature_log import is_sampled
from serving.live import Live
from serving.newcomers import Newcomers
from serving.served import Served
from serving.telemetry import Telemetry
from serving.vectors import Vectors
from serving.watch import CONFIG

_PAUSE = 0.5
_AT_ONCE = 1_000


class Shadow:
    """One bundle in the shadow.

    Args:
        store: of the service; its served lists, events and articles are followed.
        served: the loaded bundle.
        newcomers: bring it new articles.
        folder: of the segments.
        share: of the lists that are scored, chosen by the request's id.
        most_mb: megabytes of segments that are kept.
    """

    def __init__(
        self, store: Store, served: Served, newcomers: Newcomers, folder: Path, share: float, most_mb: int
    ) -> None:
        self._store, self._served, self._newcomers = store, served, newcomers
        self._folder, self._share, self._most = folder, share, most_mb * 1_000_000
        self._cursor: str | None = store.exposures_end()
        folder.mkdir(parents=True, exist_ok=True)

    def step(self, clock: Clock) -> int:
        """Score what was served since the last step; how many lists."""
        self._newcomers.fill(self._served)
        shown, self._cursor = self._store.exposures_after(self._cursor, _AT_ONCE)
        chosen = [each for each in shown if each.known and is_sampled(each.request_id, self._share)]
        chosen.sort(key=lambda each: each.known or ())
        lines = []
        for each in chosen:
            self._follow(each.known.event_seq if each.known else 0, clock.now())
            lines.append(self._scored(each).line())
        if not chosen and shown:
            self._follow(max((each.known.event_seq for each in shown if each.known), default=0), clock.now())
        if lines:
            self._write(lines, clock)
        return len(lines)

    def _follow(self, upto: int, now: float) -> None:
        while self._served.event_seq < upto:
            rows = self._store.events_after(self._served.event_seq, _AT_ONCE)
            wanted = [(seq, event) for seq, event in rows if seq <= upto]
            self._served.state.apply_events([event for _, event in wanted], now)
            self._served.event_seq = wanted[-1][0] if len(wanted) == len(rows) and rows else upto

    def _scored(self, shown: Exposed) -> Shadowed:
        catalog = self._served.state.catalog
        context, (kind, name) = shown.context_article_id, shown.reader
        query = Query(
            now=shown.ts,
            context=None if context is None else catalog.row(context),
            reader=self._served.state.histories.of(reader_key(f"{kind[0]}:{name}")),
        )
        found = [catalog.row(article_id) for article_id in shown.article_ids]
        rows = np.array([row for row in found if row is not None], dtype=np.int32)
        scored = dict(zip(rows.tolist(), self._served.funnel.score(shown.surface, query, rows), strict=True))
        scores = [math.nan if row is None else float(scored[row]) for row in found]
        return Shadowed(
            request_id=shown.request_id,
            surface=shown.surface,
            at=shown.ts,
            shadow=self._served.version,
            in_service=shown.model_version,
            article_ids=tuple(shown.article_ids),
            scores=tuple(None if math.isnan(score) else score for score in scores),
            shown_scores=tuple(shown.scores),
        )

    def _write(self, lines: Sequence[bytes], clock: Clock) -> None:
        hour = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y%m%dT%H")
        path = self._folder / f"{hour}-{os.getpid()}{SUFFIX}"
        fresh = not path.exists()
        with path.open("ab") as out:
            out.write(b"".join(lines))
        kept = 0
        for old in sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True) if fresh else ():
            kept += old.stat().st_size
            if kept > self._most:
                old.unlink(missing_ok=True)


def main(arguments: list[str]) -> None:
    """Score until the version is no longer marked or the service is gone.

    Args:
        arguments: registry folder, store URL, version, time, share, megabytes.
    """
    models, url, version, now, share, most_mb = arguments
    os.nice(15)
    parent, folder, registry = os.getppid(), folder_of(url), Registry(Path(models))
    if folder is None:
        return
    told = os.environ.get(CONFIG)
    config = None if told is None else build_config(orjson.loads(told), "the service")
    store, clock, telemetry = open_store(url, create=False), Clock(_when(now)), Telemetry()
    vectors = Vectors(registry.folder / "embedders", store)
    served = Live(registry, store, vectors, clock, telemetry, config).open(version)
    newcomers = Newcomers(store, vectors, clock, telemetry)
    shadow = Shadow(store, served, newcomers, folder, float(share), int(most_mb))
    while registry.shadow() == version and os.getppid() == parent:
        if not shadow.step(clock):
            time.sleep(_PAUSE)


def _when(now: str) -> datetime:
    return datetime.fromtimestamp(float(now), UTC)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (RecsysError, OSError) as error:
        sys.exit(f"shadow failed: {error}")
