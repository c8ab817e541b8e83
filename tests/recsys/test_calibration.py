"""A reader with two interests gets both; one with a single interest keeps it."""

import numpy as np
import pytest

from recsys.config import load_config
from recsys.features import section_shares
from recsys.pipeline import Funnel, Query
from recsys.profile import Reader
from recsys.state import State
from tests.builders import NOW, article, event, row, unit, world

SECTIONS = ("Sport", "Food", "News")
PLACES = {"Sport": (1.0, 0.0, 0.0), "Food": (0.0, 1.0, 0.0), "News": (0.0, 0.0, 1.0)}


def newsroom(calibration: float) -> State:
    """Twelve articles to offer and eight to have read in each section; everybody else reads all alike."""
    articles = [
        article(f"{kind}-{name}-{n}", section=name)
        for name in SECTIONS
        for kind, count in (("new", 12), ("read", 8))
        for n in range(count)
    ]
    vectors = {
        a.article_id: unit(*PLACES[a.section or ""], *(0.0,) * (3 + i % 20), 0.6)
        for i, a in enumerate(articles)
    }
    events = [event(f"e-{a.article_id}", a.article_id, reader="other") for a in articles]
    config = load_config(None, [f"surfaces.for_you.calibration={calibration}"])
    return world(articles, vectors, config, events)


def past(state: State, **reads: int) -> Reader:
    names = [f"read-{name}-{n}" for name, count in reads.items() for n in range(count)]
    return Reader(np.array([row(state, name) for name in names], dtype=np.int32))


def served(state: State, reader: Reader) -> dict[str, int]:
    """How many of the ten are of each section."""
    slate = Funnel(state).slate("for_you", Query(now=NOW.timestamp(), limit=10, reader=reader))
    names = [state.catalog.sections.names[state.catalog.section[item.row]] for item in slate.items]
    return {name: names.count(name) for name in SECTIONS}


def test_both_interests_are_served_where_scores_alone_serve_one() -> None:
    alone, calibrated = newsroom(0.0), newsroom(0.4)
    assert served(alone, past(alone, Sport=7, Food=6))["Food"] < 3
    found = served(calibrated, past(calibrated, Sport=7, Food=6))
    assert min(found["Sport"], found["Food"]) >= 3


def test_a_single_interest_keeps_most_of_the_list() -> None:
    state = newsroom(0.4)
    assert served(state, past(state, Sport=8))["Sport"] >= 6


def test_shares_sum_to_one_and_grow_with_what_was_read() -> None:
    state = newsroom(0.4)
    few = section_shares(state, past(state, Food=1), NOW.timestamp())
    many = section_shares(state, past(state, Food=8), NOW.timestamp())
    assert few is not None
    assert many is not None
    assert few.sum() == pytest.approx(1.0)
    food = state.catalog.sections.names.index("Food")
    assert 1.0 / 3.0 < few[food] < many[food] < 1.0


def test_nobody_has_no_shares() -> None:
    state = newsroom(0.4)
    assert section_shares(state, None, NOW.timestamp()) is None
    assert section_shares(state, Reader(np.zeros(0, np.int32)), NOW.timestamp()) is None
