"""A state at the moments of served lists, its counters replayed rather than stepped."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.pipeline import Query
from recsys.popularity import Popularity
from recsys.recipes import Recipe
from recsys.replay import Lists, Replay
from recsys.schemas import Exposure
from recsys.state import State, changes_pasts
from training.moments import EVENTS_AT_ONCE, Moments
from training.readers import EventLog


class ReplayedMoments:
    """What was known when each of some lists was served: all counters at once, pasts step by step.

    Args:
        state: without events; ``finish`` has it count the whole log.
        log: in time order.
        exposures: the lists, in time order.
        lag: seconds by which counters and pasts run behind.
    """

    def __init__(self, state: State, log: EventLog, exposures: Sequence[Exposure], lag: float) -> None:
        self._moments, self._log = Moments(state, log), log
        self._until = np.array([exposure.ts.timestamp() - lag for exposure in exposures])
        items = [[state.catalog.refer(item.article_id) for item in e.items] for e in exposures]
        for exposure in exposures:
            if exposure.context_article_id is not None:
                state.catalog.refer(exposure.context_article_id)
        self._moments.fit()
        lists = Lists(
            until=self._until,
            starts=np.cumsum([0, *map(len, items)]),
            rows=np.array([row for rows in items for row in rows], dtype=np.int32),
        )
        config = state.config.popularity
        self._replay = Replay(config, log.batch(self._moments.rows), state.catalog.groups()[0], lists)
        self._at_moment = State(
            state.config,
            state.catalog,
            state.index,
            state.neighbours,
            Popularity(config, len(state.catalog)),
            state.histories,
            state.learned,
        )
        # of a million impressions a past remembers nothing: only what it does is stepped through
        self._pasts, self._remembered = log.take(changes_pasts(log.types)), 0
        self._state = state

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """Learned weights in force."""
        return self._state.learned.recipes

    def at(self, number: int) -> State:
        """What was known for a list; numbers only rise. It is the same object each time.

        Its counters speak of the list's own articles and their groups only.
        """
        self._remember(int(np.searchsorted(self._pasts.ts, self._until[number], side="left")))
        self._replay.hold(number, self._at_moment.popularity)
        return self._at_moment

    def query(self, exposure: Exposure) -> tuple[Query, NDArray[np.int32]]:
        """The funnel's query of a served list, and the rows of its items."""
        return self._moments.query(self._at_moment, exposure)

    def finish(self) -> None:
        """Let the state itself know the whole log."""
        self._remember(len(self._pasts))
        for first in range(0, len(self._log), EVENTS_AT_ONCE):
            part = self._log.part(first, first + EVENTS_AT_ONCE)
            self._state.count(part.batch(self._moments.rows))

    def _remember(self, stop: int) -> None:
        if stop > self._remembered:
            part = self._pasts.part(self._remembered, stop)
            self._state.remember(part.batch(self._moments.rows))
            self._remembered = stop
