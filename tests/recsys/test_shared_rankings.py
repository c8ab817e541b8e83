"""What is kept from one request to the next, and what is left out when time is short."""

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.pipeline import Funnel, Query
from recsys.profile import Reader
from recsys.slate import OPTIONAL
from recsys.state import State
from tests.recsys.test_pipeline import PAGE, SURFACES, requests, versions


class Kept(dict[Hashable, object]):
    """Keeps everything for ever: the state of these tests does not change."""

    put = dict.__setitem__


@settings(max_examples=60, deadline=None)
@given(requests(), st.data())
def test_kept_rankings_give_the_lists_of_fresh_ones(asked: tuple[State, Query], data: st.DataObject) -> None:
    state, first = asked
    memo, plain = Kept(), Funnel(state)
    kept = Funnel(state)
    kept.remember(memo)
    rows = st.integers(0, len(state.catalog) - 1)
    for _ in range(4):
        past = np.array(data.draw(st.lists(rows, max_size=3, unique=True)), dtype=np.int32)
        hidden = frozenset(data.draw(st.lists(rows, max_size=1)))
        query = replace(
            first,
            context=data.draw(st.none() | rows),
            reader=data.draw(st.sampled_from([None, Reader(past, hidden)])),
            exclude=data.draw(st.lists(rows, max_size=1)),
            limit=data.draw(st.integers(1, 3)),
            rising=data.draw(st.booleans()),
            window_hours=data.draw(st.sampled_from([None, 24.0])),
        )
        surface = data.draw(st.sampled_from(SURFACES))
        for _ in range(2):
            assert kept.slate(surface, query) == plain.slate(surface, query)
            assert kept.page(PAGE, query) == plain.page(PAGE, query)


def test_what_is_the_same_for_all_readers_is_ranked_once() -> None:
    state, query = requests_of_two_readers()
    memo, funnel = Kept(), Funnel(state)
    funnel.remember(memo)
    for reader in (None, Reader(np.array([0], np.int32)), Reader(np.array([1, 2], np.int32))):
        funnel.page(("popular", "latest", "related"), replace(query, reader=reader))
    assert sorted(str(key[0]) for key in memo) == ["latest", "popular", "related"]  # type: ignore[index]


def requests_of_two_readers() -> tuple[State, Query]:
    from tests.builders import NOW, article, event, scattered, world

    names = [f"a{number}" for number in range(12)]
    vectors = {name: scattered(name) for name in names}
    events = [event(f"e{number}", names[number % 7], f"r{number % 4}") for number in range(20)]
    state = world([article(name) for name in names], vectors, events=events)
    return state, Query(now=NOW.timestamp(), limit=3, context=5)


class Hurried:
    """Leaves some stages out."""

    def __init__(self, *stages: str) -> None:
        self.stages = stages

    def begins(self, stage: str) -> bool:
        return stage not in self.stages

    def found(self, surface: str, count: int) -> None:
        assert count >= 0


@settings(max_examples=60, deadline=None)
@given(requests(), st.sampled_from(SURFACES), st.sets(st.sampled_from(OPTIONAL), min_size=1))
def test_a_hurried_list_keeps_every_rule_and_says_so(
    asked: tuple[State, Query], surface: str, left_out: set[str]
) -> None:
    state, query = asked
    funnel, memo = Funnel(state), Kept()
    funnel.remember(memo)
    whole = Funnel(state).slate(surface, query)
    slate = funnel.slate(surface, replace(query, pace=Hurried(*left_out)))
    eligible = funnel.eligibility(query, surface)
    assert all(eligible.reason(state.catalog, item.row) is None for item in slate.items)
    assert len(set(versions(state, slate))) == len(versions(state, slate))
    # without a pin or a shortage there are as many places as with all the time in the world
    if len(whole.items) == query.limit and not query.pins.get(surface):
        assert len(slate.items) == query.limit
    if slate.fallback == "timeout":
        assert not memo


def test_what_is_left_out_is_told_and_costs_no_place() -> None:
    state, query = requests_of_two_readers()
    funnel = Funnel(state)
    for stages in (("variety",), ("curves",), ("covisited",), OPTIONAL):
        slate = funnel.slate("related", replace(query, pace=Hurried(*stages)))
        assert slate.fallback == "timeout"
        assert len(slate.items) == 3
        assert {"variety", "covisited"} & set(stages) & set(slate.items[0].names) == set()
    assert funnel.slate("related", query).fallback is None
