"""One place of a list may go to a cold article, by rules that always hold and chances that are known."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.candidates import Rows
from recsys.config import Config, ExplorationConfig
from recsys.exploration import Draws, Explored, cold_pool, evidence, explore, falling
from recsys.rules import Eligibility
from recsys.state import State
from tests.builders import NOW, article, event, row, scattered, world

AT = NOW.timestamp()
LIST = list(range(100, 110))
POOL = np.arange(5, dtype=np.int32)
LISTS = ("related", "for_you")
OFTEN = ExplorationConfig(share=0.4, pool=3, surfaces=LISTS)


def as_given(rows: Rows) -> Rows:
    return rows


def made(
    number: int, config: ExplorationConfig = OFTEN, pinned: tuple[int, ...] = (), surface: str = "related"
) -> Explored:
    return explore(LIST, pinned, POOL, as_given, config, Draws(0, b"%d" % number), surface)


def test_the_same_request_is_explored_the_same_again_and_each_list_by_itself() -> None:
    first = [made(number) for number in range(300)]
    assert first == [made(number) for number in range(300)]
    other = [made(number, surface="for_you") for number in range(300)]
    both = sum(a.place is not None and b.place is not None for a, b in zip(first, other, strict=True))
    assert both == pytest.approx(300 * 0.4 * 0.4, abs=25)


@pytest.mark.parametrize(
    ("config", "pool", "surface"),
    [
        (ExplorationConfig(share=0.0, surfaces=LISTS), POOL, "related"),
        (OFTEN, POOL, "latest"),
        (OFTEN, POOL[:0], "related"),
        (ExplorationConfig(share=0.4, first_position=11, surfaces=LISTS), POOL, "related"),
    ],
)
def test_where_nothing_may_be_tried_nothing_is_left_to_chance(
    config: ExplorationConfig, pool: Rows, surface: str
) -> None:
    for number in range(50):
        found = explore(LIST, (), pool, as_given, config, Draws(0, b"%d" % number), surface)
        assert (found.rows, found.propensities, found.place) == (LIST, [1.0] * 10, None)


def test_the_first_places_and_pins_stay_and_one_place_at_most_is_given_away() -> None:
    shares = Counter[int | None]()
    for number in range(20_000):
        found = made(number, pinned=(104, 109))
        changed = [at for at in range(10) if found.rows[at] != LIST[at]]
        assert changed == ([] if found.place is None else [found.place])
        assert [found.propensities[at] for at in (0, 1, 2, 4, 9)] == [1.0] * 5
        shares[found.place] += 1
    assert set(shares) == {None, 3, 5, 6, 7, 8}
    assert shares[None] / 20_000 == pytest.approx(0.6, abs=0.012)
    for place in (3, 5, 6, 7, 8):
        assert shares[place] / 20_000 == pytest.approx(0.08, abs=0.008)


@given(st.floats(0.01, 0.5), st.integers(1, 10), st.integers(1, 5), st.integers(0, 10_000))
def test_the_product_of_the_places_is_the_chance_of_the_list(
    share: float, first: int, pool: int, number: int
) -> None:
    config = ExplorationConfig(share=share, first_position=first, pool=pool, surfaces=LISTS)
    found = made(number, config)
    places = 10 - (first - 1)
    expected = 1.0 - share
    if found.place is not None:
        expected = share / places * falling(pool)[found.rows[found.place]]
        assert found.propensities[found.place + 1 :] == [1.0] * (9 - found.place)
    assert np.prod(found.propensities) == pytest.approx(expected, rel=1e-9)
    assert min(found.propensities) > 0.0


def test_lists_are_as_frequent_as_they_say() -> None:
    lists: dict[tuple[int, ...], float] = {}
    count, seen = 60_000, Counter[tuple[int, ...]]()
    for number in range(count):
        found = made(number)
        lists[tuple(found.rows)] = float(np.prod(found.propensities))
        seen[tuple(found.rows)] += 1
    assert sum(lists.values()) == pytest.approx(1.0)
    off = sum((seen[rows] - count * chance) ** 2 / (count * chance) for rows, chance in lists.items())
    # chi-squared with as many degrees of freedom as lists, less one
    assert off < len(lists) + 4.0 * np.sqrt(2.0 * len(lists))


def test_importance_weights_tell_without_bias_what_another_policy_would_earn() -> None:
    rng = np.random.default_rng(3)
    liked = {
        row: float(p) for row, p in zip([*POOL.tolist(), *LIST], rng.uniform(0.02, 0.5, 15), strict=True)
    }
    looked = 1.0 / np.arange(1.0, 11.0)
    other = ExplorationConfig(share=0.2, pool=3, first_position=6, surfaces=LISTS)
    worth, weights, of_item = [], [], []
    for number in range(40_000):
        found = made(number)
        clicks = rng.random(10) < looked * np.array([liked[row] for row in found.rows])
        weight = chance_under(other, found.rows) / float(np.prod(found.propensities))
        weights.append(weight)
        worth.append(weight * clicks.sum())
        # an article at a place, given the places above it
        hit = found.rows[5] == 1
        of_item.append(clicks[5] / float(np.prod(found.propensities[:6])) if hit else 0.0)
    plain = float(np.sum(looked * np.array([liked[row] for row in LIST])))
    odds = falling(3)
    gains = [
        looked[at] * (sum(odds[c] * liked[c] for c in range(3)) - liked[LIST[at]]) for at in range(5, 10)
    ]
    truth = plain + 0.2 * float(np.mean(gains))
    for values, expected in ((weights, 1.0), (worth, truth), (of_item, looked[5] * liked[1])):
        error = np.std(values) / np.sqrt(len(values))
        assert np.mean(values) == pytest.approx(expected, abs=3.5 * error)
        assert error < 0.3 * expected


def chance_under(config: ExplorationConfig, rows: list[int]) -> float:
    changed = [at for at in range(10) if rows[at] != LIST[at]]
    if not changed:
        return 1.0 - config.share
    places, odds = 11 - config.first_position, falling(config.pool)
    inside = changed[0] + 1 >= config.first_position and rows[changed[0]] < config.pool
    return config.share / places * float(odds[rows[changed[0]]]) if inside else 0.0


def pool_of(
    state: State, *own: str, page: tuple[str, ...] = (), eligible: Eligibility | None = None
) -> set[str]:
    names = [row(state, name) for name in own]
    rows = cold_pool(
        state,
        AT,
        eligible or Eligibility(AT),
        [*names, *(row(state, p) for p in page)],
        names,
        ExplorationConfig(surfaces=LISTS),
    )
    return {state.catalog.ids[found] for found in rows.tolist()}


def test_only_what_may_stand_in_the_list_is_tried() -> None:
    state = world(
        [
            article("listed", hours_old=5, story_id="s"),
            article("elsewhere", hours_old=5),
            article("new", hours_old=1),
            article("old", hours_old=49),
            article("hidden", hours_old=1, is_hidden=True),
            article("embargo", hours_old=-1),
            article("version", hours_old=1, story_id="s"),
            article("copy", hours_old=1),
            article("undated", published_at=None),
        ],
        {"copy": scattered("listed")},
    )
    assert pool_of(state, "listed", page=("elsewhere",)) == {"new"}
    narrowed = Eligibility(AT, excluded=np.array([row(state, "new")], np.int32))
    assert pool_of(state, "listed", page=("elsewhere",), eligible=narrowed) == set()


def test_an_article_leaves_the_pool_as_evidence_comes() -> None:
    articles = [article(name, hours_old=2) for name in ("shown", "opened", "new", "forged")]
    seen = [event(f"i{at}", "shown", f"r{at}", "impression", minutes_ago=1) for at in range(101)]
    read = [event(f"v{at}", "opened", f"r{at}", minutes_ago=1) for at in range(6)]
    lies = [event(f"f{at}", "forged", f"x{at}", minutes_ago=1, trust=0.0) for at in range(500)]
    state = world(articles, events=[*seen[:99], *read[:4], *lies])
    assert pool_of(state) == {"shown", "opened", "new", "forged"}
    state.apply_events([*seen[99:], *read[4:]], AT)
    assert pool_of(state) == {"new", "forged"}
    rows = np.array([row(state, "shown"), row(state, "opened")], np.int32)
    assert evidence(state, rows, AT).tolist() == pytest.approx([101, 120], rel=0.001)


def test_exploration_is_on_by_default_and_cautious() -> None:
    config = Config().exploration
    assert (config.share, config.first_position) == (0.05, 4)
    assert not {"popular", "latest", "must_reads"} & set(config.surfaces)
