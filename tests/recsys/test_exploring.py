"""Cold articles in finished lists: every rule holds, the chances are those of what happened."""

from collections import Counter
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from recsys.config import Config
from recsys.exploration import Draws
from recsys.exploring import SOURCE, Explorer
from recsys.features import Seen
from recsys.pipeline import Funnel, Query, Slate
from recsys.profile import Reader
from recsys.state import State
from tests.builders import NOW, article, event, scattered, world

T = NOW.timestamp()
OLD, COLD = [f"a{number:02d}" for number in range(30)], [f"new{number}" for number in range(4)]


@pytest.fixture(scope="module")
def state() -> State:
    articles = [article(name, hours_old=100.0) for name in OLD]
    articles += [article(name, hours_old=1.0) for name in COLD]
    vectors = {each.article_id: scattered(each.article_id) for each in articles}
    events = [event(f"e{number}", OLD[number % 20], f"r{number % 9}") for number in range(120)]
    made = world(articles, vectors, events=events)
    exploration = {"share": 0.5, "evidence": 5.0, "pool": 3}
    made.config = Config.model_validate({**made.config.public_dict(), "exploration": exploration})
    return made


def shown(state: State, query: Query, number: int) -> tuple[Slate, Slate]:
    funnel = Funnel(state)
    slate = funnel.slate("for_you", query)
    draws = Draws(0, b"%d" % number)
    return slate, Explorer(funnel).explored(query, {"for_you": slate}, draws)["for_you"]


def asked(state: State, **more: object) -> Query:
    past = Reader(np.array([0, 1, 2], dtype=np.int32))
    # what the list has by itself is older, so that every cold article is a stranger to it
    return replace(Query(now=T, limit=8, reader=past, exclude=[]), **more)  # type: ignore[arg-type]


def test_a_place_given_away_is_told_and_every_other_stays(state: State) -> None:
    places: Counter[int] = Counter()
    for number in range(200):
        plain, tried = shown(state, asked(state), number)
        changed = [at for at in range(8) if plain.items[at].row != tried.items[at].row]
        assert len(changed) <= 1
        assert [item.position for item in tried.items] == list(range(1, 9))
        assert tried.propensities is not None
        assert all(0.0 < chance <= 1.0 for chance in tried.propensities)
        for at in changed:
            places[at] += 1
            assert tried.items[at].sources == [SOURCE]
            assert state.catalog.ids[tried.items[at].row] in COLD
            assert sum(tried.items[at].values) == pytest.approx(tried.items[at].score)
            assert len({item.row for item in tried.items}) == 8
    assert places
    assert min(places) >= 3


def test_what_may_not_stand_in_the_list_is_not_tried(state: State) -> None:
    banned = [state.catalog.row(name) for name in COLD[:3]]
    query = asked(state, exclude=[row for row in banned if row is not None])
    for number in range(100):
        _, tried = shown(state, query, number)
        assert not {item.row for item in tried.items} & set(banned)


def test_what_a_list_was_ranked_by_is_not_mistaken_for_what_was_tried(state: State) -> None:
    tried = 0
    for number in range(20):
        witness: list[Seen] = []
        plain, given = shown(state, asked(state, witness=witness), number)
        assert [seen.surface for seen in witness] == ["for_you"]
        assert {item.row for item in plain.items} <= set(witness[0].rows.tolist())
        tried += any(item.sources == [SOURCE] for item in given.items)
    assert tried > 3


def test_the_same_request_is_tried_the_same_again(state: State) -> None:
    for number in range(20):
        assert shown(state, asked(state), number) == shown(state, asked(state), number)


def test_without_a_share_nothing_changes(state: State) -> None:
    none = state.config.exploration.model_copy(update={"share": 0.0})
    before, state.config = state.config, state.config.model_copy(update={"exploration": none})
    try:
        plain, tried = shown(state, asked(state), 1)
        assert plain == tried
        assert tried.propensities is None
    finally:
        state.config = before


def drawing(state: State, **settings: object) -> State:
    """The same state under a configuration that draws lists; articles that are tried are spares as well."""
    values = {"exploration": {"share": 0.3, "evidence": 5.0, "pool": 3, "surfaces": ["for_you", "related"]}}
    randomisation = {"share": 0.7, "pool": 9, "temperature": 1.0, **settings}
    config = Config.model_validate({**state.config.public_dict(), **values, "randomisation": randomisation})
    made = copy(state)
    made.config = config
    return made


@pytest.mark.parametrize("method", ["plackett_luce", "swap"])
def test_lists_of_a_page_are_drawn_and_every_rule_holds(state: State, method: str) -> None:
    random = drawing(state, method=method)
    funnel, pin, banned = Funnel(random), 28, 27
    query = asked(state, limit=5, context=4, pins={"for_you": {2: pin}}, hidden={"related": [banned]})
    plain, _ = funnel.page(["related", "for_you", "latest"], query)
    seen: Counter[tuple[int, ...]] = Counter()
    for number in range(300):
        given = Explorer(funnel).explored(query, plain, Draws(0, b"%d" % number))
        rows = {name: [item.row for item in slate.items] for name, slate in given.items()}
        everywhere = [row for each in rows.values() for row in each]
        assert len(everywhere) == len(set(everywhere)) == 15
        assert rows["latest"] == [item.row for item in plain["latest"].items]
        assert rows["for_you"][1] == pin
        assert banned not in rows["related"]
        assert not {0, 1, 2} & set(rows["for_you"])
        assert 4 not in everywhere
        for name in ("related", "for_you"):
            slate = given[name]
            assert [item.position for item in slate.items] == [1, 2, 3, 4, 5]
            assert all(sum(item.values) == pytest.approx(item.score) for item in slate.items)
            # a list is what it is given those before it
            others = {**plain, **({"for_you": given["for_you"]} if name == "related" else {})}
            policy = Explorer(funnel).policy(query, name, others)
            assert slate.propensities == policy.mixture.chances(rows[name])
            assert 0.0 < min(slate.propensities) <= max(slate.propensities) <= 1.0
        assert given["for_you"].propensities[1] == pytest.approx(1.0)  # type: ignore[index]
        seen[tuple(rows["for_you"])] += 1
    alone = (
        Explorer(funnel)
        .policy(query, "for_you", plain)
        .mixture.chances([item.row for item in plain["for_you"].items])
    )
    assert seen[tuple(item.row for item in plain["for_you"].items)] / 300 == pytest.approx(
        np.prod(alone), abs=0.11
    )
    assert len(seen) > (30 if method == "plackett_luce" else 4)


def test_a_share_of_nothing_leaves_the_chances_of_tried_lists_as_they_are(state: State) -> None:
    off = drawing(state, share=0.0)
    elsewhere = drawing(state, surfaces=["must_reads"])
    query = asked(state)
    for number in range(60):
        draws, found = Draws(0, b"%d" % number), []
        for each in (off, elsewhere):
            funnel = Funnel(each)
            found.append(Explorer(funnel).explored(query, {"for_you": funnel.slate("for_you", query)}, draws))
        assert found[0] == found[1]
        # computed as the general mixture they are the same numbers
        slate = found[0]["for_you"]
        plain = {"for_you": Funnel(off).slate("for_you", query)}
        policy = Explorer(Funnel(off)).policy(query, "for_you", plain)
        chances = policy.mixture.chances([item.row for item in slate.items])
        assert slate.propensities == pytest.approx(chances, rel=1e-12)
