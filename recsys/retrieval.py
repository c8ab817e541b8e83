"""Candidate generation: who may enter a list, each generator filtered before its cut."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Candidates, Rows
from recsys.covisitation import Sums
from recsys.profile import Reader
from recsys.rules import Eligibility
from recsys.state import State

_NONE = np.zeros(0, np.int32)
_OPENINGS = 10


@dataclass(frozen=True, slots=True)
class Need:
    """What one list asks of the generators.

    Attributes:
        surface: the kind of list.
        count: candidates that must at least be there while the catalogue has them.
        half_life_hours: decay by which popular candidates are found.
        covisited: whether what is read together shall bring candidates too.
    """

    surface: str
    count: int
    half_life_hours: float
    covisited: bool = True


def popular_rows(state: State, eligibility: Eligibility, half_life_hours: float, n: int) -> Rows:
    """The ``n`` eligible articles with the highest decayed mass."""
    top = state.popularity.tops[state.popularity.column(half_life_hours)]
    found = eligibility.first(state.catalog, top.rows(), n)
    if len(found) < n and top.is_cut():
        found = eligibility.first(state.catalog, top.all_rows(), n)
    return found


def similar_rows(state: State, eligibility: Eligibility, context: int, n: int) -> Rows:
    """The ``n`` eligible nearest articles: precomputed, searched only where filters leave too few."""
    rows, _ = state.neighbours.of(context)
    rows = rows[:n] if not eligibility.narrows else rows
    found = rows[eligibility.mask(state.catalog, rows)][:n]
    placed = state.index.placed(np.array([context]))[0]
    if len(found) >= min(n, 20) or not placed or not eligibility.narrows:
        return found
    everything = np.arange(len(state.catalog), dtype=np.int32)
    allowed = eligibility.mask(state.catalog, everything)
    return state.index.nearest(context, n, allowed)[0]


def history_rows(state: State, eligibility: Eligibility, reader: Reader, n: int, per_read: int) -> Rows:
    """Neighbours of what the reader opened lately.

    Args:
        state: what is known.
        eligibility: who may stand in the list.
        reader: with openings; the ten latest count.
        n: how many, the ones nearest to any of these openings.
        per_read: at most so many of each opening.
    """
    near = state.neighbours.first_of(reader.rows[:_OPENINGS], per_read)
    rows, cosines = near[0].ravel(), near[1].ravel()
    allowed = np.flatnonzero((rows >= 0) & eligibility.mask(state.catalog, rows))
    rows, cosines = rows[allowed], cosines[allowed]
    last, which = state.unique_rows.of(rows)
    nearest = np.full(len(last), -np.inf, dtype=np.float32)
    np.maximum.at(nearest, which, cosines)
    rows = rows[last]
    return rows[np.argpartition(-nearest, n)[:n]] if len(rows) > n else rows


def covisited_rows(state: State, eligibility: Eligibility, past: Rows, n: int) -> Rows:
    """The ``n`` eligible articles most read with what was opened, most recent first."""
    reached = state.learned.covisitation.reached(past)
    allowed = eligibility.mask(state.catalog, reached.rows)
    return Sums(reached.rows[allowed], reached.values[allowed]).best(n).rows


def generate(
    state: State, need: Need, eligibility: Eligibility, context: int | None, reader: Reader | None
) -> Candidates:
    """Candidates of one list, unscored, every one eligible.

    Latest articles are always among them, so a list is full while the catalogue has enough.
    """
    config, catalog = state.config.candidates, state.catalog
    latest = eligibility.first(catalog, catalog.newest(), max(need.count, config.latest))
    groups: list[tuple[str, NDArray[np.int32]]] = [("latest", latest)]
    if need.surface == "latest":
        return Candidates.union(groups)
    count = max(need.count, config.popular)
    groups.append(("popular", popular_rows(state, eligibility, need.half_life_hours, count)))
    if need.surface == "related" and context is not None:
        groups.append(("similar", similar_rows(state, eligibility, context, max(config.similar, need.count))))
        if need.covisited:
            own = np.array([context], np.int32)
            groups.append(("covisited", covisited_rows(state, eligibility, own, config.covisited)))
    if need.surface == "must_reads":
        wanted = max(need.count, config.priority)
        groups.append(("priority", eligibility.first(catalog, catalog.by_priority(), wanted)))
    if need.surface == "for_you" and reader is not None:
        rows = history_rows(state, eligibility, reader, config.history, config.per_history)
        groups.append(("history", rows))
        if need.covisited:
            groups.append(("covisited", covisited_rows(state, eligibility, reader.rows, config.covisited)))
    return Candidates.union(groups)
