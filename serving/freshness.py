"""For how long an answer stays true: it rests on articles, rules, events and the passing of time."""

import time
import weakref
from collections import deque
from collections.abc import Hashable
from typing import NamedTuple

from recsys.rules_editor import EditorRules
from serving.clock import Clock
from serving.served import Served

# while many events arrive, an answer may be so old though events came after it
EVENTS_SECONDS = 0.25
# without events, only ages change
AGE_SECONDS = 5.0
# below it every event is seen by the next request
_BUSY_EVENTS_PER_SECOND = 20.0
_WINDOW_SECONDS = 0.25
_WINDOWS = 4
# a clock that is kept in step by the network goes back by less
_STEP_SECONDS = 1.0

FRESH, AGING, OVER = range(3)


class Mark(NamedTuple):
    """What an answer rested on.

    Attributes:
        version: of the bundle.
        articles: version of the catalogue.
        rules: version of the editors' rules.
        events: how many events were known.
        at: monotonic seconds.
        since: unix seconds at which it was made; a clock that was set back does not keep it.
        until: unix seconds at which an article or a rule comes or goes by itself.
    """

    version: str
    articles: int
    rules: int
    events: int
    at: float
    since: float
    until: float


class Freshness:
    """Judges answers that were kept.

    What the editors decide shows on the next request. Events do too, unless so many arrive that no
    answer would be used twice: then an answer stands in for a quarter of a second.

    Args:
        clock: the service's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since, self._count = time.monotonic(), 0
        self._rates = deque([0.0] * _WINDOWS, maxlen=_WINDOWS)

    def mark(self, served: Served, rules: EditorRules | None) -> Mark:
        """What an answer rests on that is made now.

        Args:
            served: what makes it.
            rules: the editors' rules, None where it does not depend on them.
        """
        catalog, since = served.state.catalog, self._clock.now()
        until = catalog.next_change(since)
        if rules is not None and rules.rules:
            until = min(until, rules.next_change(self._clock.instant()))
        version = 0 if rules is None else rules.version
        events, at = served.event_seq, time.monotonic()
        return Mark(served.version, catalog.version, version, events, at, since, until)

    def judge(self, mark: Mark, served: Served, rules: int) -> int:
        """``FRESH``, ``AGING`` (may be given once more while a new one is made) or ``OVER``."""
        state = (served.version, served.state.catalog.version, rules)
        if (mark.version, mark.articles, mark.rules) != state:
            return OVER
        if not mark.since - _STEP_SECONDS <= self._clock.now() < mark.until:
            return OVER
        age = time.monotonic() - mark.at
        if mark.events == served.event_seq:
            return FRESH if age < AGE_SECONDS else AGING
        if not self._is_busy(served.event_seq):
            return OVER
        if age < EVENTS_SECONDS:
            return FRESH
        return AGING if age < 2 * EVENTS_SECONDS else OVER

    def _is_busy(self, count: int) -> bool:
        """Whether many events arrived in each of the last quarters of a second; one burst is not enough."""
        now = time.monotonic()
        if now - self._since >= _WINDOW_SECONDS:
            self._rates.append(max(count - self._count, 0) / (now - self._since))
            self._since, self._count = now, count
        return min(self._rates) >= _BUSY_EVENTS_PER_SECOND


class RankingMemo:
    """Rankings that are the same for all readers; see ``recsys.pipeline.Memo``.

    Args:
        freshness: judges them.
        served: whose rankings.

    Attributes:
        given: by surface, what the rankings rest on that the present request was given.
    """

    _MOST = 512

    def __init__(self, freshness: Freshness, served: Served) -> None:
        # a bundle that leaves must leave memory at once: what it keeps must not keep it
        self._freshness, self._served = freshness, weakref.ref(served)
        self._kept: dict[Hashable, tuple[Mark, object]] = {}
        self.given: dict[str, Mark] = {}

    def get(self, key: Hashable) -> object | None:
        """What was kept under ``key`` while it is true."""
        kept, served = self._kept.get(key), self._served()
        # rules are part of what is asked
        if kept is None or served is None or self._freshness.judge(kept[0], served, 0) != FRESH:
            return None
        if isinstance(key, tuple):
            self.given[key[0]] = kept[0]
        return kept[1]

    def put(self, key: Hashable, value: object) -> None:
        """Keep a ranking; the oldest ones go."""
        served = self._served()
        if served is None:
            return
        self._kept.pop(key, None)
        self._kept[key] = (self._freshness.mark(served, None), value)
        while len(self._kept) > self._MOST:
            del self._kept[next(iter(self._kept))]
