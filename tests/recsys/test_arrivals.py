"""Articles that enter together leave the state as if each had come alone; so does a plan made ahead."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.arrivals import Arrivals, apply_all
from recsys.config import Config, IndexConfig
from recsys.schemas import Article
from recsys.state import State
from tests.builders import article, scattered, world

NARROW = Config(index=IndexConfig(neighbours=50))
_COMING = st.lists(
    st.tuples(st.integers(60, 80), st.sampled_from(["p", "q", "r", None]), st.booleans()), max_size=25
)


def coming(steps: list[Any]) -> list[tuple[Article, Any]]:
    """Some new, some known; some change their vector, some come twice, some have none."""
    found = []
    for number, flavour, hidden in steps:
        vector = None if flavour is None else scattered(f"{number if flavour != 'r' else 0}{flavour}")
        found.append((article(f"a{number}", is_hidden=hidden), vector))
    return found


def lists_of(state: State) -> list[Any]:
    return [state.neighbours.of(row)[0].tolist() for row in range(len(state.catalog))]


@given(_COMING)
def test_together_or_one_by_one_is_the_same(steps: list[Any]) -> None:
    one, other = (world([article(f"a{n}") for n in range(70)], config=NARROW) for _ in range(2))
    for each, vector in coming(steps):
        one.apply_article(each, vector)
    apply_all(other, coming(steps))
    size = len(one.catalog)
    for row in range(size):
        # the last digit depends on how many were multiplied at once, and with it who of ties is the last
        rows, cosines = (found[:40] for found in other.neighbours.of(row))
        np.testing.assert_allclose(cosines, one.neighbours.of(row)[1][:40], atol=1e-6)
        found = other.index.similarities(np.array([row]), rows)[0]
        # an article that lost its vector stays where it was until something takes its place
        np.testing.assert_allclose(found[~np.isnan(found)], cosines[~np.isnan(found)], atol=1e-6)
    np.testing.assert_array_equal(one.catalog.duplicate[:size], other.catalog.duplicate[:size])
    np.testing.assert_array_equal(one.index.has[:size], other.index.has[:size])


def test_a_plan_changes_nothing_and_reads_beside_new_references() -> None:
    state = world([article(f"a{n}") for n in range(70)], config=NARROW)
    before = lists_of(state)
    arrivals = Arrivals(state, [(article("new"), scattered("a3"))])
    arrivals.compare()
    for number in range(500):
        state.catalog.refer(f"mentioned-{number}")
    state.fit_rows()
    places = arrivals.plan(0)
    assert lists_of(state)[:70] == before
    arrivals.apply(0, places)
    row = state.catalog.row("new")
    assert row is not None
    assert state.neighbours.of(row)[0][0] == state.catalog.row("a3")
    assert row in state.neighbours.of(3)[0]


def test_an_article_of_another_language_is_planned_by_its_words() -> None:
    from recsys.lexical import Lexicon

    def german(name: str, text: str) -> Article:
        return article(name, language="de", title=text, abstract=text)

    texts = ["Der Zug nach Köln fällt heute aus", "Kein Zug nach Köln am Morgen", "Die Ernte war gut"]
    one, other = (world([article("english")]) for _ in range(2))
    for state in (one, other):
        state.index.lexical.lexicon = Lexicon(("en",))
    rows = [(german(f"d{at}", text), None) for at, text in enumerate(texts)]
    for each, vector in rows:
        one.apply_article(each, vector)
    apply_all(other, rows)
    assert lists_of(one) == lists_of(other)
