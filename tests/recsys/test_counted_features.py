"""Features from counters and places within a list, on worlds whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys import in_list
from recsys.config import Config, build_config
from recsys.errors import ConfigError
from recsys.features import FEATURE_NAMES, LEARNED, NEUTRAL, Moment, check_names, learned_matrix
from recsys.learned import Learned
from recsys.pipeline import Funnel, Query
from recsys.profile import Reader
from recsys.ranker import KNOTS, AdditiveRanker
from recsys.schemas import Article, Event
from recsys.state import State
from tests.builders import NOW, article, event, row, world

T = NOW.timestamp()
COUNTERS = ("openings_1h", "openings_6h", "openings_24h", "openings_168h", "rise", "ctr_24h")


def views(name: str, readers: int, minutes_ago: float = 1.0, kind: str = "view") -> list[Event]:
    return [event(f"{kind}-{name}-{n}", name, f"r{n}", kind, minutes_ago) for n in range(readers)]


def values_of(state: State, name: str, *articles: str) -> dict[str, float]:
    rows = np.array([row(state, each) for each in articles], dtype=np.int32)
    found = learned_matrix(state, rows, Moment(T, None, None, T), [name])[:, 0]
    return dict(zip(articles, found.tolist(), strict=True))


def with_ranker(state: State, name: str, slope: float = 1.0) -> State:
    """A ranker of one straight curve on the for_you and related lists."""
    centre = np.array([NEUTRAL.get(name, 1.0)])
    curve = slope * np.array([KNOTS])
    ranker = AdditiveRanker.of([name], centre, np.array([1.0]), curve)
    learned = replace(Learned.nothing(state.config), rankers={"related": ranker, "for_you": ranker})
    return State(
        state.config, state.catalog, state.index, state.neighbours, state.popularity, state.histories, learned
    )


def test_openings_count_readers_against_a_thousandth_of_all_openings() -> None:
    events = views("loud", 40, 0.0) + views("quiet", 3, 0.0) + views("shown", 5, 0.0, "impression")
    state = world([article(name) for name in ("loud", "quiet", "shown", "new")], events=events)
    found = values_of(state, "openings_6h", "loud", "quiet", "shown", "new")
    usual = 1 + 43 / 1000
    assert found["loud"] == pytest.approx(math.log1p(40 / usual))
    assert found["quiet"] == pytest.approx(math.log1p(3 / usual))
    assert found["shown"] == 0.0
    assert math.isnan(found["new"])


def test_a_shorter_half_life_forgets_sooner() -> None:
    state = world([article("a")], events=views("a", 100, minutes_ago=60.0 * 24))
    each = [values_of(state, f"openings_{hours}h", "a")["a"] for hours in (1, 6, 24, 168)]
    assert each == sorted(each)
    masses = [100 * 2.0 ** (-24 / hours) for hours in (1, 6, 24, 168)]
    assert each == pytest.approx([math.log1p(m / (1 + m / 1000)) for m in masses])


def test_sections_are_measured_against_an_equal_share() -> None:
    articles = [article("s", section="Sport"), article("w", section="World"), article("none")]
    state = world(articles, events=views("s", 30, 0.0) + views("w", 10, 0.0))
    found = values_of(state, "section_openings_6h", "s", "w", "none")
    assert found["s"] == pytest.approx(math.log(31 / 21))
    assert found["w"] == pytest.approx(math.log(11 / 21))
    assert math.isnan(found["none"])


def test_rise_tells_a_sudden_article_from_a_steady_one_and_nothing_of_an_unread_one() -> None:
    steady = [event(f"s{n}", "steady", f"r{n}", minutes_ago=n * 4.0) for n in range(1000)]
    sudden = [event(f"n{n}", "sudden", f"r{n}", minutes_ago=n * 1.5) for n in range(40)]
    state = world([article("steady"), article("sudden"), article("unread")], events=steady + sudden)
    found = values_of(state, "rise", "steady", "sudden", "unread")
    assert found["sudden"] > 1.0 > abs(found["steady"])
    assert found["unread"] == NEUTRAL["rise"] == 0.0


def test_a_reader_of_a_team_is_offered_the_team_the_more_the_later_they_read_of_it() -> None:
    tagged = {"old": ["Rovers"], "new": ["United"], "r": ["Rovers", "cup"], "u": ["United"], "o": ["opera"]}
    state = world([article(name, tags=tags) for name, tags in tagged.items()] + [article("plain")])
    rows = np.array([row(state, name) for name in ("r", "u", "o", "plain")], np.int32)
    past = Reader(np.array([row(state, "new"), row(state, "old"), row(state, "plain")], np.int32))
    rovers, united, opera, plain = learned_matrix(state, rows, Moment(T, None, past, T), ["tag_share"])[:, 0]
    assert united > rovers > opera == 0.0
    assert united + rovers == pytest.approx(1.0)
    assert math.isnan(plain)


def test_age_is_the_logarithm_of_hours_and_unknown_without_a_date() -> None:
    state = world([article("a", hours_old=9.0), article("b", published_at=None)])
    found = values_of(state, "age", "a", "b")
    assert found["a"] == pytest.approx(math.log(10.0))
    assert math.isnan(found["b"])


def test_a_new_article_has_the_click_rate_of_its_section_whatever_its_neighbours_have() -> None:
    seen = [e for n in range(5) for e in views(f"a{n}", 40, kind="impression")]
    opened = [e for n in range(5) for e in views(f"a{n}", 3 * n, kind="click")]
    other = views("o", 40, kind="impression") + views("o", 30, kind="click")
    articles = [article(f"a{n}", section="World") for n in range(5)]
    articles += [article("new", section="World"), article("o", section="Sport"), article("lone")]
    state = world(articles, events=seen + opened + other)
    found = values_of(state, "ctr_24h", "a0", "a4", "new", "o", "lone")
    section = values_of(state, "section_ctr", "new")
    assert found["a0"] < found["new"] < found["a4"] < found["o"]
    assert found["new"] == pytest.approx(section["new"], abs=0.05)
    assert found["lone"] == pytest.approx(0.0)


def by(author: str | None, name: str) -> Article:
    return article(name, section="World", authors=[author] if author else [])


def test_a_good_authors_cold_article_starts_higher_and_leaves_that_as_evidence_comes() -> None:
    """Ann's articles are clicked by 30 of 100, Bob's by 10, others by 20, as the section's."""
    authors = {"a": "Ann", "b": "Bob", "c": None}
    clicked = {"a": 30, "b": 10, "c": 20}
    articles = [by(authors[k], f"{k}{n}") for k in authors for n in range(5)]
    articles += [by("Ann", "new-Ann"), by("Bob", "new-Bob"), by("Eve", "new-Eve"), by(None, "new")]
    events = [
        e
        for k, readers in clicked.items()
        for n in range(5)
        for e in views(f"{k}{n}", 100, kind="impression") + views(f"{k}{n}", readers, kind="click")
    ]
    state = world(articles, events=events)
    new = ("new-Ann", "new-Bob", "new-Eve", "new")
    lift = values_of(state, "author_ctr", *new)
    # 500 impressions beside 300 at the usual 0.2
    assert lift["new-Ann"] == pytest.approx(math.log((150 + 60) / (800 * 0.2)), abs=0.01)
    assert lift["new-Bob"] == pytest.approx(math.log((50 + 60) / (800 * 0.2)), abs=0.01)
    assert lift["new-Eve"] == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(lift["new"])
    start = values_of(state, "ctr_24h", *new)
    assert start["new-Ann"] > start["new-Eve"] == start["new"] > start["new-Bob"]
    assert start["new-Ann"] - start["new"] == pytest.approx(lift["new-Ann"], abs=1e-6)

    state.apply_events(views("new-Ann", 2000, kind="impression"), T)
    state.apply_events(views("new-Bob", 2000, kind="impression"), T)
    state.apply_events(views("new-Ann", 200, kind="click") + views("new-Bob", 600, kind="click"), T)
    later = values_of(state, "ctr_24h", *new)
    assert later["new-Ann"] < later["new"] < later["new-Bob"]
    rates = {name: math.exp(later[name]) * state.popularity.overall_ctr(T, 24.0) for name in later}
    assert rates["new-Ann"] == pytest.approx(0.10, rel=0.06)
    assert rates["new-Bob"] == pytest.approx(0.30, rel=0.06)
    # what an article did itself is no evidence of its author's others
    assert values_of(state, "author_ctr", "new-Ann")["new-Ann"] > 0.0


def test_an_article_of_an_author_without_others_is_like_one_without_author() -> None:
    events = views("own", 100, kind="impression") + views("own", 60, kind="click")
    events += views("other", 100, kind="impression") + views("other", 10, kind="click")
    signed, bare = (world([by(name, "own"), by(None, "other")], events=events) for name in ("Ann", None))
    assert values_of(signed, "author_ctr", "own")["own"] == pytest.approx(0.0, abs=1e-9)
    for name in ("ctr_4h", "ctr_24h", "ctr_168h"):
        assert values_of(signed, name, "own", "other") == pytest.approx(values_of(bare, name, "own", "other"))


UNSEEN = [name for name in COUNTERS if not name.startswith("ctr_")]


@pytest.mark.parametrize("name", [*UNSEEN, *in_list.names_of(UNSEEN)])
def test_an_article_without_counts_neither_wins_nor_loses_by_them(name: str) -> None:
    seen = [e for n in range(5) for e in views(f"a{n}", 7 * n + 1, kind="impression")]
    opened = [e for n in range(5) for e in views(f"a{n}", 3 * n + 1, kind="click")]
    articles = [article(f"a{n}", section="World") for n in range(5)] + [article("new", section="World")]
    state = with_ranker(world(articles, events=seen + opened), name, slope=-1.0)
    _, parts, _ = Funnel(state).explain("related", Query(now=T, context=0), row(state, "new"))
    assert parts[name] == pytest.approx(0.0, abs=1e-12)


ANY = st.lists(st.one_of(st.just(math.nan), st.integers(-3, 3).map(float)), max_size=12)


@given(ANY)
def test_ranks_lie_symmetrically_and_keep_the_order(values: list[float]) -> None:
    raw = np.array(values)
    ranks = in_list.rank(raw)
    assert (np.isnan(ranks) == np.isnan(raw)).all()
    known = ~np.isnan(raw)
    assert (np.abs(ranks[known]) <= 0.5).all()
    assert ranks[known].sum() == pytest.approx(0.0, abs=1e-9)
    for a, b in zip(*np.nonzero(np.less.outer(raw, raw)), strict=True):
        assert ranks[a] < ranks[b]
    for a, b in zip(*np.nonzero(np.equal.outer(raw, raw)), strict=True):
        assert ranks[a] == ranks[b]


@given(ANY, st.floats(-5, 5))
def test_gaps_and_ranks_forget_what_is_added_to_a_whole_list(values: list[float], shift: float) -> None:
    raw = np.array(values)
    np.testing.assert_array_equal(in_list.rank(raw + shift), in_list.rank(raw))
    np.testing.assert_allclose(in_list.gap(raw + shift), in_list.gap(raw), atol=1e-9)
    known = ~np.isnan(raw)
    if known.any():
        assert np.median(in_list.gap(raw)[known]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("form", in_list.FORMS)
def test_explain_gives_the_parts_that_the_list_had(form: str) -> None:
    events = [e for n in range(20) for e in views(f"a{n:02d}", n + 1)]
    articles = [article(f"a{n:02d}", hours_old=n + 1.0) for n in range(20)]
    articles.append(article("gone", is_hidden=True))
    state = with_ranker(world(articles, events=events), f"openings_24h{form}")
    funnel, query = Funnel(state), Query(now=T, limit=8, context=0)
    for place, item in enumerate(funnel.slate("related", query).items, 1):
        removed, parts, rank = funnel.explain("related", query, item.row)
        assert (removed, rank) == (None, place)
        assert parts == item.parts
    removed, parts, _ = funnel.explain("related", query, row(state, "gone"))
    assert removed == "hidden"
    assert parts[f"openings_24h{form}"] == 0.0
    # one more article in the list's company: the most read of all stands at its top
    told = funnel.explain("related", query, row(state, "a19"))[1]
    assert told[f"openings_24h{form}"] > 0.0


def test_what_the_catalogue_lacks_is_scored_by_its_counts_and_without_any_it_changes_nothing() -> None:
    events = views("a", 3) + views("b", 9) + views("ghost", 99)
    state = with_ranker(world([article("a"), article("b")], events=events), "openings_24h.rank")
    a, b, ghost = (row(state, name) for name in ("a", "b", "ghost"))
    unheard = state.catalog.refer("unheard of")
    state.popularity.resize(len(state.catalog))
    state.index.resize(len(state.catalog))
    funnel, query = Funnel(state), Query(now=T)
    alone = funnel.score("related", query, np.array([a, b], np.int32))
    among = funnel.score("related", query, np.array([a, unheard, b], np.int32))
    assert among[[0, 2]].tolist() == alone.tolist()
    assert math.isnan(among[1])
    counted = funnel.score("related", query, np.array([a, ghost, b], np.int32))
    assert counted[1] > counted[2] > counted[0]


def test_every_feature_can_be_asked_for_and_others_are_refused_by_name() -> None:
    state = world([article("a", section="World")], events=views("a", 3))
    reader = Reader(np.array([0], np.int32))
    matrix = learned_matrix(state, np.array([0], np.int32), Moment(T, 0, reader, T), FEATURE_NAMES)
    assert matrix.shape == (1, 3 * len(LEARNED))
    check_names(FEATURE_NAMES)
    for wrong in ("openings_2h", "age.mean", "age.rank.rank"):
        with pytest.raises(ConfigError, match=rf"{wrong}.*allowed are .*openings_6h.*\.rank or \.gap"):
            check_names(["age", wrong])


@pytest.mark.parametrize(
    ("feature", "key"),
    [
        ("openings_6h", "half_lives_hours"),
        ("subsection_openings_6h.gap", "half_lives_hours"),
        ("ctr_4h.rank", "ctr_half_lives_hours"),
    ],
)
def test_a_feature_needs_its_half_life(feature: str, key: str) -> None:
    values = {"ranker": {"features": [feature]}, "popularity": {key: [24.0]}}
    surfaces = {name: {"half_life_hours": 24.0} for name in Config().surfaces.model_dump()}
    with pytest.raises(ConfigError, match=rf"'{feature}', popularity\.{key} lacks"):
        build_config({**values, "surfaces": surfaces}, "test")
