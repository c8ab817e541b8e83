"""One list out of the lists of two or more variants, so that each reader's clicks choose between them.

Team-draft interleaving: in each round the variants pick in an order drawn by lot, each its best article that
is not in the list yet; a click counts for the variant that picked the article. Places on which all variants
agree from the top, and pins, belong to nobody.

Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008; for
more than two, Schuth et al., "Multileaved comparisons for fast online evaluation", CIKM 2014.
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.candidates import Candidates
from recsys.catalog import UNKNOWN, Catalog
from recsys.exploration import Draws
from recsys.listing import items_of
from recsys.slate import Item, Slate

TEAM = "team:"


@dataclass(frozen=True, slots=True)
class Drafted:
    """A list that several variants picked.

    Attributes:
        rows: catalogue rows in order.
        teams: the variant that picked each, None for nobody.
        propensities: chance of each place given those above it, whoever picked them; exact.
    """

    rows: list[int]
    teams: list[str | None]
    propensities: list[float]


def draft(
    lists: Mapping[str, Sequence[int]],
    length: int,
    fixed: Mapping[int, int],
    codes: Callable[[int], Collection[Hashable]],
    draws: Draws,
    label: str,
) -> Drafted:
    """Pick a list in turns.

    Args:
        lists: by variant, catalogue rows best first; longer ones keep the list full.
        length: places; fewer are filled where the variants have no more.
        fixed: rows that stand at a 0-based place whatever is picked.
        codes: of a row; no two rows of a list share one.
        draws: of the request.
        label: of these draws.
    """
    taken = {code for row in fixed.values() for code in codes(row)}
    found = Drafted([], [], [])
    round_ = _Round(tuple(lists))
    agreed = True
    for place in range(length):
        if place in fixed:
            _add(found, fixed[place], None, 1.0)
            continue
        wants = {name: _best(rows, taken, codes) for name, rows in lists.items()}
        wanted = {name: row for name, row in wants.items() if row is not None}
        if not wanted:
            # pins further down still come
            continue
        agreed = agreed and len(set(wants.values())) == 1
        if agreed:
            row = next(iter(wanted.values()))
            _add(found, row, None, 1.0)
        else:
            team = round_.pick(wanted, draws.uniform(f"{label} {place}"))
            row = wanted[team]
            _add(found, row, team, round_.saw(wanted, row))
        taken.update(codes(row))
    return found


def _add(found: Drafted, row: int, team: str | None, chance: float) -> None:
    found.rows.append(row)
    found.teams.append(team)
    found.propensities.append(chance)


def _best(
    rows: Sequence[int], taken: Collection[Hashable], codes: Callable[[int], Collection[Hashable]]
) -> int | None:
    return next((row for row in rows if not any(code in taken for code in codes(row))), None)


class _Round:
    """Who may still pick in a round, as it was drawn, and how probable each such set is given the list.

    An order by lot is drawn one variant after the other, each of those left being as likely.

    Args:
        names: of the variants.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._all = frozenset(names)
        self._left = self._all
        self._believed: dict[frozenset[str], float] = {self._all: 1.0}

    def pick(self, wanted: Mapping[str, int], draw: float) -> str:
        """The variant whose turn it is.

        Args:
            wanted: of the variants that have an article left, which.
            draw: in [0, 1).
        """
        able = _able(self._left, self._all, wanted)
        team = able[min(int(draw * len(able)), len(able) - 1)]
        self._left = _after(self._left, self._all, wanted, team)
        return team

    def saw(self, wanted: Mapping[str, int], row: int) -> float:
        """The chance of what was picked, given the list so far; takes note of it."""
        after: dict[frozenset[str], float] = {}
        for left, chance in self._believed.items():
            able = _able(left, self._all, wanted)
            for team in able:
                if wanted[team] == row:
                    following = _after(left, self._all, wanted, team)
                    after[following] = after.get(following, 0.0) + chance / len(able)
        total = sum(after.values())
        self._believed = {left: chance / total for left, chance in after.items()}
        return total


def _able(left: frozenset[str], everyone: frozenset[str], wanted: Mapping[str, int]) -> list[str]:
    """Who may pick now: those left in this round that have an article, else a new round begins."""
    return sorted(left & wanted.keys()) or sorted(everyone & wanted.keys())


def _after(
    left: frozenset[str], everyone: frozenset[str], wanted: Mapping[str, int], team: str
) -> frozenset[str]:
    still = left if left & wanted.keys() else everyone
    return (still - {team}) or everyone


def interleaved(
    slates: Mapping[str, Slate],
    pinned: Collection[int],
    elsewhere: Collection[int],
    catalog: Catalog,
    draws: Draws,
) -> Slate:
    """One finished list out of one of each variant.

    Args:
        slates: by variant, of one surface and one query, with the rows of one catalogue (``in_rows_of``
            brings them there); before any place was left to chance.
        pinned: rows that editors put where they stand; they have the same places in all.
        elsewhere: rows that stand in other lists of the page.
        catalog: tells versions of one story.
        draws: of the request.

    Returns:
        The list with its exact propensities. The first source of an article that a variant picked is
        ``team:NAME``. Where all variants made the same list, no article has a team.
    """
    first = next(iter(slates.values()))
    agreed = zip(*(slate.items for slate in slates.values()), strict=False)
    fixed = {
        at: items[0].row
        for at, items in enumerate(agreed)
        if items[0].row in pinned and len({item.row for item in items}) == 1
    }
    away, pins = frozenset(elsewhere), frozenset(fixed.values())
    lists = {}
    for name, slate in slates.items():
        behind = slate.ranked.rows.tolist() if slate.ranked is not None else []
        rows = dict.fromkeys([*(item.row for item in slate.items), *behind])
        lists[name] = [row for row in rows if row not in away and row not in pins]

    def codes(row: int) -> list[tuple[str, int]]:
        story, duplicate = int(catalog.story[row]), int(catalog.duplicate[row])
        groups = [("story", story), ("duplicate", duplicate)]
        return [("row", row), *(group for group in groups if group[1] != UNKNOWN)]

    length = max(len(slate.items) for slate in slates.values())
    found = draft(lists, length, fixed, codes, draws, f"{first.surface} team")
    items = [
        _item(slates, row, team)._replace(position=at)
        for at, (row, team) in enumerate(zip(found.rows, found.teams, strict=True), 1)
    ]
    fallback = next((slate.fallback for slate in slates.values() if slate.fallback), None)
    return Slate(first.surface, items, fallback, found.propensities)


def _item(slates: Mapping[str, Slate], row: int, team: str | None) -> Item:
    """The item of the variant that picked it."""
    slate = slates[team] if team is not None else next(iter(slates.values()))
    own = next((item for item in slate.items if item.row == row), None)
    if own is None:
        candidates = slate.ranked
        # what is not in the list came from behind it
        assert candidates is not None
        own = items_of(candidates, [row])[0]
    return own if team is None else own._replace(sources=[f"{TEAM}{team}", *own.sources])


def in_rows_of(slate: Slate, theirs: Catalog, ours: Catalog) -> Slate:
    """A list of another bundle with the rows of this one; articles that it lacks are left out."""
    items = [item._replace(row=row) for item in slate.items if (row := _known(ours, theirs, item.row)) >= 0]
    ranked: Candidates | None = slate.ranked
    if ranked is not None:
        rows = np.array([_known(ours, theirs, row) for row in ranked.rows.tolist()], dtype=np.int32)
        ranked = replace(ranked, rows=rows).take(rows >= 0)
    return replace(slate, items=items, ranked=ranked)


def _known(ours: Catalog, theirs: Catalog, row: int) -> int:
    found = ours.row(theirs.ids[row])
    return found if found is not None and ours.is_known(found) else UNKNOWN
