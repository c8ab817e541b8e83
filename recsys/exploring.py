"""Finished lists in which now and then a place goes to an article of which little is known."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from recsys.candidates import Rows
from recsys.exploration import Draws, cold_pool, explore, left_alone, tries
from recsys.pipeline import Funnel, Query, Slate
from recsys.reasons import reason_of
from recsys.rules import Eligibility
from recsys.slate import Item

SOURCE = "explore"


class Explorer:
    """Tries cold articles in the lists of one funnel.

    Args:
        funnel: that makes them.
    """

    def __init__(self, funnel: Funnel) -> None:
        self._funnel = funnel
        self._looked: tuple[int, int] | None = None
        self._any = False

    def explored(self, query: Query, slates: Mapping[str, Slate], draws: Draws) -> dict[str, Slate]:
        """The lists of one answer, each with the chances of its places.

        Args:
            query: they were made for.
            slates: by surface, in order.
            draws: of the request.
        """
        config = self._funnel.state.config.exploration
        found = dict(slates)
        for surface in config.surfaces:
            if config.share > 0.0 and surface in found and found[surface].items:
                found[surface] = self._explored(query, surface, found, draws)
        return found

    def _explored(self, query: Query, surface: str, slates: Mapping[str, Slate], draws: Draws) -> Slate:
        slate, config = slates[surface], self._funnel.state.config.exploration
        rows = [item.row for item in slate.items]
        pinned = set(query.pins.get(surface, {}).values())
        if not tries(draws, surface, config) and self._has_cold(query.now):
            chances = left_alone(rows, pinned, config).propensities
            return Slate(surface, slate.items, slate.fallback, chances)
        page = [item.row for other in slates.values() for item in other.items]
        # an article that is tried takes a place of a list that was ranked without it
        used, asked, _ = self._funnel.effective(surface, replace(query, witness=None))
        eligible = self._funnel.eligibility(asked, surface)
        pool = cold_pool(self._funnel.state, query.now, eligible, page, rows, config)

        def best_first(cold: Rows) -> Rows:
            return cold[np.argsort(-self._funnel.scored(used, asked, cold).scores, kind="stable")]

        given = explore(rows, pinned, pool, best_first, config, draws, surface)
        items = list(slate.items)
        if given.place is not None:
            items[given.place] = self._item(used, asked, given.rows[given.place], given.place)
        return Slate(surface, items, slate.fallback, given.propensities)

    def _has_cold(self, now: float) -> bool:
        """Whether the catalogue has any cold article, looked up once a second.

        The chances of a list that was left alone rest on nothing more. A reader for whom every cold article
        is filtered out has the chance of one place told as that much below 1.
        """
        state, moment = self._funnel.state, (self._funnel.state.catalog.version, int(now))
        if self._looked != moment:
            pool = cold_pool(state, now, Eligibility(now), (), (), state.config.exploration)
            self._looked, self._any = moment, len(pool) > 0
        return self._any

    def _item(self, used: str, query: Query, row: int, place: int) -> Item:
        scored = self._funnel.scored(used, query, np.array([row], dtype=np.int32))
        values = scored.parts[0].tolist()
        reason = reason_of(scored.names, values)
        return Item(row, place + 1, sum(values), scored.names, values, [SOURCE], reason)
