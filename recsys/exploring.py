"""Finished lists in which now and then a place goes to an article of which little is known."""

from collections.abc import Mapping

import numpy as np

from recsys.candidates import Rows
from recsys.exploration import Draws, cold_pool, explore
from recsys.pipeline import Funnel, Query, Slate
from recsys.reasons import reason_of
from recsys.slate import Item

SOURCE = "explore"


def explored(funnel: Funnel, query: Query, slates: Mapping[str, Slate], draws: Draws) -> dict[str, Slate]:
    """The lists of one answer, each with the chances of its places.

    Args:
        funnel: that made them.
        query: they were made for.
        slates: by surface, in order.
        draws: of the request.
    """
    config = funnel.state.config.exploration
    found = dict(slates)
    for surface in config.surfaces:
        if config.share > 0.0 and surface in found and found[surface].items:
            found[surface] = _explored(funnel, query, surface, found, draws)
    return found


def _explored(funnel: Funnel, query: Query, surface: str, slates: Mapping[str, Slate], draws: Draws) -> Slate:
    slate, config = slates[surface], funnel.state.config.exploration
    rows = [item.row for item in slate.items]
    page = [item.row for other in slates.values() for item in other.items]
    used, asked, _ = funnel.effective(surface, query)
    pool = cold_pool(funnel.state, query.now, funnel.eligibility(asked, surface), page, rows, config)

    def best_first(cold: Rows) -> Rows:
        return cold[np.argsort(-funnel.scored(used, asked, cold).scores, kind="stable")]

    pinned = set(query.pins.get(surface, {}).values())
    given = explore(rows, pinned, pool, best_first, config, draws, surface)
    items = list(slate.items)
    if given.place is not None:
        items[given.place] = _item(funnel, used, asked, given.rows[given.place], given.place)
    return Slate(surface, items, slate.fallback, given.propensities)


def _item(funnel: Funnel, used: str, query: Query, row: int, place: int) -> Item:
    scored = funnel.scored(used, query, np.array([row], dtype=np.int32))
    values = scored.parts[0].tolist()
    reason = reason_of(scored.names, values)
    return Item(row, place + 1, sum(values), scored.names, values, [SOURCE], reason)
