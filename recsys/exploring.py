"""Finished lists of which some are drawn, or give a place to an article of which little is known."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.candidates import Rows
from recsys.catalog import Catalog
from recsys.exploration import Draws, cold_pool, explore, falling, left_alone, open_places, tries
from recsys.listing import items_of
from recsys.pipeline import Funnel, Query, Slate
from recsys.randomising import Alone, Branch, Chances, Mixture, Ranked, Swapped, Tried, drawn
from recsys.reasons import reason_of
from recsys.rules import Eligibility
from recsys.slate import Item

SOURCE = "explore"
_NONE = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Policy:
    """How one list comes about.

    Attributes:
        rows: the list where it is left alone.
        cold: chance that a place is given away.
        random: the branches of drawn lists, each with its chance.
        mixture: all branches.
        pool: cold articles that may be tried.
        best_first: orders them.
    """

    rows: list[int]
    cold: float
    random: list[tuple[float, Branch]]
    mixture: Mixture
    pool: Rows
    best_first: Callable[[Rows], Rows]


class Explorer:
    """Draws lists of one funnel and tries cold articles in them.

    Args:
        funnel: that makes them.
    """

    def __init__(self, funnel: Funnel) -> None:
        self._funnel = funnel
        self._looked: tuple[int, int] | None = None
        self._any = False

    @property
    def catalog(self) -> Catalog:
        """Of the rows in its lists."""
        return self._funnel.state.catalog

    def explored(
        self, query: Query, slates: Mapping[str, Slate], draws: Draws, settled: Collection[str] = ()
    ) -> dict[str, Slate]:
        """The lists of one answer, each with the chances of its places.

        Args:
            query: they were made for.
            slates: by surface, in order.
            draws: of the request.
            settled: surfaces whose lists stay as they are.
        """
        found, random = dict(slates), self._random_surfaces()
        for surface in self._in_turn(slates):
            if surface in settled:
                continue
            make = self._drawn if surface in random else self._explored
            found[surface] = make(query, surface, found, draws)
        return found

    def policies(
        self, query: Query, slates: Mapping[str, Slate], given: Mapping[str, Slate]
    ) -> dict[str, Policy]:
        """How each list that is left to chance came about.

        Args:
            query: the lists were made for.
            slates: by surface, before anything was left to chance.
            given: as ``explored`` gave them.
        """
        found, lists = {}, dict(slates)
        for surface in self._in_turn(slates):
            found[surface] = self.policy(query, surface, lists)
            lists[surface] = given[surface]
        return found

    def _in_turn(self, slates: Mapping[str, Slate]) -> list[str]:
        """The lists that are left to chance, each given those before it."""
        config = self._funnel.state.config.exploration
        tried = config.surfaces if config.share > 0.0 else ()
        names = dict.fromkeys((*tried, *self._random_surfaces()))
        return [name for name in names if name in slates and slates[name].items]

    def _random_surfaces(self) -> tuple[str, ...]:
        config = self._funnel.state.config.randomisation
        return config.surfaces if config.share > 0.0 else ()

    def policy(self, query: Query, surface: str, slates: Mapping[str, Slate]) -> Policy:
        """How a list comes about, given the other lists of its answer.

        Args:
            query: it was made for.
            surface: the kind of list.
            slates: all lists of the answer, by surface; this one as it is when left alone.
        """
        config, slate = self._funnel.state.config, slates[surface]
        rows, pinned = [item.row for item in slate.items], set(query.pins.get(surface, {}).values())
        pool, best_first = self._cold(query, surface, slates)
        places = open_places(rows, pinned, config.exploration)
        cold = config.exploration.share if len(pool) and places else 0.0
        branches: list[tuple[float, Branch]] = []
        if cold > 0.0:
            branches.append((cold, Tried(rows, places, pool.tolist(), lambda: self._odds(best_first(pool)))))
        random = self._random(surface, slates, pinned)
        share = (1.0 - cold) * config.randomisation.share if random else 0.0
        drawn_lists = [(share / len(random), branch) for branch in random]
        alone = (1.0 - cold - share, Alone(rows))
        mixture = Mixture([*branches, *drawn_lists, alone])
        return Policy(rows, cold, drawn_lists, mixture, pool, best_first)

    def _drawn(self, query: Query, surface: str, slates: Mapping[str, Slate], draws: Draws) -> Slate:
        slate, policy = slates[surface], self.policy(query, surface, slates)
        draw, place = draws.uniform(f"{surface} place"), None
        rows, pinned = policy.rows, set(query.pins.get(surface, {}).values())
        if draw < policy.cold:
            config = self._funnel.state.config.exploration
            given = explore(rows, pinned, policy.pool, policy.best_first, config, draws, surface)
            rows, place = given.rows, given.place
        else:
            draw -= policy.cold
            for share, branch in policy.random:
                if 0.0 <= draw < share:
                    rows = drawn(branch, len(rows), draws, f"{surface} rank")
                draw -= share
        items = self._items(query, slate, rows, place)
        return replace(slate, items=items, propensities=policy.mixture.chances(rows))

    def _random(self, surface: str, slates: Mapping[str, Slate], pinned: set[int]) -> list[Branch]:
        """The branches of lists that are drawn, all equally likely; none where there is nothing to draw."""
        config, slate = self._funnel.state.config.randomisation, slates[surface]
        if surface not in config.surfaces or config.share <= 0.0:
            return []
        rows = [item.row for item in slate.items]
        if config.method == "swap":
            return [Swapped(rows, pinned, first) for first in (0, 1)]
        page = {item.row for other in slates.values() for item in other.items}
        behind = slate.ranked.rows.tolist() if slate.ranked is not None else []
        spares = [row for row in behind if row not in page]
        return [Ranked(rows, spares, pinned, config.pool, config.temperature)]

    def _items(self, query: Query, slate: Slate, rows: Sequence[int], place: int | None) -> list[Item]:
        """The items of a list that was drawn from a slate, a place of which may have been given away."""
        known = {item.row: item for item in slate.items}
        strangers = [row for at, row in enumerate(rows) if row not in known and at != place]
        if slate.ranked is not None:
            known |= {item.row: item for item in items_of(slate.ranked, strangers)}
        if place is not None:
            used, asked, _ = self._funnel.effective(slate.surface, replace(query, witness=None))
            known[rows[place]] = self._item(used, asked, rows[place], place)
        return [known[row]._replace(position=at) for at, row in enumerate(rows, 1)]

    def _cold(
        self, query: Query, surface: str, slates: Mapping[str, Slate]
    ) -> tuple[Rows, Callable[[Rows], Rows]]:
        """Cold articles that may stand in a list, and what orders them as the list would."""
        config = self._funnel.state.config.exploration
        # an article that is tried takes a place of a list that was ranked without it
        used, asked, _ = self._funnel.effective(surface, replace(query, witness=None))

        def best_first(cold: Rows) -> Rows:
            return cold[np.argsort(-self._funnel.scored(used, asked, cold).scores, kind="stable")]

        if surface not in config.surfaces or config.share <= 0.0:
            return _NONE, best_first
        rows = [item.row for item in slates[surface].items]
        page = [item.row for other in slates.values() for item in other.items]
        eligible = self._funnel.eligibility(asked, surface)
        return cold_pool(self._funnel.state, query.now, eligible, page, rows, config), best_first

    def _odds(self, ordered: Rows) -> Chances:
        likely = ordered[: self._funnel.state.config.exploration.pool]
        return dict(zip(likely.tolist(), falling(len(likely)).tolist(), strict=True))

    def _explored(self, query: Query, surface: str, slates: Mapping[str, Slate], draws: Draws) -> Slate:
        slate, config = slates[surface], self._funnel.state.config.exploration
        rows = [item.row for item in slate.items]
        pinned = set(query.pins.get(surface, {}).values())
        if not tries(draws, surface, config) and self._has_cold(query.now):
            return replace(slate, propensities=left_alone(rows, pinned, config).propensities)
        pool, best_first = self._cold(query, surface, slates)
        given = explore(rows, pinned, pool, best_first, config, draws, surface)
        items = self._items(query, slate, given.rows, given.place)
        return replace(slate, items=items, propensities=given.propensities)

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
