"""Versions, variety, and what λ = 0 means."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.candidates import Candidates
from recsys.reranking import Variety, one_version_each, rerank, without_versions_of
from recsys.state import State
from tests.builders import article, unit, world


def scored(values: list[float]) -> Candidates:
    rows = np.arange(len(values), dtype=np.int32)
    return Candidates.of(rows, np.zeros(len(rows), np.uint8)).with_parts(np.array(values)[:, None], ("s",))


def clones(n: int) -> State:
    return world([article(f"a{i}", section=("World", "Sport")[i % 2]) for i in range(n)])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_without_penalties_the_order_stays(values: list[float]) -> None:
    state = clones(len(values))
    best_first = sorted(values, reverse=True)
    assert rerank(scored(best_first), state.catalog, state.index, 5, Variety()).rows.tolist() == list(
        range(len(values))
    )


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(0, 1), st.floats(0, 1), st.integers(1, 25)
)
def test_reranking_loses_and_invents_nothing_and_parts_still_sum(
    values: list[float], diversity: float, spread: float, limit: int
) -> None:
    state = clones(len(values))
    ordered = rerank(
        scored(sorted(values, reverse=True)), state.catalog, state.index, limit, Variety(diversity, spread)
    )
    assert sorted(ordered.rows.tolist()) == list(range(len(values)))
    assert ordered.rows[0] == 0
    np.testing.assert_allclose(ordered.parts.sum(axis=1), ordered.scores, atol=1e-12)


def test_a_near_copy_falls_behind_something_new() -> None:
    vectors = {"a0": unit(1), "a1": unit(1, 0.1), "a2": unit(0, 1)}
    state = world([article(name) for name in vectors], vectors)
    candidates = scored([1.0, 0.95, 0.7])
    assert rerank(candidates, state.catalog, state.index, 3, Variety(0.5)).rows.tolist() == [0, 2, 1]
    assert rerank(candidates, state.catalog, state.index, 3, Variety(0.1)).rows.tolist() == [0, 1, 2]


def test_a_spread_over_sections_mixes_them() -> None:
    state = clones(6)
    candidates = scored([1.0, 0.7, 0.9, 0.6, 0.85, 0.0]).take(np.array([0, 2, 4, 1, 3, 5]))
    plain = rerank(candidates, state.catalog, state.index, 4, Variety())
    mixed = rerank(candidates, state.catalog, state.index, 4, Variety(section_spread=0.35))
    assert plain.rows[:4].tolist() == [0, 2, 4, 1]
    assert mixed.rows[:4].tolist() == [0, 1, 2, 3]


def test_of_a_story_and_of_near_duplicates_the_best_placed_stays() -> None:
    articles = [
        article("a", story_id="s"),
        article("b", story_id="s"),
        article("c"),
        article("d"),
        article("e"),
    ]
    state = world(articles, {"c": unit(1, 0.01), "d": unit(1)})
    kept = one_version_each(scored([0.1, 0.9, 0.2, 0.8, 0.0]).take(np.array([1, 3, 2, 0, 4])), state.catalog)
    assert [state.catalog.ids[row] for row in kept.rows] == ["b", "d", "e"]


def test_versions_of_what_is_pinned_go() -> None:
    articles = [article("pin", story_id="s"), article("same", story_id="s"), article("copy"), article("else")]
    state = world(articles, {"pin": unit(1), "copy": unit(1, 0.01)})
    left = without_versions_of([0], scored([0.0] * 4), state.catalog)
    assert [state.catalog.ids[row] for row in left.rows] == ["else"]
