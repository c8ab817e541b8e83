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
        return self.diversity == 0 and self.section_spread == 0 and self._by_share == 0

    @property
    def _by_share(self) -> float:
        return 0.0 if self.shares is None else self.calibration

    def ahead(
        self, picks: NDArray[np.float64], share: NDArray[np.float64], place: int
    ) -> NDArray[np.float64]:
        """Penalty of what is ahead of its share.

        Args:
            picks: (n,) earlier picks of each candidate's section.
            share: (n,) that the section should have.
            place: earlier picks of all.
        """
        return self._by_share * np.maximum(picks + 1.0 - share * max(place + 1, self.places), 0.0)


def one_version_each(candidates: Candidates, catalog: Catalog) -> Candidates:
    """Keep the best-placed article of each story and of each group of near-duplicates."""
    stories = catalog.story[candidates.rows]
    groups = catalog.duplicate[candidates.rows]
    if np.all(stories == UNKNOWN) and np.all(groups == UNKNOWN):
        return candidates
    keep = np.ones(len(candidates), dtype=bool)
    taken: set[tuple[str, int]] = set()
    # in order: what stands behind a version that is itself left out may stay
    for at in np.flatnonzero((stories != UNKNOWN) | (groups != UNKNOWN)).tolist():
        pairs = (("story", int(stories[at])), ("duplicate", int(groups[at])))
        own = {pair for pair in pairs if pair[1] != UNKNOWN}
        keep[at] = taken.isdisjoint(own)
        if keep[at]:
            taken |= own
    return candidates.take(keep)


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
    rest = np.setdiff1d(np.arange(len(candidates)), inside[chosen])
    order = np.concatenate((inside[chosen], rest))
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
    for section, share in enumerate(variety.shares.tolist()):
        if share * variety.places >= 1.0:
            found.append(np.flatnonzero(sections == section)[: int(share * limit) + 1])
    return np.unique(np.concatenate(found))


def _greedy(
    pool: Candidates, catalog: Catalog, index: ExactIndex, limit: int, variety: Variety
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    n = len(pool)
    likeness = np.zeros((n, n))
    if variety.diversity:
        # fmax: what cannot be compared is no repetition
        likeness = np.fmax(index.similarities(pool.rows, pool.rows), 0.0).astype(np.float64)
        likeness *= variety.diversity
    sections = catalog.section[pool.rows]
    same = (sections[:, None] == sections) & (sections != UNKNOWN)
    share = np.zeros(n)
    if variety.shares is not None:
        known = (sections >= 0) & (sections < len(variety.shares))
        share[known] = variety.shares[sections[known]]
    nearest, picks = np.zeros(n), np.zeros(n)
    open_scores = pool.scores.copy()
    chosen = np.empty(limit, dtype=np.intp)
    penalties = np.zeros(n)
    for place in range(limit):
        crowd = variety.section_spread * picks + variety.ahead(picks, share, place)
        pick = int(np.argmax(open_scores - nearest - crowd))
        chosen[place] = pick
        penalties[pick] = nearest[pick] + crowd[pick]
        open_scores[pick] = -np.inf
        np.maximum(nearest, likeness[pick], out=nearest)
        picks += same[pick]
    return chosen, penalties
