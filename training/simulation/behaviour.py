"""What simulated readers do: they come, look at lists, open articles, read them.

Readers examine each place by its own chance and open what they examined by its attractiveness,
independently of the other places: the position-based model (Richardson, Dominowska, Ragno, WWW 2007).
Sessions of one slot of time go forward together, so that the work is on arrays.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.simulation.policy import Ints, Layout, Lists, Shelf, draw_lists, policy_weights
from training.simulation.scenario import Floats
from training.simulation.world import World

SLOT = 900.0
_RHYTHM = np.array([1, 1, 1, 1, 1, 2, 4, 7, 8, 6, 5, 5, 7, 6, 5, 5, 5, 6, 7, 8, 8, 7, 5, 3], dtype=np.float64)
_MOST_STEPS = 8
KINDS = ("view", "impression", "click", "read", "share", "save", "comment")
VIEW, IMPRESSION, CLICK, READ, SHARE = range(5)
SURFACES = ("related", "for_you")


@dataclass
class Block:
    """What happened in one slot: columns of events, and served lists.

    Attributes:
        events: by name (kind, ts, user, row, value, list, position), a list of arrays each; ``list`` counts
            the lists of the block, -1 for none.
        lists: by name (ts, user, surface, context, rows, chances, weights).
    """

    events: dict[str, list[NDArray[np.generic]]] = field(default_factory=dict)
    lists: dict[str, list[NDArray[np.generic]]] = field(default_factory=dict)
    served: int = 0

    def event(self, kind: int, ts: Floats, user: Ints, row: Ints, **more: NDArray[np.generic]) -> None:
        """Note events of one kind."""
        blank = {
            "value": np.full(len(ts), np.nan),
            "list": np.full(len(ts), -1),
            "position": np.zeros(len(ts), dtype=np.intp),
        }
        columns = {"kind": np.full(len(ts), kind), "ts": ts, "user": user, "row": row, **blank, **more}
        for name, values in columns.items():
            self.events.setdefault(name, []).append(values)

    def served_lists(self, lists: Lists, **columns: NDArray[np.generic]) -> Ints:
        """Note served lists; returns their numbers in the block."""
        numbers = self.served + np.arange(len(lists.rows))
        everything = {**columns, "rows": lists.rows, "chances": lists.chances, "weights": lists.weights}
        for name, values in everything.items():
            self.lists.setdefault(name, []).append(values)
        self.served += len(lists.rows)
        return numbers


def sessions(
    rng: np.random.Generator, world: World, days: int, end: float
) -> Iterator[tuple[float, Floats, Ints]]:
    """Slots in time order: begin of the slot, starts of its sessions (unix seconds), their readers."""
    begin = end - days * 86_400.0
    counts = rng.poisson(world.activity * days)
    users = np.repeat(np.arange(len(counts)), counts)
    hour = rng.choice(24, size=len(users), p=_RHYTHM / _RHYTHM.sum())
    ts = begin + rng.integers(0, days, size=len(users)) * 86_400.0 + (hour + rng.random(len(users))) * 3600.0
    order = np.argsort(ts, kind="stable")
    ts, users = ts[order], users[order]
    slots = np.floor((ts - begin) / SLOT)
    for part in np.split(np.arange(len(ts)), np.flatnonzero(np.diff(slots)) + 1):
        if len(part):
            yield begin + float(slots[part[0]]) * SLOT, ts[part], users[part]


def visit(
    rng: np.random.Generator, world: World, layout: Layout, slot: tuple[float, Floats, Ints], end: float
) -> Block:
    """All sessions of a slot: an opening from outside or a list of the reader's own, then related ones."""
    begin, ts, users = slot
    block = Block()
    shown = Shelf(layout, policy_weights(world, begin))
    everything = np.arange(len(world.articles))
    wanted = Shelf(layout, world.appeal(everything, begin) * world.quality)
    if shown.masses.sum() <= 0 or wanted.masses.sum() <= 0:
        return block
    steps = np.minimum(1 + rng.poisson(1.5, size=len(users)), _MOST_STEPS)
    home = rng.random(len(users)) < world.scenario.for_you_share
    current = layout.order[wanted.draw(rng, world.interests[users], 1)[:, 0]]
    outside = np.flatnonzero(~home)
    _open(rng, world, block, ts[outside], users[outside], current[outside])
    context = np.where(home, -1, current)
    here = np.arange(len(users))
    for step in range(_MOST_STEPS + 1):
        here = here[(steps[here] + home[here] > step) & (ts[here] <= end)]
        if len(here) == 0:
            break
        context[here] = _browse(rng, world, block, shown, ts[here], users[here], context[here])
        ts = ts + rng.exponential(90.0, size=len(ts)) + 10.0
        here = here[context[here] >= 0]
    return block


def _browse(
    rng: np.random.Generator, world: World, block: Block, shelf: Shelf, ts: Floats, users: Ints, context: Ints
) -> Ints:
    """One list for each reader; the row that each goes on with, -1 for nobody who goes on."""
    rule = world.scenario
    beside = context >= 0
    same = world.sections[context][:, None] == np.arange(len(world.names))
    liked = np.where(beside[:, None], same, world.interests[users] >= rule.liked)
    lists = draw_lists(rng, shelf, np.where(liked, rule.same_section, 1.0), context, rule.list_length)
    surface = np.where(beside, 0, 1)
    numbers = block.served_lists(lists, ts=ts, user=users, surface=surface, context=context)
    there = lists.rows >= 0
    chance = world.attractiveness(users[:, None], lists.rows, ts[:, None])
    seen = (rng.random(there.shape) < rule.examined()) & there
    clicked = seen & (rng.random(there.shape) < chance)
    if rule.confirmed_impressions:
        _note(block, IMPRESSION, seen, 2.0, ts, users, lists, numbers)
    at, place = _note(block, CLICK, clicked, 5.0, ts, users, lists, numbers)
    _open(rng, world, block, ts[at] + 6.0 + place, users[at], lists.rows[at, place])
    first = np.argmax(clicked, axis=1)
    return np.where(clicked.any(axis=1), lists.rows[np.arange(len(first)), first], -1)


def _note(
    block: Block,
    kind: int,
    where: NDArray[np.bool_],
    delay: float,
    ts: Floats,
    users: Ints,
    lists: Lists,
    numbers: Ints,
) -> tuple[Ints, Ints]:
    at, place = np.nonzero(where)
    more = {"list": numbers[at], "position": place + 1}
    block.event(kind, ts[at] + delay + place, users[at], lists.rows[at, place], **more)
    return at, place


def _open(rng: np.random.Generator, world: World, block: Block, ts: Floats, users: Ints, rows: Ints) -> None:
    """Views, how long was read, and what some readers do with what they liked."""
    block.event(VIEW, ts, users, rows)
    quality = np.minimum(world.quality[rows], 3.0)
    seconds = rng.gamma(1.5, 40.0 * quality)
    block.event(READ, ts + seconds, users, rows, value=np.round(seconds, 1))
    moved = np.flatnonzero(rng.random(len(rows)) < 0.03 * quality)
    kinds = rng.integers(SHARE, len(KINDS), size=len(moved))
    for kind in range(SHARE, len(KINDS)):
        some = moved[kinds == kind]
        block.event(kind, ts[some] + seconds[some], users[some], rows[some])
