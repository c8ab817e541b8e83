"""Interleaved lists: every rule holds, each variant picks as often as the others, the chances are exact."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.exploration import Draws
from recsys.interleaving import TEAM, Drafted, draft, in_rows_of, interleaved
from recsys.pipeline import Funnel, Query, Slate
from recsys.state import State
from tests.builders import NOW, article, event, row, scattered, world

T = NOW.timestamp()
LISTS = {"a": [1, 2, 3, 4, 9], "b": [1, 3, 5, 2, 8]}
THREE = {"a": [1, 2, 3, 4], "b": [2, 5, 1, 6], "c": [7, 1, 2]}


def drafted(
    lists: Mapping[str, Sequence[int]], number: int, length: int = 4, fixed: Mapping[int, int] | None = None
) -> Drafted:
    draws = Draws(0, b"%d" % number)
    return draft(lists, length, fixed or {}, lambda found: [found], draws, "related team")


def by_all_orders(lists: Mapping[str, Sequence[int]], length: int) -> dict[tuple[int, ...], float]:
    """The chance of each list, by playing out every order of every round after what all agree on."""
    found: Counter[tuple[int, ...]] = Counter()
    orders, agreed = list(permutations(lists)), []
    for same in zip(*lists.values(), strict=False):
        if len(set(same)) > 1:
            break
        agreed.append(same[0])
    rounds = -(-length // len(lists))
    for game in product(orders, repeat=rounds):
        rows = list(agreed)
        for team in (name for order in game for name in order):
            best = next((one for one in lists[team] if one not in rows), None)
            if best is not None and len(rows) < length:
                rows.append(best)
        found[tuple(rows)] += 1.0 / len(orders) ** rounds  # type: ignore[assignment]
    return dict(found)


@pytest.mark.parametrize("lists", [LISTS, THREE, {"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]}])
def test_the_chances_are_those_of_all_orders(lists: Mapping[str, Sequence[int]]) -> None:
    exact, seen = by_all_orders(lists, 4), Counter[tuple[int, ...]]()
    for number in range(4000):
        found = drafted(lists, number)
        seen[tuple(found.rows)] += 1
        assert np.prod(found.propensities) == pytest.approx(exact[tuple(found.rows)], rel=1e-12)
    off = sum((seen[rows] - 4000 * chance) ** 2 / (4000 * chance) for rows, chance in exact.items())
    assert off < len(exact) + 4.0 * np.sqrt(2.0 * len(exact))


@given(st.permutations(range(8)), st.permutations(range(8)), st.integers(1, 8), st.integers(0, 1000))
def test_variants_pick_in_turns_and_agreement_from_the_top_is_nobodys(
    one: list[int], other: list[int], length: int, number: int
) -> None:
    found = drafted({"a": one, "b": other}, number, length)
    agreed = next((at for at in range(8) if one[at] != other[at]), 8)
    assert found.rows[: min(agreed, length)] == one[: min(agreed, length)]
    assert set(found.teams[:agreed]) <= {None}
    picks = found.teams[agreed:]
    assert None not in picks
    assert all(set(picks[at : at + 2]) == {"a", "b"} for at in range(0, len(picks) - 1, 2))
    assert len(set(found.rows)) == len(found.rows) == length


def test_what_is_fixed_stays_and_belongs_to_nobody() -> None:
    for number in range(50):
        found = drafted(LISTS, number, 5, {1: 77, 4: 78})
        assert (found.rows[1], found.rows[4]) == (77, 78)
        assert (found.teams[1], found.teams[4]) == (None, None)
        assert (found.propensities[1], found.propensities[4]) == (1.0, 1.0)
    # pins come though nothing is left above them
    assert drafted({"a": [1], "b": [1]}, 0, 5, {3: 77}).rows == [1, 77]


def test_each_variant_begins_as_often_as_the_other() -> None:
    first = Counter(drafted({"a": [1, 2], "b": [2, 1]}, number, 2).teams[0] for number in range(2000))
    assert first["a"] == pytest.approx(1000, abs=100)


@pytest.fixture(scope="module")
def state() -> State:
    articles = [article(f"n{at:02d}", hours_old=1.0 + at, story_id=f"s{at // 2}") for at in range(24)]
    vectors = {each.article_id: scattered(each.article_id) for each in articles}
    return world(
        articles, vectors, events=[event(f"e{at}", f"n{at * at % 17:02d}", f"r{at}") for at in range(40)]
    )


def variants(state: State, pins: dict[int, int] | None = None) -> dict[str, Slate]:
    query = Query(now=T, limit=6, pins={"popular": pins or {}, "latest": pins or {}})
    slates = {"live": Funnel(state).slate("popular", query), "new": Funnel(state).slate("latest", query)}
    return {name: Slate("popular", s.items, s.fallback, None, s.ranked) for name, s in slates.items()}


def test_finished_lists_become_one_and_every_rule_holds(state: State) -> None:
    pin, away = row(state, "n23"), row(state, "n02")
    slates = variants(state, {2: pin})
    teams = Counter[str]()
    for number in range(100):
        found = interleaved(slates, {pin}, {away}, state.catalog, Draws(0, b"%d" % number))
        rows = [item.row for item in found.items]
        assert [item.position for item in found.items] == [1, 2, 3, 4, 5, 6]
        assert rows[1] == pin
        assert away not in rows
        assert len({int(state.catalog.story[each]) for each in rows}) == len(rows) == 6
        for item in found.items:
            assert sum(item.values) == pytest.approx(item.score)
            if item.sources[0].startswith(TEAM):
                teams[item.sources[0]] += 1
                own = slates[item.sources[0].removeprefix(TEAM)]
                assert own.ranked is not None
                assert item.row in own.ranked.rows
    assert set(teams) == {"team:live", "team:new"}
    assert min(teams.values()) > 200


def test_variants_that_agree_make_one_list_without_teams(state: State) -> None:
    slate = variants(state)["live"]
    found = interleaved({"a": slate, "b": slate}, (), (), state.catalog, Draws(0, b"x"))
    assert found.items == slate.items
    assert found.propensities == [1.0] * 6


def test_lists_of_another_bundle_are_told_in_the_rows_of_this_one(state: State) -> None:
    shuffled = [article(f"n{at:02d}", hours_old=1.0 + at) for at in range(22, -1, -1)]
    theirs = world([article("stranger", hours_old=0.5), *shuffled])
    slate = Funnel(theirs).slate("latest", Query(now=T, limit=6))
    found = in_rows_of(slate, theirs.catalog, state.catalog)
    names = [theirs.catalog.ids[item.row] for item in slate.items]
    assert "stranger" in names
    assert [state.catalog.ids[item.row] for item in found.items] == [n for n in names if n != "stranger"]
    assert found.ranked is not None
    assert len(found.ranked.rows) == 23
