"""From scored candidates to an order: one version of a story, variety, a spread over sections.

Diversity follows maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998), written as a
penalty so that it stays an additive part of the score: each pick costs what it repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Candidates
from recsys.catalog import UNKNOWN, Catalog
from recsys.index import ExactIndex


@dataclass(frozen=True, slots=True)
class Variety:
    """How much repetition costs.

    Attributes:
        diversity: penalty per unit of the highest cosine to an earlier pick, 0-1.
        section_spread: penalty per earlier pick of the same section.
        calibration: penalty per article of a section beyond its share of the places (after Steck,
            "Calibrated Recommendations", RecSys 2018), so that each interest of a reader is served and a
            single one is not thinned out.
        shares: (s,) share that each section should have, by code.
        places: of the list that the shares are of.
        pool: how many of the best candidates take part.
    """

    diversity: float = 0.0
    section_spread: float = 0.0
    pool: int = 50
    calibration: float = 0.0
    shares: NDArray[np.float64] | None = None
    places: int = 10

    @property
    def is_none(self) -> bool:
        """Whether nothing costs anything."""
        return self.diversity == 0 and self.section_spread == 0 and self.by_share == 0

    @property
    def by_share(self) -> float:
        """``calibration`` where there are shares."""
        return 0.0 if self.shares is None else self.calibration

    def share_of(self, sections: NDArray[np.int32]) -> NDArray[np.float64]:
        """(n,) share that each section should have, 0 for one without."""
        if self.shares is None or len(self.shares) == 0:
            return np.zeros(len(sections))
        known = (sections >= 0) & (sections < len(self.shares))
        return np.where(known, self.shares.take(sections, mode="clip"), 0.0)

    def crowd(self, section: int, picks: int, places: int) -> float:
        """Penalty of one more article of a section.

        Args:
            section: its code, -1 for none.
            picks: of the section so far.
            places: that its share is taken of.
        """
        known = self.shares is not None and 0 <= section < len(self.shares)
        share = float(self.shares[section]) if known else 0.0  # type: ignore[index]
        return self.section_spread * picks + self.by_share * max(picks + 1.0 - share * places, 0.0)


def one_version_each(candidates: Candidates, catalog: Catalog) -> Candidates:
    """Keep the best-placed article of each story and of each group of near-duplicates."""
    stories = catalog.story[candidates.rows]
    groups = catalog.duplicate[candidates.rows]
    in_story, in_group = stories != UNKNOWN, groups != UNKNOWN
    if not in_story.any():
        return candidates if not in_group.any() else candidates.take(_first_of_each(groups))
    if not in_group.any():
        return candidates.take(_first_of_each(stories))
    keep = np.ones(len(candidates), dtype=bool)
    taken: set[tuple[str, int]] = set()
    # in order: what stands behind a version that is itself left out may stay
    for at in np.flatnonzero(in_story | in_group).tolist():
        pairs = (("story", int(stories[at])), ("duplicate", int(groups[at])))
        own = {pair for pair in pairs if pair[1] != UNKNOWN}
        keep[at] = taken.isdisjoint(own)
        if keep[at]:
            taken |= own
    return candidates.take(keep)


def _first_of_each(codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(n,) which are the first with their code, or have none."""
    keep = np.asarray(codes == UNKNOWN)
    coded = np.flatnonzero(~keep)
    keep[coded[np.unique(codes[coded], return_index=True)[1]]] = True
    return keep


def without_versions_of(rows: Sequence[int], candidates: Candidates, catalog: Catalog) -> Candidates:
    """Candidates that are none of ``rows``, nor of their stories or groups of near-duplicates."""
    if not rows:
        return candidates
    same = np.isin(candidates.rows, rows)
    for codes in (catalog.story, catalog.duplicate):
        taken = codes[list(rows)]
        same |= np.isin(codes[candidates.rows], taken[taken != UNKNOWN])
    return candidates.take(~same)


def rerank(
    candidates: Candidates, catalog: Catalog, index: ExactIndex, limit: int, variety: Variety
) -> Candidates:
    """The same candidates with the first ``limit`` chosen greedily for variety.

    Args:
        candidates: best first, one version of each story.
        catalog: for sections.
        index: for the vectors.
        limit: how many places are chosen; the rest keeps its order behind them.
        variety: the penalties; without any the order stays.
    """
    if variety.is_none or len(candidates) < 2:
        return candidates
    inside = _pool(candidates, catalog, limit, variety)
    pool = candidates.take(inside)
    chosen, penalties = _greedy(pool, catalog, index, min(limit, len(pool)), variety)
    left = np.ones(len(candidates), dtype=bool)
    left[inside[chosen]] = False
    order = np.concatenate((inside[chosen], np.flatnonzero(left)))
    full = np.zeros(len(candidates))
    full[inside] = -penalties
    return candidates.plus_part("variety", full).take(order)


def _pool(candidates: Candidates, catalog: Catalog, limit: int, variety: Variety) -> NDArray[np.intp]:
    """The best candidates, and of each section that has a share as many as fill it."""
    inside = np.arange(min(max(variety.pool, limit), len(candidates)))
    if variety.shares is None:
        return inside
    sections = catalog.section[candidates.rows]
    found = [inside]
    for section in np.flatnonzero(variety.shares * variety.places >= 1.0).tolist():
        wanted = int(variety.shares[section] * limit) + 1
        found.append(np.flatnonzero(sections == section)[:wanted])
    taken = np.zeros(len(candidates), dtype=bool)
    taken[np.concatenate(found)] = True
    return np.flatnonzero(taken)


def _greedy(
    pool: Candidates, catalog: Catalog, index: ExactIndex, limit: int, variety: Variety
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    n = len(pool)
    likeness = _Likeness(pool.rows, index) if variety.diversity else None
    crowding = _Crowding(catalog.section[pool.rows], variety)
    nearest, value = np.zeros(n), pool.scores - crowding.costs
    chosen, penalties, left = np.empty(limit, dtype=np.intp), np.zeros(n), np.empty(n)
    for place in range(limit):
        crowding.make_room(place, value)
        pick = int(np.subtract(value, nearest, out=left).argmax())
        chosen[place] = pick
        penalties[pick] = nearest[pick] + crowding.costs[pick]
        value[pick] = -np.inf
        if likeness is not None:
            np.maximum(nearest, variety.diversity * likeness.of(pick), out=nearest)
        crowding.picked(pick, value)
    return chosen, penalties


class _Likeness:
    """How alike candidates are, found out for those that are picked.

    Args:
        rows: (n,) of the candidates.
        index: their vectors.
    """

    def __init__(self, rows: NDArray[np.int32], index: ExactIndex) -> None:
        alike = bool(index.has[rows].all())
        self._vectors = index.take(rows) if alike else None
        self._all = None if alike else index.similarities(rows, rows)

    def of(self, pick: int) -> NDArray[np.float32]:
        """(n,) how alike each candidate is with one of them; negative or 0 is no repetition."""
        if self._vectors is not None:
            return np.asarray(self._vectors @ self._vectors[pick])
        # nor is what cannot be compared
        return np.asarray(np.fmax(self._all[pick], 0.0))  # type: ignore[index]


class _Crowding:
    """What it costs to repeat sections.

    Args:
        sections: (n,) of the candidates.
        variety: the penalties.

    Attributes:
        costs: (n,) of one more article of each candidate's section.
    """

    def __init__(self, sections: NDArray[np.int32], variety: Variety) -> None:
        self._sections, self._variety = sections, variety
        self._matters = variety.section_spread != 0 or variety.by_share != 0
        self._places, self._picks = variety.places, dict[int, int]()
        self._members: dict[int, NDArray[np.intp]] = {}
        self.costs = np.zeros(len(sections))
        if self._matters and variety.by_share:
            ahead = np.maximum(1.0 - variety.share_of(sections) * self._places, 0.0)
            self.costs = variety.by_share * ahead

    def make_room(self, place: int, value: NDArray[np.float64]) -> None:
        """Take the shares of more places, once the list is longer than those it has to fill."""
        if self._matters and place >= self._places:
            self._places = place + 1
            for section in set(self._sections.tolist()):
                self._settle(section, value)

    def picked(self, pick: int, value: NDArray[np.float64]) -> None:
        """Count a pick, and lower the ``value`` (n,) of others of its section."""
        section = int(self._sections[pick])
        if self._matters and section != UNKNOWN:
            self._picks[section] = self._picks.get(section, 0) + 1
            self._settle(section, value)

    def _settle(self, section: int, value: NDArray[np.float64]) -> None:
        members = self._members.get(section)
        if members is None:
            members = self._members[section] = np.flatnonzero(self._sections == section)
        cost = self._variety.crowd(section, self._picks.get(section, 0), self._places)
        value[members] -= cost - self.costs[members[0]]
        self.costs[members] = cost
