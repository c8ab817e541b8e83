"""The lists of one request from their funnels: joint assembly, interleaving of two sides, chance.

Serving makes answers by it, and replay makes them again.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from recsys.exploration import Draws
from recsys.exploring import Explorer
from recsys.interleaving import in_rows_of, interleaved
from recsys.pipeline import Funnel
from recsys.slate import Query, Slate


class Rival(NamedTuple):
    """The other side of an interleaving experiment.

    Attributes:
        funnel: of the other side.
        query: the same request for its catalogue.
        names: of the side that the request is served from, and of the other.
        surfaces: whose lists are made of both.
    """

    funnel: Funnel
    query: Query
    names: tuple[str, str]
    surfaces: Collection[str]


def lists_of(
    funnel: Funnel, surfaces: Sequence[str], query: Query, page: bool
) -> tuple[dict[str, Slate], float]:
    """The lists asked for, before anything is left to chance, and what joint assembly cost.

    Args:
        funnel: makes them.
        surfaces: in order.
        query: what is asked.
        page: whether they are assembled jointly.
    """
    if page:
        return funnel.page(surfaces, query)
    return {surfaces[0]: funnel.slate(surfaces[0], query)}, 0.0


def left_to_chance(
    explorer: Explorer,
    slates: Mapping[str, Slate],
    query: Query,
    draws: Draws,
    rival: Rival | None,
    page: bool,
) -> dict[str, Slate]:
    """The lists that one reader gets: interleaved with a rival's, drawn, or with a place given away.

    Args:
        explorer: of the funnel that made them.
        slates: by surface, in order.
        query: they were made for.
        draws: of the request.
        rival: None where nothing is interleaved.
        page: as in ``lists_of``.
    """
    if rival is None:
        return explorer.explored(query, slates, draws)
    found = dict(slates)
    theirs, _ = lists_of(rival.funnel, list(slates), rival.query, page)
    catalog, own = rival.funnel.state.catalog, explorer.catalog
    drafted = [surface for surface in slates if surface in rival.surfaces and slates[surface].items]
    for surface in drafted:
        other = theirs[surface] if catalog is own else in_rows_of(theirs[surface], catalog, own)
        elsewhere = {item.row for name, slate in found.items() if name != surface for item in slate.items}
        pinned = query.pins.get(surface, {}).values()
        both = dict(zip(rival.names, (slates[surface], other), strict=True))
        found[surface] = interleaved(both, pinned, elsewhere, own, draws)
    return explorer.explored(query, found, draws, drafted)
