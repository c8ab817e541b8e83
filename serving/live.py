"""The bundle in service, kept in step with the store and the registry."""

import asyncio
import logging
from datetime import UTC, datetime

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.config import Config
from recsys.errors import RecsysError
from recsys.pipeline import Funnel, Query
from recsys.rules_editor import EditorRules
from recsys.schemas import Event
from recsys.snapshot import read_state
from recsys.state import State
from recsys.store import Store
from serving.clock import Clock
from serving.ingest import Committed
from serving.served import Served
from serving.vectors import Vectors

log = logging.getLogger("recsys.serving")
_POLL_SECONDS = 0.25
_TAIL = 20_000
_WARM = ("related", "popular", "latest", "must_reads")


class Live:
    """What is served now: a bundle's snapshot plus the tail of the store.

    Args:
        registry: of the bundles.
        store: followed for events, articles and rules.
        vectors: embed what is new.
        clock: the service's.
        config: serving overrides, None takes the bundle's configuration.

    Attributes:
        served: the bundle in service; a request takes it once and keeps it to its end.
        rules: the editors' rules in force.
    """

    served: Served

    def __init__(
        self, registry: Registry, store: Store, vectors: Vectors, clock: Clock, config: Config | None
    ) -> None:
        self._registry, self._store, self._vectors = registry, store, vectors
        self._clock, self._config = clock, config
        self.rules = EditorRules.of(*store.get_rules())
        self._data_version = -1
        self._swapping = asyncio.Lock()

    def load(self) -> None:
        """Load the bundle in service, catch up with the store, warm up.

        Raises:
            BundleError, StoreError: with the reason; the process should end.
        """
        self.served = self._load(self._registry.require_current())
        self._warm_up(self.served)

    def _load(self, version: str) -> Served:
        bundle = open_bundle(self._registry.path(version))
        state = read_state(bundle, self._config)
        self._vectors.use(bundle.manifest["embedder"]["model_id"])
        event_seq = self._store.last_event_seq()
        article_seq = self._apply_articles(state, 0)
        self._replay(state, bundle, event_seq)
        return Served(bundle, state, Funnel(state), event_seq, article_seq)

    def _replay(self, state: State, bundle: Bundle, upto: int) -> None:
        """The tail: events of the store after the bundle's watermark, those of ``upto`` and before."""
        watermark = bundle.manifest["watermark"]
        # microseconds are cut off by float arithmetic: step over the last event counted in the bundle
        since = None if watermark is None else datetime.fromtimestamp(watermark + 1e-6, UTC)
        part: list[Event] = []
        for event in self._store.iter_events(since, upto=upto):
            part.append(event)
            if len(part) >= _TAIL:
                state.apply_events(part, self._clock.now())
                part = []
        state.apply_events(part, self._clock.now())

    def _apply_articles(self, state: State, after: int) -> int:
        """Changed articles of the store into a state; gives the new sequence number."""
        while changes := self._store.articles_after(after):
            articles = [article for _, _, article in changes if article is not None]
            vectors = self._vectors.of(articles, state)
            for seq, article_id, article in changes:
                if article is None:
                    state.remove_article(article_id)
                else:
                    state.apply_article(article, vectors.get(article.article_id))
                after = seq
        return after

    def _warm_up(self, served: Served) -> None:
        newest = served.state.catalog.newest()
        context = int(newest[0]) if len(newest) else None
        served.funnel.page(_WARM, Query(now=self._clock.now(), context=context))

    def on_commit(self, committed: Committed) -> None:
        """Count events that this process has just made durable."""
        if not committed:
            return
        served = self.served
        expected = range(served.event_seq + 1, served.event_seq + 1 + len(committed))
        if [seq for seq, _ in committed] == list(expected):
            served.state.apply_events([event for _, event in committed], self._clock.now())
            served.event_seq = committed[-1][0]
        else:
            self.catch_up_events(served)

    def catch_up_events(self, served: Served) -> None:
        """Events that other processes committed too, and those of the time of a swap."""
        while rows := self._store.events_after(served.event_seq):
            served.state.apply_events([event for _, event in rows], self._clock.now())
            served.event_seq = rows[-1][0]

    def catch_up_articles(self, served: Served) -> None:
        """Articles that other processes changed, and those of the time of a swap."""
        served.article_seq = self._apply_articles(served.state, served.article_seq)

    async def follow(self) -> None:
        """Keep up with other processes, for as long as the service runs."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self._look()
            except RecsysError as error:
                log.warning("follow_failed", extra={"reason": str(error)})

    async def _look(self) -> None:
        version = self._store.data_version()
        if version != self._data_version:
            self._data_version = version
            self.catch_up_events(self.served)
            self.catch_up_articles(self.served)
            self.rules = EditorRules.of(*self._store.get_rules())
        current = self._registry.current()
        if current is not None and current != self.served.version:
            await self.swap(current)

    async def swap(self, version: str) -> None:
        """Put another bundle into service; requests under way keep the old one.

        Raises:
            BundleError: it is damaged or not there; the old one stays.
        """
        async with self._swapping:
            if version == self.served.version:
                return
            served = await asyncio.to_thread(self._load, version)
            self._warm_up(served)
            # no await between catching up and the exchange: nothing can be committed to one of them only
            self.catch_up_events(served)
            self.catch_up_articles(served)
            self.served = served
            log.info("swapped", extra={"version": version})
