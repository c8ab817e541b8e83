"""Example lists: as they would be without what was learned, and as they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import UNKNOWN
from recsys.config import Weights
from recsys.pipeline import Funnel, Query
from recsys.profile import Reader
from recsys.state import State
from training.judging import blend_only

ARTICLES = 20
_PLACES = 6
_READ = 3
_HALF_LIFE_HOURS = 168.0
TEXT, BLEND = "text alone", "content blend"


def examples(state: State, now: float, readers: Mapping[bool, Sequence[Reader]]) -> dict[str, Any]:
    """``related`` of twenty articles and ``for_you`` of some readers, before and after.

    Args:
        state: with the ranker.
        now: unix seconds at which lists are made.
        readers: pasts, by whether the reader is cold.

    Returns:
        By surface: ``before`` (what the first list is), ``learned`` (whether the surface has a ranker)
        and ``rows`` with ``about``, ``before`` and ``after``. An item has ``title``, ``section`` and, after,
        ``moved``: places up (negative: down) or None where it is new; before, ``left`` where it went out.
    """
    found = {}
    contexts = [(int(row), None) for row in _contexts(state, now)]
    pasts = [(None, reader) for cold in (False, True) for reader in readers.get(cold, ())]
    for surface, wishes in (("related", contexts), ("for_you", pasts)):
        learned = surface in state.learned.rankers
        plain = blend_only(state) if learned else _text_only(state, surface)
        rows = [_example(state, plain, surface, now, *wish) for wish in wishes]
        found[surface] = {"before": BLEND if learned else TEXT, "learned": learned, "rows": rows}
    return found


def _example(
    state: State, plain: State, surface: str, now: float, context: int | None, reader: Reader | None
) -> dict[str, Any]:
    query = Query(now, limit=_PLACES, context=context, reader=reader)
    before, after = ([item.row for item in Funnel(s).slate(surface, query).items] for s in (plain, state))
    about = [context] if context is not None else (reader.rows[:_READ].tolist() if reader else [])
    place = {row: at for at, row in enumerate(before)}
    return {
        "about": [_card(state, row) for row in about],
        "opened": None if reader is None else len(reader.rows),
        "before": [{**_card(state, row), "left": row not in after} for row in before],
        "after": [
            {**_card(state, row), "moved": place[row] - at if row in place else None}
            for at, row in enumerate(after)
        ],
    }


def _card(state: State, row: int) -> dict[str, Any]:
    card = state.catalog.cards[row]
    if card is None:
        return {"title": state.catalog.ids[row], "section": None}
    values = json.loads(card)
    return {"title": values["title"], "section": values["section"]}


def _text_only(state: State, surface: str) -> State:
    """The same state where a surface asks for similar text and nothing else."""
    old = state.config.surfaces.of(surface)
    weights = Weights(similarity=1.0) if surface == "related" else Weights(interests=1.0)
    surfaces = state.config.surfaces.model_copy(
        update={surface: old.model_copy(update={"weights": weights, "ranking": "blend"})}
    )
    config = state.config.model_copy(update={"surfaces": surfaces})
    learned = replace(state.learned, rankers={})
    return State(
        config, state.catalog, state.index, state.neighbours, state.popularity, state.histories, learned
    )


def _contexts(state: State, now: float) -> NDArray[np.int32]:
    """Much-read articles of every section in turn, the largest section first."""
    catalog, counts = state.catalog, state.popularity
    size = len(catalog)
    hours = min(counts.config.half_lives_hours, key=lambda value: abs(value - _HALF_LIFE_HOURS))
    masses = counts.openings.read(now, counts.column(hours))[:size]
    dated = ~(catalog.published[:size] > now)
    rows = np.flatnonzero(catalog.servable[:size] & dated & state.index.has[:size]).astype(np.int32)
    rows = rows[np.lexsort((catalog.id_ranks(rows), -masses[rows]))]
    codes = catalog.section[rows]
    turns = np.zeros(len(rows), dtype=np.int64)
    sizes = np.zeros(len(rows), dtype=np.int64)
    for code in np.unique(codes).tolist():
        inside = codes == code
        turns[inside] = np.arange(int(inside.sum()))
        # articles without a section come last
        sizes[inside] = 0 if code == UNKNOWN else int(inside.sum())
    order = np.lexsort((codes, -sizes, turns))
    return rows[order][:ARTICLES]
