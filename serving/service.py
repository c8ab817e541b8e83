"""The whole of one worker: what the routes talk to, started and stopped in order."""

import asyncio
import contextlib
import logging
from datetime import timedelta

from recsys.bundle import Registry
from recsys.errors import StoreError
from recsys.profile import reader_key
from recsys.store import Store, open_store
from serving import gauges, stopping
from serving.clock import Clock
from serving.desk import Desk
from serving.exposure_log import ExposureLog
from serving.feature_log import FeatureLog, folder_of
from serving.freshness import Freshness, RankingMemo
from serving.ingest import GroupCommitter
from serving.live import Live
from serving.pace import StageCosts
from serving.served import Served
from serving.settings import Settings
from serving.telemetry import Telemetry
from serving.trust import Trust
from serving.urgent import Urgent
from serving.vectors import Vectors
from serving.watch import Watch

log = logging.getLogger("recsys.serving")
_AGE_SECONDS = 3600.0


class Service:
    """One worker.

    Args:
        settings: start-up settings.

    Attributes:
        ready: whether requests are answered.
        stopping: whether the stop has begun; requests are answered to its end.
    """

    committer: GroupCommitter
    trust: Trust

    def __init__(self, settings: Settings) -> None:
        self.settings, self.keys = settings, settings.auth
        self.clock, self.telemetry = Clock(settings.as_of), Telemetry()
        self.registry = Registry(settings.models)
        self.store: Store = open_store(settings.store)
        vectors = Vectors(settings.models / "embedders", self.store)
        self.live = Live(self.registry, self.store, vectors, self.clock, self.telemetry, settings.config)
        self.urgent = Urgent(self.store, self.live)
        self.desk = Desk(self.store, self.live, self.clock)
        self.exposures = ExposureLog(self.store, self.telemetry, self.live.remember_list)
        self.features = FeatureLog(folder_of(settings.store), self.telemetry)
        self.freshness, self.costs = Freshness(self.clock), StageCosts()
        self.ready, self.stopping = False, False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def served(self) -> Served:
        """The bundle in service; a request takes it once and keeps it to its end."""
        return self.live.served

    def current(self, served: Served | None = None) -> Served:
        """``served`` for a request for lists, whose rankings are kept from one request to the next.

        Args:
            served: a side of an experiment; None takes the bundle in service.
        """
        served = self.live.served if served is None else served
        if served.memo is None:
            served.memo = RankingMemo(self.freshness, served)
            served.funnel.remember(served.memo)
        served.memo.given.clear()
        return served

    @property
    def takes_more(self) -> bool:
        """Whether a load balancer should send requests here."""
        return self.ready and not self.stopping

    def load(self) -> None:
        """Load the bundle in service, catch up with the store, warm up.

        Raises:
            BundleError, StoreError: with the reason; the process should end.
        """
        self.live.load()
        config = self.settings.config or self.served.state.config
        self.trust = Trust(
            config.trust,
            self.served.state.config.popularity.distinct_window_hours,
            self.keys,
            self.telemetry,
            self.settings.workers,
        )

    async def start(self) -> None:
        """Take requests: commit events, follow the store, log exposures."""
        self.committer = GroupCommitter(self.store, self.live.on_commit)
        for served in self.live.all:
            self.live.catch_up_events(served)
        watch = Watch(self.settings, self.registry, self.clock, self.telemetry, lambda: self.live.running)
        work = (
            self.live.follow(),
            self._write_logs(),
            self._age_events(),
            watch.follow(lambda: self.served),
            gauges.keep(self),
        )
        self._tasks = [asyncio.create_task(each) for each in work]
        stopping.announce(self, self.settings.drain_seconds)
        self.ready = True
        log.info("ready", extra={"version": self.served.version, "articles": len(self.served.state.catalog)})

    async def stop(self) -> None:
        """Finish what is queued."""
        self.ready, self.stopping = False, True
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if hasattr(self, "committer"):
            await self.committer.close()
        await asyncio.to_thread(self._write)
        self.store.close()

    async def forget(self, user_id: str) -> int:
        """Erase a user from the store and the live state."""
        self.exposures.forget(user_id)
        for served in self.live.all:
            served.state.histories.forget(reader_key(f"u:{user_id}"))
        return sum(await asyncio.to_thread(self.store.forget, user_id))

    async def _age_events(self) -> None:
        """Of several workers and services on one store, one at a time finds something to do."""
        while True:
            await asyncio.sleep(_AGE_SECONDS)
            before = self.clock.instant() - timedelta(days=self.served.state.config.serving.event_days)
            try:
                moved = await asyncio.to_thread(self.store.age_events, before)
            except StoreError as error:
                log.warning("events_not_moved", extra={"reason": str(error)})
                continue
            if moved:
                log.info("events_moved", extra={"count": moved})

    async def _write_logs(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        self.features.write(self.clock.now())
        self.exposures.write(self.served.state.config.serving)
