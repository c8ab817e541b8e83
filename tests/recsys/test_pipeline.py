"""The funnel on small worlds, and its laws on random ones."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.config import load_config
from recsys.pipeline import Funnel, Query, Slate
from recsys.profile import Reader
from recsys.rules_editor import Boost
from recsys.schemas import SURFACES, Article
from recsys.state import State
from tests.builders import NOW, article, event, row, scattered, unit, world

T = NOW.timestamp()
PAGE = ["related", "popular", "latest", "must_reads"]


def names(state: State, slate: Slate) -> list[str]:
    return [state.catalog.ids[item.row] for item in slate.items]


def reader_of(state: State, *opened: str) -> Reader:
    return Reader(np.array([row(state, name) for name in opened], dtype=np.int32))


@st.composite
def worlds(draw: st.DrawFn) -> State:
    n = draw(st.integers(1, 30))
    articles, vectors = [], {}
    for number in range(n):
        name = f"a{number:02d}"
        articles.append(
            Article(
                article_id=name,
                title=f"T {name}",
                section=draw(st.sampled_from([None, "World", "Sport"])),
                language=draw(st.sampled_from([None, "en", "de"])),
                site=draw(st.sampled_from([None, "main", "other"])),
                story_id=draw(st.sampled_from([None, None, None, "s1", "s2"])),
                editor_priority=draw(st.none() | st.floats(0, 1)),
                is_hidden=draw(st.sampled_from([False, False, False, True])),
                published_at=draw(st.none() | st.integers(-5, 500).map(lambda h: NOW - timedelta(hours=h))),
                expires_at=draw(st.none() | st.integers(-5, 50).map(lambda h: NOW + timedelta(hours=h))),
            )
        )
        # few directions, so that near-duplicates are common
        vectors[name] = scattered(f"direction {draw(st.integers(0, 12))}")
    clicks = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, 5)), max_size=20))
    events = [event(f"e{k}", f"a{a:02d}", f"r{r}") for k, (a, r) in enumerate(clicks)]
    return world(articles, vectors, events=events)


@st.composite
def requests(draw: st.DrawFn) -> tuple[State, Query]:
    state = draw(worlds())
    rows = st.integers(0, len(state.catalog) - 1)
    language = draw(st.sampled_from([None, "en"]))
    past = draw(st.lists(rows, max_size=5, unique=True))
    return state, Query(
        now=T,
        limit=draw(st.integers(1, 8)),
        context=draw(st.none() | rows),
        reader=draw(st.sampled_from([None, Reader(np.array(past, dtype=np.int32))])),
        exclude=draw(st.lists(rows, max_size=3)),
        language=None if language is None else state.catalog.languages.code(language),
        site=draw(st.sampled_from([None, state.catalog.sites.code("main")])),
        pins={"popular": {draw(st.integers(1, 3)): draw(rows)}, "latest": {1: draw(rows)}},
        hidden={"related": [draw(rows)]},
        window_hours=draw(st.none() | st.just(24.0)),
        diversity=draw(st.none() | st.floats(0, 1)),
    )


def versions(state: State, slate: Slate) -> list[tuple[str, int]]:
    rows = [item.row for item in slate.items]
    stories = [("story", int(code)) for code in state.catalog.story[rows] if code >= 0]
    return stories + [("duplicate", int(code)) for code in state.catalog.duplicate[rows] if code >= 0]


@settings(max_examples=150, deadline=None)
@given(requests())
def test_hard_rules_hold_on_every_page(asked: tuple[State, Query]) -> None:
    state, query = asked
    funnel = Funnel(state)
    slates, lost = funnel.page(PAGE, query)
    shown = [item.row for slate in slates.values() for item in slate.items]
    assert len(set(shown)) == len(shown)
    assert 0.0 <= lost <= 1.0
    for surface, slate in slates.items():
        eligible = funnel.eligibility(query, surface)
        assert all(eligible.reason(state.catalog, item.row) is None for item in slate.items)
        assert [item.position for item in slate.items] == list(range(1, len(slate.items) + 1))
        found = versions(state, slate)
        assert len(set(found)) == len(found)
        assert query.context not in [item.row for item in slate.items]


@settings(max_examples=150, deadline=None)
@given(requests(), st.sampled_from(SURFACES))
def test_a_short_list_means_that_nothing_eligible_was_left(asked: tuple[State, Query], surface: str) -> None:
    state, query = asked
    funnel = Funnel(state)
    slate = funnel.slate(surface, query)
    if len(slate.items) == query.limit:
        return
    _, used, _ = funnel.effective(surface, query)
    eligible = funnel.eligibility(used, surface)
    taken = set(versions(state, slate))
    shown = {item.row for item in slate.items}
    for at in range(len(state.catalog)):
        own = {("story", int(state.catalog.story[at])), ("duplicate", int(state.catalog.duplicate[at]))}
        if at not in shown and not own & taken:
            assert eligible.reason(state.catalog, at) is not None, (surface, at)


@settings(max_examples=100, deadline=None)
@given(requests(), st.sampled_from(SURFACES), st.floats(0.1, 5.0))
def test_the_parts_of_a_score_sum_to_it_and_lists_repeat_exactly(
    asked: tuple[State, Query], surface: str, factor: float
) -> None:
    state, query = asked
    boosts = [Boost.model_validate({"filter": {"section": "Sport"}, "factor": factor})] * 2
    query = replace(query, boosts={surface: boosts})
    slate = Funnel(state).slate(surface, query)
    assert Funnel(state).slate(surface, query) == slate
    for item in slate.items:
        assert sum(item.parts.values()) == pytest.approx(item.score, abs=1e-6)
        assert item.reason
        if item.row not in query.pins.get(surface, {}).values():
            assert item.sources


def test_a_boost_counts_once_for_each_rule() -> None:
    state = world([article("a", section="Sport", editor_priority=0.5)])
    plain = Funnel(state).slate("must_reads", Query(now=T)).items[0].score
    boosts = [Boost.model_validate({"filter": {"section": "Sport"}, "factor": 2.0})] * 2
    boosted = Funnel(state).slate("must_reads", Query(now=T, boosts={"must_reads": boosts})).items[0]
    assert boosted.score == pytest.approx(4 * plain)


def test_many_versions_of_one_story_do_not_empty_a_list() -> None:
    flood = [article(f"v{i:03d}", story_id="one", hours_old=1.0) for i in range(300)]
    others = [article(f"o{i}", hours_old=500.0) for i in range(4)]
    state = world(flood + others)
    assert len(Funnel(state).slate("latest", Query(now=T, limit=5)).items) == 5


def test_filters_come_before_the_cut() -> None:
    articles = [article(f"w{i:03d}", section="World", hours_old=1.0) for i in range(400)]
    articles += [article(f"s{i}", section="Sport", hours_old=900.0) for i in range(5)]
    events = [event(f"e{i}", f"w{i:03d}", f"r{i}") for i in range(300)]
    state = world(articles, events=events)
    query = Query(now=T, limit=5, context=0, sections=(state.catalog.sections.code("Sport"),))
    for surface in PAGE:
        assert {name[0] for name in names(state, Funnel(state).slate(surface, query))} == {"s"}
        assert len(Funnel(state).slate(surface, query).items) == 5


def test_related_is_about_similarity_and_popular_about_readers() -> None:
    vectors = {"context": unit(1), "near": unit(1, 0.6), "far": unit(0, 0, 1)}
    events = [event(f"e{i}", "far", f"r{i}") for i in range(50)]
    state = world([article(name) for name in vectors], vectors, events=events)
    query = Query(now=T, context=0)
    assert names(state, Funnel(state).slate("related", query))[0] == "near"
    assert names(state, Funnel(state).slate("popular", query))[0] == "far"


def test_latest_is_by_time_with_unknown_dates_last() -> None:
    state = world([article("b", hours_old=2), article("none", published_at=None), article("a", hours_old=1)])
    assert names(state, Funnel(state).slate("latest", Query(now=T))) == ["a", "b", "none"]


def test_equal_scores_go_by_recency_then_id() -> None:
    config = load_config(
        None, ["surfaces.must_reads.weights.freshness=0.0", "surfaces.must_reads.section_spread=0.0"]
    )
    state = world(
        [article("z", hours_old=1), article("b", hours_old=9), article("a", hours_old=9)], config=config
    )
    assert names(state, Funnel(state).slate("must_reads", Query(now=T))) == ["z", "a", "b"]


def test_a_cold_reader_gets_must_reads_and_is_told_why() -> None:
    state = world([article(f"a{i}", editor_priority=i / 10) for i in range(8)])
    cold = Funnel(state).slate("for_you", Query(now=T, reader=Reader(np.zeros(0, np.int32))))
    assert cold.fallback == "cold_reader"
    assert names(state, cold) == names(state, Funnel(state).slate("must_reads", Query(now=T)))


def test_a_reader_of_two_interests_gets_both() -> None:
    football = {f"f{i}": unit(1, 0, 0.3 * i) for i in range(6)}
    cooking = {f"c{i}": unit(0, 1, 0.3 * i) for i in range(6)}
    other = {f"x{i}": scattered(f"x{i}") for i in range(20)}
    vectors = football | cooking | other
    state = world([article(name) for name in vectors], vectors)
    query = Query(now=T, limit=6, reader=reader_of(state, "f0", "c0", "f1", "c1"))
    found = names(state, Funnel(state).slate("for_you", query))
    assert {"f", "c"} <= {name[0] for name in found[:4]}
    assert not {"f0", "c0", "f1", "c1"} & set(found)


def test_a_log_without_recent_events_still_ranks_by_its_last_days() -> None:
    events = [event(f"e{i}", "loved", f"r{i}", minutes_ago=60 * 24 * 120) for i in range(9)]
    state = world([article("loved", hours_old=3000), article("fresh", hours_old=1)], events=events)
    slate = Funnel(state).slate("popular", Query(now=T))
    assert slate.fallback == "stale_log"
    assert names(state, slate)[0] == "loved"


def test_rising_and_window_order_popular_by_what_they_say() -> None:
    steady = [event(f"s{n}", "steady", f"r{n}", minutes_ago=30 + n * 4.0) for n in range(300)]
    sudden = [event(f"n{n}", "sudden", f"r{n}", minutes_ago=n * 0.5) for n in range(40)]
    state = world([article("steady"), article("sudden")], events=steady + sudden)
    for fields, first in (
        ({"window_hours": 24.0}, "steady"),
        ({"window_hours": 0.5}, "sudden"),
        ({"rising": True}, "sudden"),
    ):
        assert names(state, Funnel(state).slate("popular", Query(now=T, **fields)))[0] == first  # type: ignore[arg-type]


def test_an_article_hidden_by_its_reader_is_not_shown_again() -> None:
    state = world([article("a"), article("b")])
    reader = Reader(np.zeros(0, np.int32), frozenset([0]))
    assert names(state, Funnel(state).slate("latest", Query(now=T, reader=reader))) == ["b"]


def test_pins_hold_after_diversity_and_an_article_pinned_twice_stands_once() -> None:
    state = world([article(f"a{i}") for i in range(12)])
    pins = {"popular": {2: 7}, "latest": {1: 7, 3: 5}}
    slates, _ = Funnel(state).page(PAGE, Query(now=T, limit=3, context=0, pins=pins, diversity=1.0))
    assert slates["popular"].items[1].row == 7
    assert slates["popular"].items[1].reason == "Chosen by the editors"
    assert slates["latest"].items[2].row == 5
    assert [item.row for slate in slates.values() for item in slate.items].count(7) == 1


def test_a_hidden_article_cannot_be_pinned() -> None:
    state = world([article("a"), article("gone", is_hidden=True)])
    assert names(state, Funnel(state).slate("popular", Query(now=T, pins={"popular": {1: 1}}))) == ["a"]


def test_explain_names_the_filter_or_the_parts() -> None:
    state = world([article("a"), article("b"), article("gone", is_hidden=True)])
    funnel, query = Funnel(state), Query(now=T, context=0)
    assert funnel.explain("related", query, 2)[0] == "hidden"
    assert funnel.explain("related", query, 0)[0] == "excluded"
    removed, parts, rank = funnel.explain("related", query, 1)
    assert (removed, rank) == (None, 1)
    assert parts["similarity"] != 0


def test_an_article_read_already_is_explained_as_excluded_from_for_you() -> None:
    state = world([article("a"), article("b")])
    assert Funnel(state).explain("for_you", Query(now=T, reader=reader_of(state, "a")), 0)[0] == "excluded"


def test_an_article_that_only_events_know_is_never_served() -> None:
    state = world([article("a")], events=[event(f"e{i}", "ghost", f"r{i}") for i in range(9)])
    for surface in SURFACES:
        assert names(state, Funnel(state).slate(surface, Query(now=T))) == ["a"]


def test_an_empty_catalogue_gives_empty_lists_with_a_reason() -> None:
    slates, _ = Funnel(world([])).page(PAGE, Query(now=T))
    assert {slate.fallback for slate in slates.values()} == {"nothing_eligible"}
