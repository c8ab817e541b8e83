"""Drawn lists: their chances are those of a whole mixture, exactly, and what is drawn has them."""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.exploration import Draws
from recsys.randomising import Alone, Branch, Mixture, Ranked, Swapped, Tried, drawn
from recsys.rank_chances import rank_marginals, rank_weights

SHOWN, SPARES, COLD = [10, 11, 12, 13], [14, 15], {14: 0.5, 90: 0.3, 91: 0.2}
TEMPERATURE = 0.7


def branches(method: str, pinned: tuple[int, ...] = (), pool: int = 6) -> list[Branch]:
    if method == "swap":
        return [Swapped(SHOWN, pinned, first) for first in (0, 1)]
    return [Ranked(SHOWN, SPARES, pinned, pool, TEMPERATURE)]


def mixture(method: str, pinned: tuple[int, ...] = (), pool: int = 6, cold: float = 0.2) -> Mixture:
    """A fifth is tried, four tenths are drawn, the rest is left alone; 14 is both a spare and cold."""
    random = branches(method, pinned, pool)
    places = [place for place in (1, 2, 3) if SHOWN[place] not in pinned]
    tried = Tried(SHOWN, places, COLD, lambda: COLD)
    share = 0.4 / len(random)
    drawn_lists = [(share, branch) for branch in random]
    return Mixture([(cold, tried), *drawn_lists, (0.6 - cold, Alone(SHOWN))])


def all_lists(found: Mixture | Branch, length: int = 4) -> dict[tuple[int, ...], float]:
    """Every list that may come, with its chance, by walking through all that may follow."""
    lists = {(): 1.0}
    for _ in range(length):
        lists = {
            (*rows, row): chance * each
            for rows, chance in lists.items()
            for row, each in found.following(rows).items()
        }
    return lists


@pytest.mark.parametrize("method", ["plackett_luce", "swap"])
@pytest.mark.parametrize("pinned", [(), (11,), (10, 13)])
@pytest.mark.parametrize("pool", [2, 6])
def test_the_chances_of_all_lists_sum_to_one_and_are_the_product_of_their_places(
    method: str, pinned: tuple[int, ...], pool: int
) -> None:
    found = mixture(method, pinned, pool)
    lists = all_lists(found)
    assert sum(lists.values()) == pytest.approx(1.0, abs=1e-12)
    for rows, chance in lists.items():
        assert len(set(rows)) == 4
        assert [rows[SHOWN.index(pin)] for pin in pinned] == list(pinned)
        chances = found.chances(rows)
        assert np.prod(chances) == pytest.approx(chance, rel=1e-12)
        assert all(chances[SHOWN.index(pin)] == pytest.approx(1.0) for pin in pinned)
    places: list[Counter[int]] = [Counter() for _ in SHOWN]
    for rows, chance in lists.items():
        for place, row in enumerate(rows):
            places[place][row] += chance  # type: ignore[assignment]
    for place, exact in enumerate(places):
        assert dict(found.at(place)) == pytest.approx(dict(exact), abs=1e-12)


def by_definition(rows: Sequence[int], method: str) -> float:
    """The chance of a whole list, branch by branch."""
    same = [a == b for a, b in zip(rows, SHOWN, strict=True)]
    alone = 0.4 if all(same) else 0.0
    tried = 0.0
    if same.count(False) == 1 and same[0]:
        tried = 0.2 / 3 * COLD.get(rows[same.index(False)], 0.0)
    if method == "swap":
        turned = 0.0
        for pairs in ([(0, 1), (2, 3)], [(1, 2)]):
            for flips in np.ndindex(*(2,) * len(pairs)):
                made = list(SHOWN)
                for (a, b), flip in zip(pairs, flips, strict=True):
                    if flip:
                        made[a], made[b] = made[b], made[a]
                turned += 0.5 * 0.5 ** len(pairs) * (made == list(rows))
        return alone + tried + 0.4 * turned
    weights = dict(zip([*SHOWN, *SPARES], rank_weights(6, TEMPERATURE), strict=True))
    chance = 0.4
    for place, row in enumerate(rows):
        left = sum(weight for other, weight in weights.items() if other not in rows[:place])
        chance *= weights.get(row, 0.0) / left
    return alone + tried + chance


@pytest.mark.parametrize("method", ["plackett_luce", "swap"])
def test_a_list_has_the_chance_that_its_definition_gives(method: str) -> None:
    found = mixture(method)
    for rows in permutations([*SHOWN, *SPARES, 90, 91], 4):
        assert np.prod(found.chances(rows)) == pytest.approx(by_definition(rows, method), abs=1e-15)


@pytest.mark.parametrize("method", ["plackett_luce", "swap"])
def test_lists_come_as_often_as_they_say(method: str) -> None:
    count = 20_000
    for number, branch in enumerate(branches(method, pinned=(11,))):
        seen = Counter(tuple(drawn(branch, 4, Draws(5, b"%d" % at), f"list {number}")) for at in range(count))
        lists = all_lists(branch)
        assert set(seen) <= set(lists)
        off = sum((seen[rows] - count * p) ** 2 / (count * p) for rows, p in lists.items() if p > 1e-4)
        # chi-squared with as many degrees of freedom as lists, less one
        assert off < len(lists) + 4.0 * np.sqrt(2.0 * len(lists))


@given(st.integers(1, 7), st.floats(0.1, 10.0), st.integers(1, 7))
def test_marginal_chances_of_ranks_are_those_of_all_orders(
    count: int, temperature: float, places: int
) -> None:
    places = min(count, places)
    weights, exact = rank_weights(count, temperature), np.zeros((count, places))
    for order in permutations(range(count), places):
        chance, left = 1.0, weights.sum()
        for rank in order:
            chance, left = chance * weights[rank] / left, left - weights[rank]
        for place, rank in enumerate(order):
            exact[rank, place] += chance
    np.testing.assert_allclose(rank_marginals(count, places, temperature), exact, atol=1e-10)


def test_what_cannot_come_has_no_chance() -> None:
    found = mixture("plackett_luce")
    assert found.chances([99, 10, 11, 12]) == [0.0] * 4
    assert found.chances([10, 90, 91, 13])[2:] == [0.0, 0.0]
    assert found.following([90]) == {}
    assert found.chances([10, 90])[1] > 0.0


def test_cold_articles_are_not_ordered_where_none_of_them_matters() -> None:
    def never() -> dict[int, float]:
        raise AssertionError("asked")

    found = Mixture([(0.2, Tried(SHOWN, [2, 3], [90], never)), (0.8, Alone(SHOWN))])
    assert np.prod(found.chances(SHOWN)) == pytest.approx(0.8)
    assert found.chances([10, 11, 13, 12])[2] == 0.0


def test_importance_weights_of_drawn_lists_tell_what_another_policy_earns() -> None:
    rng, logged = np.random.default_rng(8), mixture("plackett_luce", cold=0.1)
    other = Mixture([(0.5, Alone([11, 10, 12, 15])), (0.5, Alone(SHOWN))])
    liked = {
        row: float(p) for row, p in zip([*range(10, 16), 90, 91], rng.uniform(0.05, 0.5, 8), strict=True)
    }
    looked = (1.0, 0.7, 0.5, 0.4)

    def worth(rows: Sequence[int]) -> float:
        return sum(liked[row] * at for row, at in zip(rows, looked, strict=True))

    lists = all_lists(logged)
    options, chances = list(lists), np.array(list(lists.values()))
    weights = {rows: float(np.prod(other.chances(rows))) / lists[rows] for rows in options}
    # by the chances themselves, without noise
    exact = sum(lists[rows] * weights[rows] * worth(rows) for rows in options)
    truth = 0.5 * worth([11, 10, 12, 15]) + 0.5 * worth(SHOWN)
    assert exact == pytest.approx(truth, rel=1e-12)
    picked = rng.choice(len(options), 30_000, p=chances / chances.sum())
    values = []
    for at in picked:
        rows = options[at]
        clicks = sum(rng.random() < liked[row] * seen for row, seen in zip(rows, looked, strict=True))
        values.append(weights[rows] * clicks)
    assert np.mean(values) == pytest.approx(truth, abs=3.5 * np.std(values) / np.sqrt(len(values)))
