"""Nobody falls below the content blend for being new: cold readers, cold articles, no log at all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.affinity import Affinity
from recsys.blending import blend, rank
from recsys.candidates import Candidates
from recsys.config import Config
from recsys.features import LEARNED, NEUTRAL, learned_matrix
from recsys.learned import Learned
from recsys.pipeline import Funnel, Query
from recsys.ranker import KNOTS, AdditiveRanker
from recsys.state import State
from tests.builders import NOW, article, event, row, world

NAMES = tuple(Config().ranker.features)
NOW_S = NOW.timestamp()
SECTIONS = ("Sport", "Politics", "Science")


def ranker_of(seed: int, names: tuple[str, ...] = NAMES) -> AdditiveRanker:
    """Steep curves, zero where a feature says nothing, as ``fit_ranker`` makes them."""
    rng = np.random.default_rng(seed)
    centres = np.array([NEUTRAL.get(name, rng.normal()) for name in names])
    curves = rng.normal(size=(len(names), len(KNOTS))) * 5.0
    return AdditiveRanker.of(names, centres, rng.uniform(0.2, 2.0, len(names)), curves)


def by_interpolation(ranker: AdditiveRanker, matrix: np.ndarray, factors: dict[str, float]) -> np.ndarray:
    """The curves in the plainest way."""
    found = np.zeros(matrix.shape)
    for column, name in enumerate(ranker.names):
        for line in np.flatnonzero(~np.isnan(matrix[:, column])).tolist():
            standard = (matrix[line, column] - ranker.centres[column]) / ranker.scales[column]
            curve = np.interp(standard, KNOTS, ranker.values[column])
            found[line, column] = factors.get(name, 1.0) * curve
    return found


RAW = st.one_of(
    st.floats(-20, 20), st.just(float("nan")), st.sampled_from((*KNOTS, float("inf"), -float("inf")))
)


@given(
    matrix=arrays(np.float64, st.tuples(st.integers(0, 8), st.just(len(NAMES))), elements=RAW),
    seed=st.integers(0, 99),
    factor=st.floats(0, 3),
)
def test_one_lookup_for_all_curves_is_their_interpolation(
    matrix: np.ndarray, seed: int, factor: float
) -> None:
    ranker = replace(ranker_of(seed), centres=np.zeros(len(NAMES)))
    factors = {NAMES[0]: factor, "not a feature": 9.0}
    found = ranker.parts(matrix, factors)
    np.testing.assert_allclose(found, by_interpolation(ranker, matrix, factors), rtol=0, atol=1e-12)
    assert np.all(found[np.isnan(matrix)] == 0.0)


@given(seed=st.integers(0, 99), missing=st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)))
def test_missing_and_neutral_features_add_exactly_nothing(seed: int, missing: list[bool]) -> None:
    neutral = [np.nan if gone or name not in NEUTRAL else NEUTRAL[name]
               for name, gone in zip(NAMES, missing, strict=True)]  # fmt: skip
    parts = ranker_of(seed).parts(np.array([neutral] * 3), {})
    np.testing.assert_allclose(parts, 0.0, atol=1e-12)
    assert np.all(parts[np.isnan([neutral] * 3)] == 0.0)


def newsroom(readers: int, seed: int = 0) -> State:
    """Nine articles in three sections; ``readers`` that were shown some of them and clicked one."""
    articles = [
        article(f"a{at}", section=SECTIONS[at % 3], hours_old=float(at + 1), language="en") for at in range(9)
    ]
    rng = np.random.default_rng(seed)
    events = []
    for number in range(readers):
        for at in rng.permutation(6)[:4].tolist():
            name = f"r{number}"
            events.append(event(f"i{number}-{at}", f"a{at}", name, "impression", minutes_ago=90.0))
            if rng.random() < 0.5:
                events.append(event(f"c{number}-{at}", f"a{at}", name, "click", minutes_ago=60.0))
    state = world(articles, events=events)
    lifts = Affinity(rng.normal(size=(3, 3)))
    rankers = {surface: ranker_of(seed + 1) for surface in ("related", "for_you")}
    state.learned = replace(Learned.nothing(state.config), sections=lifts, rankers=rankers)
    return state


def scores(state: State, surface: str, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Of every article with and without the learned curves."""
    everything = np.arange(len(state.catalog), dtype=np.int32)
    candidates = Candidates.of(everything, np.zeros(len(everything), np.uint8))
    moment = Funnel(state).moment(query, surface)
    config = state.config.surfaces.of(surface)
    return (
        rank(state, candidates, moment, config, surface).scores,
        blend(state, candidates, moment, config, surface).scores,
    )


@pytest.mark.parametrize("seed", range(5))
def test_without_a_log_the_learned_ranker_scores_as_the_content_blend(seed: int) -> None:
    state = newsroom(readers=0, seed=seed)
    for surface, context in (("related", 0), ("for_you", None), ("related", None)):
        learned, content = scores(state, surface, Query(now=NOW_S, context=context))
        np.testing.assert_allclose(learned, content, rtol=0, atol=1e-12)


def test_without_a_log_the_slates_are_identical() -> None:
    with_curves = newsroom(readers=0)
    without = newsroom(readers=0)
    without.learned = replace(without.learned, rankers={})
    for surface in ("related", "for_you", "must_reads", "popular", "latest"):
        query = Query(now=NOW_S, context=2 if surface == "related" else None, limit=6)
        rows = [
            [item.row for item in Funnel(state).slate(surface, query).items]
            for state in (with_curves, without)
        ]
        assert rows[0] == rows[1]
        assert len(rows[0]) == 6


@pytest.mark.parametrize("seed", range(5))
def test_cold_articles_stand_among_each_other_as_the_blend_has_them(seed: int) -> None:
    """A reader without past sees articles that nobody was shown yet, in one section."""
    state = newsroom(readers=30, seed=seed)
    for at in range(9):
        cold = article(f"new{at}", section=SECTIONS[0], hours_old=float(at) / 3, language="en")
        vector = np.roll(np.eye(32, dtype=np.float32)[0], at) * 0.8 + np.float32(0.1)
        state.apply_article(cold, vector / np.float32(np.linalg.norm(vector)))
    cold_rows = [row(state, f"new{at}") for at in range(9)]
    learned, content = scores(state, "related", Query(now=NOW_S, context=row(state, "a0")))
    # they share what is known of their section, and nothing else is
    np.testing.assert_allclose((learned - content)[cold_rows], (learned - content)[cold_rows[0]], atol=1e-12)
    assert np.argsort(learned[cold_rows]).tolist() == np.argsort(content[cold_rows]).tolist()
    warm = [row(state, f"a{at}") for at in range(6)]
    assert np.ptp((learned - content)[warm]) > 0.01


def test_a_cold_article_of_an_unknown_section_has_the_blends_score_itself() -> None:
    state = newsroom(readers=30)
    state.apply_article(article("new", section=None, language="en"), None)
    for query in (Query(now=NOW_S), Query(now=NOW_S, context=0)):
        learned, content = scores(state, "related", query)
        assert learned[-1] == pytest.approx(content[-1], abs=1e-12)


def test_every_feature_says_nothing_of_a_stranger_and_an_unseen_article() -> None:
    """The law behind the above, for each feature by itself: missing, or at its neutral value."""
    state = newsroom(readers=0)
    rows = np.arange(len(state.catalog), dtype=np.int32)
    matrix = learned_matrix(state, rows, Funnel(state).moment(Query(now=NOW_S), "for_you"), tuple(LEARNED))
    for name, column in zip(LEARNED, matrix.T, strict=True):
        if name == "age":
            continue  # a date is no experience: a new article has one
        expected = NEUTRAL.get(name, np.nan)
        known = column[~np.isnan(column)]
        np.testing.assert_allclose(known, expected, atol=1e-12, err_msg=name)
