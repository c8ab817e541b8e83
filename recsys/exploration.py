"""Chances for articles of which little is known, bounded, and logged with what they were.

With probability ``share`` one place of a list goes to a cold article, drawn from a seed that follows from
the request, so that a list can be made again. Each place has its propensity: the probability of its
article at its position given the places above it. Their product is the probability of the whole list,
and importance weights made of them are unbiased (Swaminathan et al., "Off-policy evaluation for slate
recommendation", NeurIPS 2017, has what can be done with them).
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.candidates import Floats, Rows
from recsys.catalog import UNKNOWN
from recsys.config import ExplorationConfig
from recsys.counters import HOUR
from recsys.rules import Eligibility
from recsys.state import State

_LOOKED_AT = 400
_MIN_CTR = 1e-3


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers of one request, the same whenever it is made again.

    Attributes:
        seed: of the configuration.
        key: of the request: the nonce in its ``request_id``.
    """

    seed: int
    key: bytes

    def uniform(self, label: str) -> float:
        """One number in [0, 1) for each label, independent of those for others."""
        text = b"%d\0%s\0%s" % (self.seed, label.encode(), self.key)
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Explored:
    """A list with, perhaps, one place given away.

    Attributes:
        rows: catalogue rows in their order.
        propensities: of each place, in (0, 1].
        place: 0-based place that was given away, None for none.
    """

    rows: list[int]
    propensities: list[float]
    place: int | None = None


def explore(
    rows: Sequence[int],
    pinned: Collection[int],
    pool: Rows,
    best_first: Callable[[Rows], Rows],
    config: ExplorationConfig,
    draws: Draws,
    surface: str,
) -> Explored:
    """Give one place of a finished list to a cold article, or none.

    Args:
        rows: the list, best first.
        pinned: catalogue rows that stay where they are.
        pool: cold articles that may stand in the list (``cold_pool``).
        best_first: the articles that it is given in the order in which the list would rank them; only
            asked where a place is given away.
        config: how often and where.
        draws: of the request.
        surface: the kind of list, whose draws are its own.
    """
    places = open_places(rows, pinned, config)
    if config.share <= 0.0 or surface not in config.surfaces or not places or len(pool) == 0:
        return Explored(list(rows), [1.0] * len(rows))
    draw = draws.uniform(f"{surface} place")
    if draw >= config.share:
        return left_alone(rows, pinned, config)
    chosen = places[min(int(draw / config.share * len(places)), len(places) - 1)]
    ordered = best_first(pool)[: config.pool]
    odds = falling(len(ordered))
    drawn = int(np.searchsorted(np.cumsum(odds), draws.uniform(f"{surface} article"), side="right"))
    drawn = min(drawn, len(ordered) - 1)
    propensities = _propensities(len(rows), places, config.share, chosen)
    propensities[chosen] *= float(odds[drawn])
    given = [*rows[:chosen], int(ordered[drawn]), *rows[chosen + 1 :]]
    return Explored(given, propensities, chosen)


def tries(draws: Draws, surface: str, config: ExplorationConfig) -> bool:
    """Whether ``explore`` gives a place of this list away, if it has one and there is an article for it."""
    return draws.uniform(f"{surface} place") < config.share


def left_alone(rows: Sequence[int], pinned: Collection[int], config: ExplorationConfig) -> Explored:
    """A list of which no place was given away, though one could have been.

    Args:
        rows: the list, best first.
        pinned: catalogue rows that stay where they are.
        config: how often and where.
    """
    places = open_places(rows, pinned, config)
    if not places:
        return Explored(list(rows), [1.0] * len(rows))
    return Explored(list(rows), _propensities(len(rows), places, config.share, None))


def open_places(rows: Sequence[int], pinned: Collection[int], config: ExplorationConfig) -> list[int]:
    """0-based places of a list that may be given away."""
    return [at for at, row in enumerate(rows) if at + 1 >= config.first_position and row not in pinned]


def falling(count: int) -> Floats:
    """(count,) chances of articles in their order: one over the place, so that none is negligible.

    Example:
        >>> falling(2).round(2).tolist()
        [0.67, 0.33]
    """
    odds = 1.0 / np.arange(1.0, count + 1.0)
    return np.asarray(odds / odds.sum())


def _propensities(length: int, places: Sequence[int], share: float, chosen: int | None) -> list[float]:
    """Of each place given those above: places are given away with like probability, at most one.

    At a place that could be given away, given that none above was, the chance is that of this place over
    that of all that are left. Once one was, nothing is left to chance.
    """
    each, found = share / len(places), [1.0] * length
    for number, at in enumerate(places):
        chance = each / (1.0 - each * number)
        found[at] = chance if at == chosen else 1.0 - chance
        if at == chosen:
            break
    return found


def cold_pool(
    state: State,
    now: float,
    eligible: Eligibility,
    page: Sequence[int],
    own: Sequence[int],
    config: ExplorationConfig,
) -> Rows:
    """Articles that little is known of and that may stand in a list, newest first.

    Args:
        state: what is known.
        now: unix seconds.
        eligible: the hard filters of the list.
        page: catalogue rows of all lists of the answer, which stand nowhere twice.
        own: rows of this list, of whose stories and near-duplicates there is no second version.
        config: how young and how little known.
    """
    catalog = state.catalog
    newest = catalog.newest()[:_LOOKED_AT]
    if len(newest) == 0 or not now - catalog.published[newest[0]] <= config.max_age_hours * HOUR:
        return newest[:0]
    rows = eligible.first(catalog, newest, 4 * config.pool)
    ages = now - catalog.published[rows]
    cold = (ages >= 0.0) & (ages <= config.max_age_hours * HOUR)
    cold &= evidence(state, rows, now) < config.evidence
    taken = set(page)
    rows = np.array([row for row in rows[cold].tolist() if row not in taken], dtype=np.int32)
    for codes in (catalog.story, catalog.duplicate):
        coded = codes[rows]
        if len(rows) and coded.max() != UNKNOWN:
            told = codes[np.asarray(own, dtype=np.int32)]
            rows = rows[~np.isin(coded, told[told != UNKNOWN])]
    return rows


def evidence(state: State, rows: Rows, now: float) -> Floats:
    """(n,) impressions by which each article is known lately; an opening is worth those that bring one."""
    counts = state.popularity
    shown = counts.impressions.read(now, int(counts.impressions.half_lives.argmax()), rows)
    opened = counts.openings.read(now, int(counts.openings.half_lives.argmax()), rows)
    return np.asarray(shown + opened / max(counts.config.ctr_prior, _MIN_CTR))
