"""A world of lists whose truth is known: real drawn lists, readers who differ, clicks by rule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.exploration import falling
from recsys.randomising import Alone, Mixture, Ranked, Swapped, Tried
from training.ope.lists import LoggedLists, Options

ARTICLES, PLACES = 7, 3
LOOKED = np.array([0.9, 0.6, 0.4])
# share, temperature: how far drawn lists go from the one that is left alone
OVERLAPS = {"wide": (1.0, 0.7), "fair": (0.4, 0.6), "thin": (0.15, 0.5)}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Context:
    """What the policies do in one situation, and what readers like in it.

    Attributes:
        lists: (s, PLACES) every list that may be logged.
        chances: (s,) of each.
        logged, target, logged_at, target_at: (s, PLACES) of each place.
        next: what the judged policy puts there, by list.
        at: (PLACES, ARTICLES) what it puts there whatever stands above.
        alone: (PLACES,) its list.
        liked: (ARTICLES,) chance of a click where a reader looks.
        judged: (t, PLACES) every list of the judged policy, and (t,) its chances.
    """

    lists: NDArray[np.int64]
    chances: Floats
    logged: Floats
    target: Floats
    logged_at: Floats
    target_at: Floats
    next: Floats
    at: Floats
    alone: NDArray[np.int64]
    liked: Floats
    judged: tuple[NDArray[np.int64], Floats]


def lists_of(policy: Mixture) -> tuple[NDArray[np.int64], Floats]:
    """Every list of a policy with its chance."""
    found: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(PLACES):
        found = {
            (*rows, row): chance * each
            for rows, chance in found.items()
            for row, each in policy.following(rows).items()
        }
    return np.array(list(found), dtype=np.int64), np.array(list(found.values()))


def dense(chances: dict[int, float]) -> Floats:
    found = np.zeros(ARTICLES)
    for row, chance in chances.items():
        found[row] = chance
    return found


def _missing(context: Context) -> float:
    """Share of the judged policy's lists that are never logged."""
    logged = {tuple(rows) for rows in context.lists.tolist()}
    lists, chances = context.judged
    found = [
        chance for rows, chance in zip(lists.tolist(), chances, strict=True) if tuple(rows) not in logged
    ]
    return float(sum(found))


class World:
    """Contexts, each with its policies.

    Args:
        overlap: of ``OVERLAPS``.
        seed: of the world.
        contexts: situations.
        method: by which lists are drawn.
        cascade: whether a reader goes away after a click; else places do not matter to each other.
    """

    def __init__(
        self,
        overlap: str,
        seed: int = 1,
        contexts: int = 12,
        method: str = "plackett_luce",
        cascade: bool = False,
    ) -> None:
        rng, self.cascade = np.random.default_rng(seed), cascade
        share, temperature = OVERLAPS[overlap]
        self.contexts = [self._context(rng, share, temperature, method) for _ in range(contexts)]
        self.truth = float(np.mean([self._worth(each) for each in self.contexts]))
        self.unsupported = float(np.mean([_missing(each) for each in self.contexts]))

    def _context(self, rng: np.random.Generator, share: float, temperature: float, method: str) -> Context:
        order = rng.permutation(ARTICLES).tolist()
        shown, spares, cold = order[:PLACES], order[PLACES:], order[-2:]
        drawn = (
            [Ranked(shown, spares, (), ARTICLES, temperature)]
            if method == "plackett_luce"
            else [Swapped(shown, (), first) for first in (0, 1)]
        )
        odds = dict(zip(cold, falling(2).tolist(), strict=True))
        tried, cold_share = Tried(shown, [1, 2], cold, lambda: odds), 0.05
        logged = Mixture(
            [
                (cold_share, tried),
                *[((1 - cold_share) * share / len(drawn), each) for each in drawn],
                ((1 - cold_share) * (1 - share), Alone(shown)),
            ]
        )
        other = order[:]
        # neighbouring ranks change places, further in the list than what is shown
        for at in (0, 2, 3):
            if rng.random() < 0.7:
                other[at], other[at + 1] = other[at + 1], other[at]
        target = Mixture([(0.9, Alone(other[:PLACES])), (0.1, Ranked(other[:3], other[3:], (), 5, 0.5))])
        lists, chances = lists_of(logged)
        nexts = np.array(
            [[dense(dict(target.following(r[:k]))) for k in range(PLACES)] for r in lists.tolist()]
        )
        at = np.array([dense(dict(target.at(place))) for place in range(PLACES)])
        logged_at = np.array([dense(dict(logged.at(place))) for place in range(PLACES)])
        places = np.arange(PLACES)
        return Context(
            lists,
            chances / chances.sum(),
            np.array([logged.chances(rows) for rows in lists.tolist()]),
            np.array([target.chances(rows) for rows in lists.tolist()]),
            logged_at[places, lists],
            at[places, lists],
            nexts,
            at,
            np.array(other[:PLACES]),
            rng.beta(2.0, 9.0, ARTICLES),
            lists_of(target),
        )

    def rates(self, context: Context, lists: NDArray[np.int64], pace: Floats) -> Floats:
        """(n, PLACES) chance of a click where no click came before.

        Args:
            context: the situation.
            lists: (n, PLACES).
            pace: (n,) factor of each reader.
        """
        return np.asarray(np.minimum(context.liked[lists] * LOOKED * pace[:, None], 1.0))

    def _worth(self, context: Context) -> float:
        """Clicks of a list of the judged policy, over readers of three paces."""
        lists, chances = context.judged
        found = 0.0
        for pace in PACES:
            rates = self.rates(context, lists, np.full(len(lists), pace))
            if self.cascade:
                stays = np.cumprod(1.0 - rates, axis=1)
                rates = rates * np.concatenate((np.ones((len(lists), 1)), stays[:, :-1]), axis=1)
            found += float(chances @ rates.sum(axis=1)) / len(PACES)
        return found

    def logged(self, rng: np.random.Generator, readers: int, each: int) -> LoggedLists:
        """The lists of some readers, ``each`` of every one."""
        n = readers * each
        reader = np.repeat(np.arange(readers), each)
        pace = np.array(PACES)[rng.integers(0, len(PACES), readers)][reader]
        which = rng.integers(0, len(self.contexts), n)
        parts: dict[str, Floats] = {}
        wide = np.arange(ARTICLES)
        for number, context in enumerate(self.contexts):
            own = np.flatnonzero(which == number)
            picked = rng.choice(len(context.lists), len(own), p=context.chances)
            lists = context.lists[picked]
            clicks = rng.random(lists.shape) < self.rates(context, lists, pace[own])
            if self.cascade:
                clicks &= np.cumsum(clicks, axis=1) <= 1
            found = {
                "articles": lists,
                "rewards": clicks.astype(float),
                "next": context.next[picked],
                "at": np.broadcast_to(context.at, (len(own), *context.at.shape)),
                "alone": np.broadcast_to(context.alone, lists.shape),
            }
            for name in ("logged", "target", "logged_at", "target_at"):
                found[name] = getattr(context, name)[picked]
            for name, values in found.items():
                if name not in parts:
                    parts[name] = np.zeros((n, *values.shape[1:]), dtype=values.dtype)
                parts[name][own] = values
        # each situation has articles of its own
        shift = which[:, None] * ARTICLES
        codes = np.broadcast_to(shift[:, :, None] + wide, parts["next"].shape)
        return LoggedLists(
            reader,
            parts["articles"].astype(np.int64) + shift,
            parts["rewards"],
            parts["logged"],
            parts["target"],
            Options(codes, parts["next"]),
            parts["logged_at"],
            parts["target_at"],
            Options(codes, parts["at"]),
            parts["alone"].astype(np.int64) + shift,
        )

    @property
    def articles(self) -> int:
        """How many article codes there are."""
        return ARTICLES * len(self.contexts)


PACES = (0.4, 0.8, 1.8)
