"""Features that serving logged, computed again from the bundle and the store's events.

Features have one home, so the two differ only where they knew different things: a clock, a lag, an
event counted on one side alone. Each logged list says the moment and the last event that were known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle
from recsys.config import Config
from recsys.embedder import embedding_text, text_digest
from recsys.features import learned_matrix
from recsys.logged import LoggedList
from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.schemas import Article, Event
from recsys.snapshot import read_state
from recsys.state import State
from recsys.store import Store


@dataclass
class Skew:
    """How far serving and training are apart.

    Attributes:
        lists: how many were compared.
        unknown: how many were not, because their exposure is gone or another bundle ranked them.
        worst: by feature, the largest difference; relative where values exceed 1, infinite where only
            one side knows a value.
    """

    lists: int = 0
    unknown: int = 0
    worst: dict[str, float] = field(default_factory=dict)


def skew_of(logged: Sequence[LoggedList], bundle: Bundle, store: Store, config: Config | None = None) -> Skew:
    """Compare logged features with features computed again.

    Events count in the order in which the store committed them; an event that came before the bundle's
    watermark is in the bundle. What cannot be known again: the version of an article that changed
    afterwards, and the hour at which an event that was dated in the future came in.

    Args:
        logged: from ``read_lists``.
        bundle: that was in service.
        store: that the service wrote to.
        config: that the service was started with, None for the bundle's own.
    """
    state, readers = read_state(bundle, config), {}
    for exposure in store.iter_exposures():
        readers[exposure.request_id] = exposure.reader
        state.remember_list(exposure)
    known = [each for each in logged if each.model_version == bundle.version and each.request_id in readers]
    found = Skew(unknown=len(logged) - len(known))
    then = _Then(state, bundle, store)
    for each in sorted(known, key=lambda one: (one.event_seq, one.article_seq, one.at)):
        state = then.at(each)
        ours = _matrix(state, each, readers[each.request_id])
        for name, column, again in zip(each.features, each.values.T, ours.T, strict=True):
            found.worst[name] = max(found.worst.get(name, 0.0), _difference(column, again))
        found.lists += 1
    return found


def _matrix(state: State, logged: LoggedList, reader: str) -> NDArray[np.float64]:
    rows = [state.catalog.refer(article_id) for article_id in logged.article_ids]
    context = logged.context_article_id
    query = Query(
        now=logged.at,
        context=None if context is None else state.catalog.refer(context),
        reader=state.histories.of(reader_key(reader)),
    )
    moment = Funnel(state).moment(query, logged.surface)
    return learned_matrix(state, np.array(rows, dtype=np.int32), moment, logged.features)


def _difference(logged: NDArray[np.float32], again: NDArray[np.float64]) -> float:
    if (np.isnan(logged) != np.isnan(again)).any():
        return float("inf")
    apart = np.abs(logged.astype(np.float64) - again) / np.maximum(np.abs(again), 1.0)
    return float(np.nanmax(apart, initial=0.0))


class _Then:
    """A bundle's state that follows the store to the moments of logged lists."""

    def __init__(self, state: State, bundle: Bundle, store: Store) -> None:
        watermark = bundle.manifest["watermark"]
        self._watermark = float("-inf") if watermark is None else float(watermark)
        self._model_id = str(bundle.manifest["embedder"]["model_id"])
        self._state, self._store, self._events, self._articles = state, store, 0, 0

    def at(self, logged: LoggedList) -> State:
        """What was known when a list was ranked; moments only rise."""
        listed = set(logged.article_ids)
        for seq, article_id, article in self._store.articles_after(self._articles):
            # the worker that took an article in lists it before it has followed the store so far
            if seq <= logged.article_seq or article_id in listed:
                self._apply(article_id, article)
            if seq <= logged.article_seq:
                self._articles = seq
        for events in self._new_events(logged.event_seq):
            self._state.apply_events(events, logged.at)
        return self._state

    def _apply(self, article_id: str, article: Article | None) -> None:
        if article is None:
            self._state.remove_article(article_id)
            return
        digest = text_digest(embedding_text(article, self._state.config.embedding.body_chars), self._model_id)
        self._state.apply_article(article, self._store.get_vectors([digest]).get(digest))

    def _new_events(self, upto: int) -> Iterator[list[Event]]:
        while rows := self._store.events_after(self._events):
            part = [(seq, event) for seq, event in rows if seq <= upto]
            if not part:
                return
            self._events = part[-1][0]
            yield [event for _, event in part if event.ts.timestamp() > self._watermark]
