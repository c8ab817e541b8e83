"""Joint assembly: laws on random wishes and answers worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.page import Wish, assemble, comparable


@st.composite
def wishes(draw: st.DrawFn) -> list[Wish]:
    found, pinned = [], set[int]()
    for number in range(draw(st.integers(1, 4))):
        rows = draw(st.lists(st.integers(0, 14), unique=True, max_size=15))
        scores = sorted(draw(st.lists(st.floats(0, 1), min_size=len(rows), max_size=len(rows))), reverse=True)
        limit = draw(st.integers(1, 5))
        pins = {}
        for position in draw(st.sets(st.integers(1, limit), max_size=2)):
            row = draw(st.integers(100, 110))
            if row not in pinned:
                pins[position] = row
                pinned.add(row)
        found.append(Wish(f"l{number}", rows, scores, limit, pins, keeps_first=draw(st.booleans())))
    return found


@given(wishes())
def test_nothing_stands_twice_and_nothing_is_short_that_need_not_be(made: list[Wish]) -> None:
    assembly = assemble(made)
    shown = [row for rows in assembly.lists.values() for row in rows]
    assert len(set(shown)) == len(shown)
    for wish in made:
        rows = assembly.lists[wish.name]
        assert len(rows) <= wish.limit
        if len(rows) < wish.limit:
            assert set(wish.rows) <= set(shown)


@given(wishes())
def test_pins_stand_where_they_were_put_while_the_list_reaches_that_far(made: list[Wish]) -> None:
    assembly = assemble(made)
    for wish in made:
        rows = assembly.lists[wish.name]
        assert set(wish.pinned.values()) <= set(rows)
        if len(rows) == wish.limit:
            for position, row in wish.pinned.items():
                assert rows[position - 1] == row


@given(wishes())
def test_a_list_keeps_the_order_of_its_wish(made: list[Wish]) -> None:
    assembly = assemble(made)
    for wish in made:
        free = [row for row in assembly.lists[wish.name] if row in wish.rows]
        assert free == sorted(free, key=list(wish.rows).index)


def test_a_contested_article_goes_where_its_loss_costs_most() -> None:
    rich = Wish("rich", [1, 2, 3], [0.9, 0.89, 0.1], 1)
    poor = Wish("poor", [1, 4], [0.8, 0.1], 1)
    assembly = assemble([rich, poor])
    assert assembly.lists == {"rich": [2], "poor": [1]}
    assert assembly.yielded["rich"] == {1: "poor"}
    assert round(assembly.utility_lost, 6) == round(1 - (0.89 + 0.8) / (0.9 + 0.8), 6)


def test_a_list_without_another_candidate_wins() -> None:
    assembly = assemble([Wish("many", [1, 2], [1.0, 0.0], 1), Wish("last", [1], [0.01], 1)])
    assert assembly.lists == {"many": [2], "last": [1]}


def test_a_loss_is_measured_against_what_no_other_list_holds() -> None:
    related = Wish("related", [1, 2, 3, 4, 9], [1.0, 0.9, 0.8, 0.7, -1.0], 2)
    latest = Wish("latest", [3, 4, 1, 5, 6, 2], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5], 4)
    assembly = assemble([latest, related])
    assert set(assembly.lists["related"]) == {1, 2}
    assert assembly.lists["latest"] == [3, 4, 5, 6]


def test_equal_losses_go_by_the_order_of_the_lists() -> None:
    first, second = Wish("first", [1, 2], [1.0, 0.5], 1), Wish("second", [1, 3], [1.0, 0.5], 1)
    assert assemble([first, second]).lists == {"first": [1], "second": [3]}
    assert assemble([second, first]).lists == {"second": [1], "first": [2]}


def test_latest_keeps_its_first_item_whatever_another_list_would_lose() -> None:
    latest = Wish("latest", [1, 2], [1.0, 0.99], 1, keeps_first=True)
    assert assemble([Wish("related", [1, 3], [1.0, 0.0], 1), latest]).lists == {"related": [3], "latest": [1]}


def test_utilities_are_shares_of_the_best_score() -> None:
    assert comparable(np.array([30.0, 20.0, -90.0])) == [1.0, pytest.approx(2 / 3), -1.0]
    assert comparable(np.array([0.0, -0.25, -9.0])) == [0.0, -0.25, -1.0]
    assert comparable(np.zeros(0)) == []
