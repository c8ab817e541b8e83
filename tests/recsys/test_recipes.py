"""Learned weights of a list: in force, overridden, and kept from taking `related` off its topic."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.config import build_config
from recsys.errors import BundleError
from recsys.pipeline import Funnel, Query
from recsys.recency import newness
from recsys.recipes import Recipe
from recsys.state import State
from tests.builders import NOW, article, event, row, unit, world

POPULAR = Recipe({"similarity": 0.01, "popularity": 1.74}, 4.0, True)


def newsroom(recipe: Recipe | None, **related: object) -> State:
    """Eight articles near the context `c`, eight far from it that everybody reads."""
    near = {f"n{k}": unit(1.0, *[0.0] * k, 1.0) for k in range(8)}
    far = {f"f{k}": unit(*[0.0] * (12 + k), 1.0) for k in range(8)}
    config = build_config({"surfaces": {"related": {"diversity": 0.0, **related}}}, "test")
    articles = [article(name) for name in ("c", *near, *far)]
    events = [event(f"{k}{r}", f"f{k}", f"r{r}") for k in range(8) for r in range(3 + k)]
    state = world(articles, {"c": unit(1.0), **near, **far}, config, events)
    if recipe is not None:
        state.learned = replace(state.learned, recipes={"related": recipe})
    return state


def related(state: State, limit: int = 10) -> list[str]:
    slate = Funnel(state).slate("related", Query(NOW.timestamp(), limit=limit, context=row(state, "c")))
    for item in slate.items:
        assert item.score == pytest.approx(sum(item.parts.values()))
    return [state.catalog.ids[item.row] for item in slate.items]


def test_the_first_places_keep_the_topic_and_what_is_opened_next_follows() -> None:
    listed = related(newsroom(POPULAR))
    assert all(name.startswith("n") for name in listed[:5])
    assert listed[5:8] == ["f7", "f6", "f5"]


def test_variety_does_not_let_others_into_the_places_of_the_topic() -> None:
    assert all(name.startswith("n") for name in related(newsroom(POPULAR, diversity=1.0))[:5])


def test_what_readers_open_together_does_not_make_it_the_topic() -> None:
    """The configured weights alone would put the far ones, which all read after `c`, among the first."""
    together = newsroom(POPULAR, weights={"covisited": 5.0})
    pairs = together.learned.covisitation
    for reader in range(40):
        for k in range(8):
            past, now = np.array([row(together, "c")], np.int32), NOW.timestamp() + reader
            pairs.opened(past, row(together, f"f{k}"), now)
    listed = related(together)
    assert all(name.startswith("n") for name in listed[:5])
    assert all(name.startswith("f") for name in listed[5:])


def test_without_text_the_learned_weights_order_all_places() -> None:
    state = newsroom(POPULAR)
    for name in state.catalog.ids:
        state.index.remove(row(state, name))
    assert related(state)[:3] == ["f7", "f6", "f5"]


def test_the_configuration_can_leave_learned_weights_out() -> None:
    assert related(newsroom(POPULAR, blending="weights")) == related(newsroom(None))


def test_a_weight_that_is_written_down_wins_over_the_learned_one() -> None:
    state = newsroom(POPULAR, weights={"popularity": 0.0}, topical_places=0)
    assert all(name.startswith("n") for name in related(state)[:8])


def test_a_recipe_survives_json_and_an_unknown_part_is_refused() -> None:
    assert Recipe.from_json(POPULAR.to_json()) == POPULAR
    with pytest.raises(BundleError, match="lunar_phase"):
        Recipe.from_json({"weights": {"lunar_phase": 1.0}, "half_life_hours": 4.0})


def test_newness_is_linear_in_the_logarithm_of_the_age() -> None:
    state = world(
        [article("now", hours_old=0.0), article("day", hours_old=24.0), article("old", hours_old=9e4)]
    )
    found = newness(state, np.arange(3, dtype=np.int32), NOW.timestamp())
    np.testing.assert_allclose(found, [1.0, 1.0 - np.log(25.0) / np.log(8761.0), 0.0])
