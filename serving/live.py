"""The bundle in service, kept in step with the store and the registry."""

import asyncio
import ctypes
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.config import Config
from recsys.errors import BundleError, EmbedderError, RecsysError, StoreError
from recsys.experiments.running import Running
from recsys.exposed import Exposed
from recsys.lists_before import ListsBefore
from recsys.pipeline import Funnel
from recsys.rules_editor import EditorRules
from recsys.schemas import Event, Exposure
from recsys.snapshot import read_state
from recsys.store import Store
from serving import trial
from serving.asked_lately import SYNTHETIC, AskedLately
from serving.clock import Clock
from serving.ingest import Committed
from serving.lists_of_others import ListsOfOthers
from serving.newcomers import Newcomers
from serving.served import Served
from serving.telemetry import Telemetry
from serving.vectors import Vectors

log = logging.getLogger("recsys.serving")
_POLL_SECONDS = 0.25
_BEHIND_SECONDS = 5.0
_TAIL = 2_000
_LAST_STEP = 200


class Live:
    """What is served now: a bundle's snapshot plus the tail of the store.

    Args:
        registry: of the bundles.
        store: followed for events, articles and rules.
        vectors: embed what is new.
        clock: the service's.
        telemetry: of the service.
        config: serving overrides, None takes the bundle's configuration.

    Attributes:
        served: the bundle in service; a request takes it once and keeps it to its end.
        rules: the editors' rules in force.
        running: the experiments that run.
        beside: other bundles that sides of experiments are served from, by version.
        asked: what another bundle is tried with.
        followed: ``time.monotonic()`` of the last look at the store's events.
    """

    served: Served

    def __init__(
        self,
        registry: Registry,
        store: Store,
        vectors: Vectors,
        clock: Clock,
        telemetry: Telemetry,
        config: Config | None,
    ) -> None:
        self._registry, self._store, self._vectors = registry, store, vectors
        self._clock, self._telemetry, self._config = clock, telemetry, config
        self._lists_of_others = ListsOfOthers(store)
        self._newcomers = Newcomers(store, vectors, clock, telemetry)
        self.rules = EditorRules.of(*store.get_rules())
        self._runs_version, stored = store.get_runs()
        self.running = Running.of(stored)
        self.beside: dict[str, Served] = {}
        self.asked, self.followed = AskedLately(), time.monotonic()
        self._data_versions: dict[str, int] = {}
        self._swapping = asyncio.Lock()
        self._embedded = asyncio.Condition()
        self._refused: set[str] = set()
        self._refused_sides: set[str] = set()

    @property
    def all(self) -> list[Served]:
        """The bundle in service, and those beside it."""
        return [self.served, *self.beside.values()]

    def load(self) -> None:
        """Load the bundle in service, catch up with the store, warm up.

        Raises:
            BundleError, StoreError: with the reason; the process should end.
        """
        with _uncollected():
            self.served = self.open(self._registry.require_current())
            for version in self._versions_of_sides():
                self._open_beside(version)
        trial.require_good(self.served, SYNTHETIC, frozenset(), self._clock.now())

    def open(self, version: str) -> Served:
        """A verified bundle with everything that the store holds.

        Raises:
            BundleError, EmbedderError, StoreError: with the reason.
        """
        bundle = open_bundle(self._registry.path(version))
        state = read_state(bundle, self._config)
        served = Served(bundle, state, Funnel(state))
        self._vectors.prepare(served)
        event_seq = self._store.last_event_seq()
        self._newcomers.fill(served)
        self._replay(served, bundle, event_seq)
        served.event_seq = event_seq
        return served

    def _replay(self, served: Served, bundle: Bundle, upto: int) -> None:
        """The tail: events of the store after the bundle's watermark, those of ``upto`` and before."""
        watermark = bundle.manifest["watermark"]
        # microseconds are cut off by float arithmetic: step over the last event counted in the bundle
        since = None if watermark is None else datetime.fromtimestamp(watermark + 1e-6, UTC)
        lists = ListsBefore(served.state, self._store, since)
        part: list[Event] = []
        for event in self._store.iter_events(since, upto=upto):
            part.append(event)
            if len(part) >= _TAIL:
                lists.upto(part[-1].ts)
                served.state.apply_events(part, self._clock.now())
                part = []
        lists.upto(None)
        served.state.apply_events(part, self._clock.now())

    def on_commit(self, committed: Committed) -> None:
        """Count events that this process has just made durable."""
        if not committed:
            return
        for served in self.all:
            self._count(served, committed)

    def _count(self, served: Served, committed: Committed) -> None:
        expected = range(served.event_seq + 1, served.event_seq + 1 + len(committed))
        if [seq for seq, _ in committed] == list(expected):
            served.state.apply_events([event for _, event in committed], self._clock.now())
            served.event_seq = committed[-1][0]
        else:
            self.catch_up_events(served)

    def catch_up_events(self, served: Served) -> None:
        """Events that other processes committed too, and those of the time of a swap."""
        while rows := self._store.events_after(served.event_seq, _TAIL):
            served.state.apply_events([event for _, event in rows], self._clock.now())
            served.event_seq = rows[-1][0]

    async def take_articles(self, wanted: set[str]) -> None:
        """Let every list have what the store holds; ``wanted`` ids are embedded too unless that fails."""
        async with self._newcomers.lock:
            for served in self.all:
                await self._newcomers.catch_up(served)
        async with self._embedded:
            await self._embedded.wait_for(
                lambda: self._newcomers.is_failing or not wanted & self.served.waiting.keys()
            )

    def remember_list(self, shown: Exposed | Exposure) -> None:
        """Let every state know of a list that was served."""
        for served in self.all:
            served.state.remember_list(shown)

    def is_behind(self) -> bool:
        """Whether the store has not been read for so long that lists may lack what it holds."""
        return time.monotonic() - self.followed > _BEHIND_SECONDS

    async def follow(self) -> None:
        """Keep up with other processes, for as long as the service runs.

        Events, articles and bundles each at their own pace: embedding or loading holds up no event.
        """
        async with asyncio.TaskGroup() as group:
            steps = (self._follow_events, self._follow_articles, self._follow_pointer, self._follow_sides)
            for step in steps:
                group.create_task(self._again_and_again(step))

    async def _again_and_again(self, step: Callable[[], Awaitable[bool]]) -> None:
        while True:
            try:
                more = await step()
            except Exception as error:  # a worker that no longer follows would serve ever older lists
                if isinstance(error, StoreError):
                    self._telemetry.store_errors.labels("follow").inc()
                log.warning("follow_failed", extra={"step": step.__name__, "reason": repr(error)})
                more = False
            await asyncio.sleep(0.0 if more else _POLL_SECONDS)

    def _others_wrote(self, who: str) -> bool:
        version = self._store.data_version()
        changed = version != self._data_versions.get(who)
        self._data_versions[who] = version
        return changed

    async def _follow_events(self) -> bool:
        await self._lists_of_others.catch_up([served.state for served in self.all])
        if self._others_wrote("events"):
            for served in self.all:
                self.catch_up_events(served)
            self.rules = EditorRules.of(*self._store.get_rules())
            self.follow_runs()
        self.followed = time.monotonic()
        return False

    async def _follow_articles(self) -> bool:
        """Whether there is more to embed right now."""
        async with self._newcomers.lock:
            changed = self._others_wrote("articles")
            for served in self.all:
                if changed:
                    await self._newcomers.catch_up(served)
                await self._newcomers.embed_waiting(served)
            waiting = sum(len(served.waiting) for served in self.all)
        self._telemetry.articles_waiting.set(waiting)
        async with self._embedded:
            self._embedded.notify_all()
        return waiting > 0 and not self._newcomers.is_failing

    async def _follow_pointer(self) -> bool:
        current = self._registry.current()
        if current is None or current == self.served.version:
            self._refused.clear()
        elif current not in self._refused:
            # a pointer that somebody moved who could not try the bundle goes back if it fails
            self._refused.add(current)
            try:
                await self._swap(current)
            except RecsysError:
                await asyncio.to_thread(self._registry.withdraw, current, self.served.version)
        return False

    def follow_runs(self) -> None:
        """Have the experiments run that the store holds.

        Raises:
            StoreError: it cannot be read; those that ran go on.
        """
        version, stored = self._store.get_runs()
        if version == self._runs_version:
            return
        self.running, self._runs_version = Running.of(stored), version
        self._refused_sides.clear()
        for served in self.all:
            served.drop_sides()

    def _versions_of_sides(self) -> set[str]:
        return self.running.versions(self._clock.instant()) - {self.served.version}

    async def _follow_sides(self) -> bool:
        """Load bundles that sides of experiments are served from, and let go of others."""
        wanted = self._versions_of_sides()
        for version in self.beside.keys() - wanted:
            del self.beside[version]
            log.info("side_unloaded", extra={"version": version})
        self._refused_sides &= wanted
        for version in wanted - self.beside.keys() - self._refused_sides:
            await self._load_side(version)
        return False

    async def _load_side(self, version: str) -> None:
        try:
            served = await self._tried(version)
        except RecsysError as error:
            # its readers get the lists of everybody else and are not counted, until experiments change
            self._refused_sides.add(version)
            log.warning("side_refused", extra={"version": version, "reason": str(error)})
            return
        async with self._newcomers.lock:
            await self._newcomers.catch_up(served)
            self.catch_up_events(served)
            self.beside[version] = served
        log.info("side_loaded", extra={"version": version})

    def _open_beside(self, version: str) -> None:
        try:
            self.beside[version] = self.open(version)
        except RecsysError as error:
            self._refused_sides.add(version)
            log.warning("side_refused", extra={"version": version, "reason": str(error)})

    async def promote(self, version: str) -> None:
        """Put another bundle into service, and point to it once it has shown that it can answer.

        Raises:
            BundleError: it is not there, damaged, or failed its trial; nothing is changed.
        """
        await self._swap(version, lambda: self._registry.promote(version))

    async def rollback(self) -> None:
        """Return to the bundle that was in service before.

        Raises:
            BundleError: there is none, it is damaged, or failed its trial; nothing is changed.
        """
        await self._swap(self._registry.previous(), self._registry.rollback)

    async def _swap(self, version: str, point: Callable[[], object] | None = None) -> None:
        """Put another bundle into service; requests under way keep the old one.

        Args:
            version: of the new one.
            point: moves the registry's pointer once the bundle was tried.
        """
        async with self._swapping:
            if version == self.served.version:
                if point is not None:
                    await asyncio.to_thread(point)
                return
            try:
                served = await self._tried(version)
                if point is not None:
                    await asyncio.to_thread(point)
            except RecsysError as error:
                self._telemetry.swaps.labels("refused").inc()
                log.warning("swap_refused", extra={"version": version, "reason": str(error)})
                raise
            await self._exchange(served)
            self._telemetry.swaps.labels("done").inc()
            log.info("swapped", extra={"version": version})
        await asyncio.to_thread(_return_memory)

    async def _tried(self, version: str) -> Served:
        full = set()
        for name in trial.LISTS:
            if trial.is_full(self.served, name, self._clock.now()):
                full.add(name)
            await asyncio.sleep(0)
        return await asyncio.to_thread(self._load_and_try, version, frozenset(full))

    def _load_and_try(self, version: str, full: frozenset[str]) -> Served:
        with _uncollected():
            try:
                served = self.open(version)
            except (BundleError, StoreError):
                raise
            except EmbedderError as error:
                raise BundleError(str(error)) from error
            except Exception as error:  # arrays that do not fit together fail in many ways
                raise BundleError(
                    f"bundle {version} cannot be loaded: {error!r}; the one in service stays; train again"
                ) from error
            now = self._clock.now()
            trial.require_articles(served, now)
            trial.require_good(served, self.asked.kept(), full, now)
            # what was committed while it was loaded
            while self._store.last_event_seq() - served.event_seq > _LAST_STEP:
                self.catch_up_events(served)
        return served

    async def _exchange(self, served: Served) -> None:
        async with self._newcomers.lock:
            await self._newcomers.catch_up(served)
            # no await between catching up and the exchange: nothing can be counted in one of them only
            self.catch_up_events(served)
            self.served = served
        async with self._embedded:
            self._embedded.notify_all()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cyclic garbage while a bundle is loaded, and never again through what it holds.

    The search visits every object and stops all threads; at 43,000 articles it took 50 ms.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def _return_memory() -> None:
    """Give pages that the old bundle used back to the system, where the C library can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
