"""A state at the moments of a log: what was known when a list was served, and nothing later."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.examination import Examination
from recsys.pipeline import Query
from recsys.profile import Reader, reader_key
from recsys.schemas import EVENT_TYPES, Exposure
from recsys.state import State
from training.readers import EventLog

_IMPRESSION = EVENT_TYPES.index("impression")
_EVENTS_AT_ONCE = 500_000


def with_impressions(
    log: EventLog, exposures: Sequence[Exposure], examination: Examination | None = None
) -> EventLog:
    """The log, and every exposed item as an impression where the log has none of its own.

    What the client did not confirm counts by the chance that its position was looked at.
    """
    seen = log.types == _IMPRESSION
    if len(exposures) == 0 or np.any(seen):
        return replace(log, values=np.where(seen, np.nan, log.values))
    code_of = {article_id: code for code, article_id in enumerate(log.article_ids)}
    ids = [item.article_id for exposure in exposures for item in exposure.items]
    codes = np.array([code_of.setdefault(name, len(code_of)) for name in ids], dtype=np.int32)
    lengths = [len(exposure.items) for exposure in exposures]
    ts = np.repeat([exposure.ts.timestamp() for exposure in exposures], lengths)
    readers = np.repeat(
        np.array([reader_key(exposure.reader) for exposure in exposures], dtype=np.uint64), lengths
    )
    looked = (examination or Examination()).of
    places = [looked(e.surface, [item.position for item in e.items]) for e in exposures]
    merged = EventLog(
        np.concatenate((log.ts, ts)),
        np.concatenate((log.types, np.full(len(ids), _IMPRESSION, np.uint8))),
        np.concatenate((log.articles, codes)),
        np.concatenate((log.readers, readers)),
        np.concatenate((log.values, *places)),
        list(code_of),
    )
    return merged.sorted_by_time()


class Moments:
    """A state that follows a log.

    Args:
        state: at the time ``after``; it is changed.
        log: in time order.
        after: unix seconds up to which the state knows the log.
    """

    def __init__(self, state: State, log: EventLog, after: float = float("-inf")) -> None:
        self.state, self._log = state, log
        rows = [state.catalog.refer(article_id) for article_id in log.article_ids] or [0]
        self._rows = np.array(rows, dtype=np.int32)
        self._done = int(np.searchsorted(log.ts, after, side="right"))
        self._fit()

    def until(self, ts: float) -> State:
        """The state with all events before ``ts`` (unix seconds)."""
        stop = int(np.searchsorted(self._log.ts, ts, side="left"))
        while self._done < stop:
            last = min(stop, self._done + _EVENTS_AT_ONCE)
            self.state.apply_batch(self._log.part(self._done, last).batch(self._rows))
            self._done = last
        return self.state

    def query(self, state: State, exposure: Exposure) -> tuple[Query, NDArray[np.int32]]:
        """The funnel's query of a served list, and the rows of its items."""
        catalog = state.catalog
        rows = np.array([catalog.refer(item.article_id) for item in exposure.items], dtype=np.int32)
        context = exposure.context_article_id
        known = None if context is None else catalog.refer(context)
        reader = _past(state, exposure)
        self._fit()
        return Query(now=exposure.ts.timestamp(), context=known, reader=reader), rows

    def _fit(self) -> None:
        size = len(self.state.catalog)
        self.state.popularity.resize(size)
        self.state.index.resize(size)


def _past(state: State, exposure: Exposure) -> Reader:
    """The reader's past as the log gives it, or as it was counted."""
    if not exposure.history:
        return state.histories.of(reader_key(exposure.reader))
    known = (state.catalog.row(name) for name in reversed(exposure.history))
    rows = list(dict.fromkeys(row for row in known if row is not None))
    return Reader(np.array(rows[: state.config.profile.history_length], dtype=np.int32))
