"""What the simulated newsroom shows: lists drawn by a Plackett-Luce policy, each with its chance.

The chance of an item is its weight over the weights still left (Plackett, "The Analysis of
Permutations", Applied Statistics 1975). Drawing with replacement and skipping repeats gives the same
law without a pass over the catalogue for each list. The weights are those of the slot's beginning, as
of a service that refreshes its lists every quarter of an hour.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR
from training.simulation.scenario import Floats
from training.simulation.world import World

Ints = NDArray[np.intp]
_ROUNDS = 3


@dataclass(frozen=True)
class Layout:
    """The order of articles by section.

    Attributes:
        order: (n,) rows by section.
        place_of: (n,) where each row stands in it.
        sections: (n,) section of each place.
        starts: (s + 1,) where each section begins.
    """

    order: Ints
    place_of: Ints
    sections: Ints
    starts: Ints

    @classmethod
    def of(cls, world: World) -> "Layout":
        """Of a world's articles."""
        order = np.argsort(world.sections, kind="stable")
        starts = np.searchsorted(world.sections[order], np.arange(len(world.names) + 1))
        return cls(order, np.argsort(order), world.sections[order], starts)


class Shelf:
    """Articles with weights, ready to draw from.

    Args:
        layout: of the articles.
        weights: (n,) by row.
    """

    def __init__(self, layout: Layout, weights: Floats) -> None:
        self.layout, self.weights = layout, weights[layout.order]
        self._cumulated = np.concatenate(([0.0], np.cumsum(self.weights)))
        ends = self._cumulated[layout.starts]
        self.masses: Floats = np.diff(ends)

    def draw(self, rng: np.random.Generator, prefer: Floats, k: int) -> Ints:
        """``k`` places of the layout for each reader, with replacement.

        Args:
            rng: of the draws.
            prefer: (b, s) factor of each section; every row has a section with weight.

        Returns:
            (b, k) places.
        """
        cdf = np.cumsum(prefer * self.masses, axis=1)
        wanted = rng.random((len(prefer), k)) * cdf[:, -1:]
        section = (wanted[:, :, None] >= cdf[:, None, :-1]).sum(axis=2)
        starts, cumulated = self.layout.starts, self._cumulated
        low = cumulated[starts[section]]
        inside = low + rng.random(wanted.shape) * self.masses[section]
        at = np.searchsorted(cumulated, inside, side="right") - 1
        return np.asarray(np.clip(at, starts[section], starts[section + 1] - 1))


@dataclass(frozen=True)
class Lists:
    """Drawn lists.

    Attributes:
        rows: (b, n) catalogue rows, -1 where a list is shorter.
        chances: (b, n) probability of each item given those above it.
        weights: (b, n) the policy's weights.
    """

    rows: Ints
    chances: Floats
    weights: Floats


def policy_weights(world: World, now: float) -> Floats:
    """(n,) weight of each article in the newsroom's own order, 0 before its publication."""
    rule = world.scenario
    age = (now - world.published) / HOUR
    fresh = 1.0 / (1.0 + np.exp(np.clip((age - rule.cutoff_hours) / rule.cutoff_width, -50.0, 50.0)))
    pull = world.prominence * world.quality**rule.quality_pull * np.exp(rule.priority_pull * world.priority)
    pull = np.where(age >= 0, pull, 0.0)
    old = rule.old_share / (1.0 - rule.old_share) * (fresh @ pull) / max(float(pull.sum()), 1e-300)
    return np.asarray((fresh + old) * pull)


def draw_lists(rng: np.random.Generator, shelf: Shelf, prefer: Floats, without: Ints, length: int) -> Lists:
    """A list for each reader.

    Args:
        rng: of the draws.
        shelf: with positive weight somewhere.
        prefer: (b, s) factor of each section.
        without: (b,) row that must not be listed, -1 for none.
        length: places.
    """
    barred = np.where(without >= 0, shelf.layout.place_of[without], -1)
    places = np.full((len(prefer), length), -1)
    missing = np.arange(len(prefer))
    drawn = np.zeros((len(prefer), 0), dtype=np.intp)
    for k in (3 * length, *[8 * length] * _ROUNDS):
        drawn = np.hstack((drawn, shelf.draw(rng, prefer[missing], k)))
        places[missing] = _distinct(drawn, barred[missing], length)
        short = places[missing, -1] < 0
        missing, drawn = missing[short], drawn[short]
        if len(missing) == 0:
            break
    for reader in missing.tolist():
        places[reader] = _completed(rng, shelf, prefer[reader], places[reader], int(barred[reader]))
    return _with_chances(shelf, prefer, places, barred)


def _distinct(drawn: Ints, barred: Ints, length: int) -> Ints:
    """The first ``length`` different places of each row, -1 where there are fewer."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    first = np.ones(drawn.shape, dtype=bool)
    repeated = np.zeros(drawn.shape, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    np.put_along_axis(first, order, ~repeated, axis=1)
    first &= drawn != barred[:, None]
    rank = np.cumsum(first, axis=1)
    found = np.full((len(drawn), length), -1)
    reader, column = np.nonzero(first & (rank <= length))
    found[reader, rank[reader, column] - 1] = drawn[reader, column]
    return found


def _completed(rng: np.random.Generator, shelf: Shelf, prefer: Floats, places: Ints, barred: int) -> Ints:
    """A list whose end lies among rarely drawn articles, completed by Gumbel noise on log weights."""
    weights = shelf.weights * prefer[shelf.layout.sections]
    weights[places[places >= 0]] = 0.0
    if barred >= 0:
        weights[barred] = 0.0
    rest = np.flatnonzero(weights > 0)
    noise = np.log(weights[rest]) + rng.gumbel(size=len(rest))
    full = np.concatenate((places[places >= 0], rest[np.argsort(-noise)]))[: len(places)]
    return np.concatenate((full, np.full(len(places) - len(full), -1)))


def _with_chances(shelf: Shelf, prefer: Floats, places: Ints, barred: Ints) -> Lists:
    readers = np.arange(len(places))
    there = places >= 0
    weights = np.where(
        there, shelf.weights[places] * prefer[readers[:, None], shelf.layout.sections[places]], 0.0
    )
    total = (prefer * shelf.masses).sum(axis=1)
    gone = shelf.weights[barred] * prefer[readers, shelf.layout.sections[barred]]
    total -= np.where(barred >= 0, gone, 0.0)
    above = np.cumsum(weights, axis=1) - weights
    left = np.maximum(total[:, None] - above, weights)
    chances = np.where(there, weights / np.maximum(left, 1e-300), 1.0)
    return Lists(np.where(there, shelf.layout.order[places], -1), np.clip(chances, 1e-12, 1.0), weights)
