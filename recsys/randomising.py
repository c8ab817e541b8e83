"""Lists that are drawn, and the chance of every place given those above it.

A list comes from one of several branches: it is left alone, ranked at random, has neighbours swapped, or
one of its places goes to a cold article. Several branches can bring the same list, so the chance of a place
is that under the whole mixture: the chance of the list down to this place over that down to the place
above. It is computed exactly, by following how probable each branch is given the places so far.

Sources: Plackett, "The analysis of permutations", Applied Statistics 1975 (ranking at random); Radlinski and
Joachims, "Minimally invasive randomization for collecting unbiased preferences from clickthrough logs", AAAI
2006 (neighbours).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from recsys.exploration import Draws
from recsys.rank_chances import rank_marginals, rank_weights

Chances = Mapping[int, float]


class Branch(Protocol):
    """One way in which a list comes about."""

    def following(self, above: Sequence[int]) -> Chances:
        """Of each article that may come at the next place.

        Args:
            above: catalogue rows of the places above; where they cannot come about, nothing follows.
        """

    def chance(self, above: Sequence[int], row: int) -> float:
        """Of one article at the next place, as ``following`` has it."""

    def at(self, place: int) -> Chances:
        """Of each article at a 0-based place, whatever stands above; exact."""


class Alone:
    """The list as it is.

    Args:
        shown: catalogue rows in order.
    """

    def __init__(self, shown: Sequence[int]) -> None:
        self._shown = list(shown)

    def following(self, above: Sequence[int]) -> Chances:
        """See ``Branch``."""
        place = len(above)
        return {self._shown[place]: 1.0} if list(above) == self._shown[:place] else {}

    def chance(self, above: Sequence[int], row: int) -> float:
        """See ``Branch``."""
        return self.following(above).get(row, 0.0)

    def at(self, place: int) -> Chances:
        """See ``Branch``."""
        return {self._shown[place]: 1.0}


class Ranked:
    """A list ranked at random: each place by the weights of what is left (Plackett-Luce).

    Args:
        shown: the list, best first.
        spares: candidates behind it that may come in, best first.
        pinned: rows that stay where they are.
        pool: how many of the best take part; behind their places the list goes on as it is.
        temperature: the k-th best has the weight k^(-1/temperature).
    """

    def __init__(
        self,
        shown: Sequence[int],
        spares: Sequence[int],
        pinned: Collection[int],
        pool: int,
        temperature: float,
    ) -> None:
        free = [place for place, row in enumerate(shown) if row not in pinned]
        self._best = [*(shown[place] for place in free), *spares][:pool]
        self._temperature = temperature
        self._shown, self._drawn = list(shown), free[: len(self._best)]
        self._is_drawn = frozenset(self._drawn)
        self._weights = dict(
            zip(self._best, rank_weights(len(self._best), temperature).tolist(), strict=True)
        )

    def following(self, above: Sequence[int]) -> Chances:
        """See ``Branch``."""
        left = dict(self._weights)
        for place, row in enumerate(above):
            possible = (
                left.pop(row, None) is not None if place in self._is_drawn else row == self._shown[place]
            )
            if not possible:
                return {}
        if len(above) not in self._is_drawn:
            return {self._shown[len(above)]: 1.0}
        total = sum(left.values())
        return {row: weight / total for row, weight in left.items()}

    def chance(self, above: Sequence[int], row: int) -> float:
        """See ``Branch``."""
        return self.following(above).get(row, 0.0)

    def at(self, place: int) -> Chances:
        """See ``Branch``."""
        if place not in self._is_drawn:
            return {self._shown[place]: 1.0}
        chances = rank_marginals(len(self._best), len(self._drawn), self._temperature)
        return dict(zip(self._best, chances[:, self._drawn.index(place)].tolist(), strict=True))


class Swapped:
    """A list in pairs of neighbours, each of which stands the other way round with a chance of one half.

    Args:
        shown: catalogue rows in order.
        pinned: rows that stay where they are.
        first: where the first pair begins, 0 or 1 among the rows that may move.
    """

    def __init__(self, shown: Sequence[int], pinned: Collection[int], first: int) -> None:
        free = [place for place, row in enumerate(shown) if row not in pinned]
        self._shown = list(shown)
        self._partner = dict[int, int]()
        for one, other in zip(free[first::2], free[first + 1 :: 2], strict=False):
            self._partner |= {one: other, other: one}

    def following(self, above: Sequence[int]) -> Chances:
        """See ``Branch``."""
        for place, row in enumerate(above):
            if row not in self._next(above[:place]):
                return {}
        return self._next(above)

    def _next(self, above: Sequence[int]) -> Chances:
        place = len(above)
        own, partner = self._shown[place], self._partner.get(place)
        if partner is None:
            return {own: 1.0}
        if partner > place:
            return {own: 0.5, self._shown[partner]: 0.5}
        return {self._shown[partner] if above[partner] == own else own: 1.0}

    def chance(self, above: Sequence[int], row: int) -> float:
        """See ``Branch``."""
        return self.following(above).get(row, 0.0)

    def at(self, place: int) -> Chances:
        """See ``Branch``."""
        partner = self._partner.get(place)
        own = self._shown[place]
        return {own: 1.0} if partner is None else {own: 0.5, self._shown[partner]: 0.5}


class Tried:
    """A list in which one place goes to a cold article, as in ``recsys.exploration``.

    Args:
        shown: catalogue rows in order.
        places: 0-based, of which each is given away with like chance; at least one.
        pool: cold articles, none of which is in the list.
        odds: of the cold articles that may be drawn; only asked where one of them matters.
    """

    def __init__(
        self,
        shown: Sequence[int],
        places: Sequence[int],
        pool: Collection[int],
        odds: Callable[[], Chances],
    ) -> None:
        self._shown, self._places = list(shown), list(places)
        self._pool, self._ask = frozenset(pool), odds
        self._known: Chances | None = None

    def _odds(self) -> Chances:
        if self._known is None:
            self._known = self._ask()
        return self._known

    def _to_come(self, above: Sequence[int]) -> int | None:
        """How many places may still be given away: 0 where one was, None where ``above`` cannot be."""
        given = [place for place, row in enumerate(above) if row != self._shown[place]]
        if not given:
            return sum(place >= len(above) for place in self._places)
        possible = len(given) == 1 and given[0] in self._places and above[given[0]] in self._pool
        return 0 if possible and above[given[0]] in self._odds() else None

    def following(self, above: Sequence[int]) -> Chances:
        """See ``Branch``."""
        left, own = self._to_come(above), self._shown[len(above)]
        # a place must have been given away by the last of them
        if left is None or (left == 0 and list(above) == self._shown[: len(above)]):
            return {}
        if left == 0 or len(above) not in self._places:
            return {own: 1.0}
        kept = {own: 1.0 - 1.0 / left} if left > 1 else {}
        return kept | {row: odds / left for row, odds in self._odds().items()}

    def chance(self, above: Sequence[int], row: int) -> float:
        """See ``Branch``."""
        place = len(above)
        if row == self._shown[place] and list(above) == self._shown[:place]:
            left = sum(each >= place for each in self._places)
            given = place in self._places
            return (1.0 - given / left) if left else 0.0
        if row != self._shown[place] and row not in self._pool:
            return 0.0
        return self.following(above).get(row, 0.0)

    def at(self, place: int) -> Chances:
        """See ``Branch``."""
        own, each = self._shown[place], 1.0 / len(self._places)
        if place not in self._places:
            return {own: 1.0}
        return {own: 1.0 - each} | {row: odds * each for row, odds in self._odds().items()}


class Mixture:
    """A list that comes from one of several branches.

    Args:
        branches: each with its chance; they sum to 1.

    Attributes:
        branches: those with a chance above 0.
    """

    def __init__(self, branches: Sequence[tuple[float, Branch]]) -> None:
        self.branches = [(share, branch) for share, branch in branches if share > 0.0]

    def chances(self, rows: Sequence[int]) -> list[float]:
        """Of each place of a list given those above it; 0 from the first place on that cannot be.

        Args:
            rows: catalogue rows, as many as the list has or fewer.
        """
        found = [chance for chance, _ in self._followed(rows)]
        return found + [0.0] * (len(rows) - len(found))

    def following(self, above: Sequence[int]) -> Chances:
        """Of each article at the next place, given the places above; nothing where they cannot be."""
        shares = [share for share, _ in self.branches]
        for chance, shares in self._followed(above):  # noqa: B007 - the last ones are read below
            if chance == 0.0:
                return {}
        return _summed((s, b.following(above)) for s, (_, b) in zip(shares, self.branches, strict=True) if s)

    def at(self, place: int) -> Chances:
        """Of each article at a 0-based place, whatever stands above; exact."""
        return _summed((share, branch.at(place)) for share, branch in self.branches)

    def _followed(self, rows: Sequence[int]) -> Iterator[tuple[float, list[float]]]:
        """The chance of each place, and of each branch after it; ends with the first that cannot be."""
        shares = [share for share, _ in self.branches]
        for place, row in enumerate(rows):
            above = rows[:place]
            shares = [
                share and share * branch.chance(above, row)
                for share, (_, branch) in zip(shares, self.branches, strict=True)
            ]
            chance = sum(shares)
            if chance > 0.0:
                shares = [share / chance for share in shares]
            yield min(chance, 1.0), shares
            if chance == 0.0:
                return


def _summed(parts: Iterable[tuple[float, Chances]]) -> dict[int, float]:
    found: dict[int, float] = {}
    for share, chances in parts:
        for row, chance in chances.items():
            found[row] = found.get(row, 0.0) + share * chance
    return found


def drawn(branch: Branch, length: int, draws: Draws, label: str) -> list[int]:
    """A list of a branch.

    Args:
        branch: any.
        length: places.
        draws: of the request.
        label: of these draws, each place has its own.
    """
    rows: list[int] = []
    for place in range(length):
        options = branch.following(rows)
        if len(options) == 1:
            rows += options
            continue
        left = draws.uniform(f"{label} {place}") * sum(options.values())
        for row, chance in options.items():  # noqa: B007 - the last one is taken where rounding leaves a rest
            left -= chance
            if left < 0.0:
                break
        rows.append(row)
    return rows
