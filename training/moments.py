"""A state at the moments of a log: what was known when a list was served, and nothing later."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.examination import Examination
from recsys.expected import expecting_reader
from recsys.pipeline import Query
from recsys.profile import Reader, reader_key
from recsys.schemas import EVENT_TYPES, Exposure
from recsys.state import State
from training.attribution import Labels
from training.readers import EventLog

_IMPRESSION = EVENT_TYPES.index("impression")
_CLICK = EVENT_TYPES.index("click")
EVENTS_AT_ONCE = 500_000


def with_impressions(
    log: EventLog,
    exposures: Sequence[Exposure],
    clicks: Labels,
    impressions_per_click: float,
    examination: Examination | None = None,
) -> EventLog:
    """The log, with what its clicks were chosen from where it has no impressions of its own.

    A click tells of the whole list that it was made in: each of its articles could have been the one.
    So with each click they share one expected click by the chance that their positions were looked at, at
    the moment of the click (clicks over expected clicks, as in Zhang and Jones, WWW 2007). A long list
    does not make its articles look unloved, and a list that nobody looked at says nothing.
    ``recsys.expected`` counts live clicks the same way.

    Args:
        log: in time order.
        exposures: served lists.
        clicks: of these lists.
        impressions_per_click: impressions that stand for one expected click.
        examination: by position; None takes all positions as equal.
    """
    seen = log.types == _IMPRESSION
    if np.any(seen):
        return replace(log, values=np.where(seen, np.nan, log.values))
    code_of = {article_id: code for code, article_id in enumerate(log.article_ids)}
    made = _ClickTimes(log.believed(), code_of)
    ids: list[str] = []
    columns: list[tuple[int, float, NDArray[np.float64], int]] = []
    looked = (examination or Examination()).of
    for exposure in exposures:
        chosen = clicks.clicked(exposure)
        if chosen:
            key, begin = reader_key(exposure.reader), exposure.ts.timestamp()
            moments = sorted(made.after(key, article_id, begin) for article_id in chosen)
            chances = looked(exposure.surface, [item.position for item in exposure.items])
            shares = impressions_per_click * chances / chances.sum()
            for before, ts in enumerate(moments):
                columns.append((expecting_reader(key, before), ts, shares, len(exposure.items)))
                ids += [item.article_id for item in exposure.items]
    if not columns:
        return log
    keys, times, expected, lengths = zip(*columns, strict=True)
    trust = None if log.trust is None else np.concatenate((log.trust, np.ones(len(ids))))
    codes = np.array([code_of.setdefault(name, len(code_of)) for name in ids], dtype=np.int32)
    merged = EventLog(
        np.concatenate((log.ts, np.repeat(times, lengths))),
        np.concatenate((log.types, np.full(len(ids), _IMPRESSION, np.uint8))),
        np.concatenate((log.articles, codes)),
        np.concatenate((log.readers, np.repeat(np.array(keys, dtype=np.uint64), lengths))),
        np.concatenate((log.values, *expected)),
        list(code_of),
        trust,
    )
    return merged.sorted_by_time()


def as_counted(state: State, log: EventLog, exposures: Sequence[Exposure], clicks: Labels) -> EventLog:
    """The log as this state's counters take it: ``with_impressions`` by its own settings and lessons."""
    per_click = state.config.popularity.impressions_per_click
    return with_impressions(log, exposures, clicks, per_click, state.learned.examination)


class _ClickTimes:
    """When each reader clicked each article."""

    def __init__(self, log: EventLog, code_of: Mapping[str, int]) -> None:
        self._code_of = code_of
        self._times: dict[tuple[int, int], list[float]] = {}
        for at in np.flatnonzero(log.types == _CLICK).tolist():
            key = (int(log.readers[at]), int(log.articles[at]))
            self._times.setdefault(key, []).append(float(log.ts[at]))

    def after(self, reader: int, article_id: str, ts: float) -> float:
        """The first click from ``ts`` on; ``ts`` itself where the log has none."""
        times = self._times.get((reader, self._code_of.get(article_id, -1)), [])
        place = bisect_left(times, ts)
        return times[place] if place < len(times) else ts


class Moments:
    """A state that follows a log.

    Args:
        state: at the time ``after``; it is changed.
        log: in time order.
        after: unix seconds up to which the state knows the log.

    Attributes:
        rows: catalogue row of each article code of the log.
    """

    def __init__(self, state: State, log: EventLog, after: float = float("-inf")) -> None:
        self.state, self._log = state, log
        rows = [state.catalog.refer(article_id) for article_id in log.article_ids] or [0]
        self.rows = np.array(rows, dtype=np.int32)
        self._done = int(np.searchsorted(log.ts, after, side="right"))
        self.fit()

    def until(self, ts: float) -> State:
        """The state with all events before ``ts`` (unix seconds)."""
        stop = int(np.searchsorted(self._log.ts, ts, side="left"))
        while self._done < stop:
            last = min(stop, self._done + EVENTS_AT_ONCE)
            self.state.apply_batch(self._log.part(self._done, last).batch(self.rows))
            self._done = last
        return self.state

    def query(self, state: State, exposure: Exposure) -> tuple[Query, NDArray[np.int32]]:
        """The funnel's query of a served list, and the rows of its items."""
        catalog = state.catalog
        rows = np.array([catalog.refer(item.article_id) for item in exposure.items], dtype=np.int32)
        context = exposure.context_article_id
        known = None if context is None else catalog.refer(context)
        reader = _past(state, exposure)
        self.fit()
        return Query(now=exposure.ts.timestamp(), context=known, reader=reader), rows

    def fit(self) -> None:
        """Make room for every article of the catalogue."""
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
