"""The live whole: bundle in service, store, counters, and what keeps them in step."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.embedder import OnnxEmbedder, embedding_text, text_digest
from recsys.errors import RecsysError, StoreError
from recsys.pipeline import Funnel
from recsys.profile import reader_key
from recsys.rules_editor import EditorRules
from recsys.schemas import Article, Event, Exposure
from recsys.snapshot import find_article, read_state
from recsys.state import State
from recsys.store import Store, open_store
from serving.clock import Clock
from serving.feature_log import FeatureLog, folder_of
from serving.ingest import Committed, GroupCommitter
from serving.served import Served
from serving.settings import Settings
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")
_POLL_SECONDS = 0.25
_TAIL = 20_000
_MAX_EXPOSURES = 20_000


class Service:
    """What the routes talk to.

    Args:
        settings: start-up settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.keys = settings, settings.auth
        self.clock, self.telemetry = Clock(settings.as_of), Telemetry()
        self.registry = Registry(settings.models)
        self.store: Store = open_store(settings.store)
        self.served: Served
        self.committer: GroupCommitter
        self.embedder: OnnxEmbedder | None = None
        self.features = FeatureLog(folder_of(settings.store), self.telemetry)
        self.rules = EditorRules.of(*self.store.get_rules())
        self.ready = False
        self._data_version = -1
        self._exposures: list[Exposure] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._swapping = asyncio.Lock()

    def load(self) -> None:
        """Load the bundle in service, catch up with the store, warm up.

        Raises:
            BundleError, StoreError: with the reason; the process should end.
        """
        self.served = self._load(self.registry.require_current())
        self._warm_up(self.served)

    async def start(self) -> None:
        """Take requests: commit events, follow the store, log exposures."""
        self.committer = GroupCommitter(self.store, self._on_commit)
        self._catch_up_events(self.served)
        self._tasks = [
            asyncio.create_task(self._follow_store()),
            asyncio.create_task(self._flush_exposures()),
        ]
        self.ready = True
        log.info("ready", extra={"version": self.served.version, "articles": len(self.served.state.catalog)})

    async def stop(self) -> None:
        """Finish what is queued."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if hasattr(self, "committer"):
            await self.committer.close()
        await asyncio.to_thread(self._write_exposures)
        self.store.close()

    def _load(self, version: str) -> Served:
        bundle = open_bundle(self.registry.path(version))
        state = read_state(bundle, self.settings.config)
        self.embedder = self._open_embedder(bundle)
        event_seq = self.store.last_event_seq()
        article_seq = self._apply_articles(state, 0)
        self._replay(state, bundle, event_seq)
        return Served(bundle, state, Funnel(state), event_seq, article_seq)

    def _open_embedder(self, bundle: Bundle) -> OnnxEmbedder | None:
        model_id = bundle.manifest["embedder"]["model_id"]
        if self.embedder is not None and self.embedder.model_id == model_id:
            return self.embedder
        folder = self.settings.models / "embedders" / model_id
        try:
            return OnnxEmbedder(folder)
        except RecsysError as error:
            log.warning("embedder_absent", extra={"reason": str(error)})
            return None

    def _replay(self, state: State, bundle: Bundle, upto: int) -> None:
        """The tail: events of the store after the bundle's watermark, those of ``upto`` and before."""
        watermark = bundle.manifest["watermark"]
        # microseconds are cut off by float arithmetic: step over the last event counted in the bundle
        since = None if watermark is None else datetime.fromtimestamp(watermark + 1e-6, UTC)
        part: list[Event] = []
        for event in self.store.iter_events(since, upto=upto):
            part.append(event)
            if len(part) >= _TAIL:
                state.apply_events(part, self.clock.now())
                part = []
        state.apply_events(part, self.clock.now())

    def _apply_articles(self, state: State, after: int) -> int:
        """Changed articles of the store into a state; gives the new sequence number."""
        while changes := self.store.articles_after(after):
            articles = [article for _, _, article in changes if article is not None]
            vectors = self._vectors(articles, state)
            for seq, article_id, article in changes:
                if article is None:
                    state.remove_article(article_id)
                else:
                    state.apply_article(article, vectors.get(article.article_id))
                after = seq
        return after

    def _vectors(self, articles: Sequence[Article], state: State) -> dict[str, NDArray[np.float32]]:
        """Vectors by article id of what the model reads, from the store's cache or computed and kept."""
        lexicon, body_chars = state.index.lexical.lexicon, state.config.embedding.body_chars
        articles = [article for article in articles if lexicon.reads(article.language)]
        if self.embedder is None or not articles:
            return {}
        written = {article.article_id: embedding_text(article, body_chars) for article in articles}
        texts = {name: text for name, text in written.items() if text}
        digests = {name: text_digest(text, self.embedder.model_id) for name, text in texts.items()}
        known = self.store.get_vectors(list(digests.values()))
        missing = [name for name, digest in digests.items() if digest not in known]
        if missing:
            computed = self.embedder.embed([texts[name] for name in missing])
            fresh = {digests[name]: vector for name, vector in zip(missing, computed, strict=True)}
            self.store.put_vectors(fresh)
            known |= fresh
        return {name: known[digest] for name, digest in digests.items()}

    def _warm_up(self, served: Served) -> None:
        from recsys.pipeline import Query

        newest = served.state.catalog.newest()
        context = int(newest[0]) if len(newest) else None
        query = Query(now=self.clock.now(), context=context)
        served.funnel.page(("related", "popular", "latest", "must_reads"), query)

    def _on_commit(self, committed: Committed) -> None:
        if not committed:
            return
        served = self.served
        expected = range(served.event_seq + 1, served.event_seq + 1 + len(committed))
        if [seq for seq, _ in committed] == list(expected):
            served.state.apply_events([event for _, event in committed], self.clock.now())
            served.event_seq = committed[-1][0]
        else:
            self._catch_up_events(served)

    def _catch_up_events(self, served: Served) -> None:
        """Events that other processes committed too, and those of the time of a swap."""
        while rows := self.store.events_after(served.event_seq):
            served.state.apply_events([event for _, event in rows], self.clock.now())
            served.event_seq = rows[-1][0]

    def _catch_up_articles(self, served: Served) -> None:
        served.article_seq = self._apply_articles(served.state, served.article_seq)

    async def _follow_store(self) -> None:
        """Keep up with other processes: events, articles, rules, and the registry's pointer."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                version = self.store.data_version()
                if version != self._data_version:
                    self._data_version = version
                    self._catch_up_events(self.served)
                    self._catch_up_articles(self.served)
                    self.rules = EditorRules.of(*self.store.get_rules())
                current = self.registry.current()
                if current is not None and current != self.served.version:
                    await self.swap(current)
            except RecsysError as error:
                log.warning("follow_failed", extra={"reason": str(error)})

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
            self._catch_up_events(served)
            self._catch_up_articles(served)
            self.served = served
            log.info("swapped", extra={"version": version})

    async def put_articles(self, articles: Sequence[Article]) -> list[Article]:
        """Store articles, then let every list have them."""
        started = self.clock.now()
        vectors = await asyncio.to_thread(self._vectors, articles, self.served.state)
        known = [await self.article(a.article_id) if a.published_at is None else None for a in articles]
        articles = [
            article.model_copy(update={"published_at": before.published_at})
            if before is not None and article.published_at is None
            else article
            for article, before in zip(articles, known, strict=True)
        ]
        stored = await asyncio.to_thread(self.store.put_articles, articles, self.clock.instant())
        for article in stored:
            self.served.state.apply_article(article, vectors.get(article.article_id))
        self.telemetry.publish.observe(max(0.0, self.clock.now() - started))
        return stored

    async def delete_article(self, article_id: str) -> bool:
        """Take an article out of every list."""
        row = self.served.state.catalog.row(article_id)
        known = row is not None and self.served.state.catalog.is_known(row)
        found = await asyncio.to_thread(self.store.delete_article, article_id, self.clock.instant())
        self.served.state.remove_article(article_id)
        return found or known

    async def article(self, article_id: str) -> Article | None:
        """The whole article as it stands, from the store or the bundle."""
        stored = await asyncio.to_thread(self.store.get_article, article_id)
        if stored is not None:
            return stored
        if await asyncio.to_thread(self.store.is_deleted, article_id):
            return None
        return await asyncio.to_thread(find_article, self.served.bundle, article_id)

    async def forget(self, user_id: str) -> int:
        """Erase a user from the store and the live state."""
        self._exposures = [e for e in self._exposures if e.user_id != user_id]
        self.served.state.histories.forget(reader_key(f"u:{user_id}"))
        return sum(await asyncio.to_thread(self.store.forget, user_id))

    def expose(self, exposures: Sequence[Exposure]) -> None:
        """Queue served lists for the log; never waits, losses are counted."""
        if len(self._exposures) + len(exposures) > _MAX_EXPOSURES:
            self.telemetry.lost_exposures.inc(len(exposures))
            return
        self._exposures.extend(exposures)

    async def _flush_exposures(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self._write_exposures)

    def _write_exposures(self) -> None:
        self.features.write(self.clock.now())
        batch, self._exposures = self._exposures, []
        if not batch:
            return
        try:
            self.store.append_exposures(batch)
        except StoreError as error:
            self.telemetry.lost_exposures.inc(len(batch))
            log.warning("exposures_lost", extra={"count": len(batch), "reason": str(error)})
