"""An event counts for others as far as it is trusted, and for its own reader always."""

from collections.abc import Sequence

import numpy as np
import pytest

from recsys.config import Config, ProfileConfig
from recsys.profile import Histories, reader_key
from recsys.schemas import Event
from recsys.state import State
from tests.builders import NOW, article, event, row, world

ARTICLES = [article(name, section="News") for name in "abcd"]
AT = NOW.timestamp()


def doubted(name: str, article_id: str, reader: str = "r1", kind: str = "view", ago: float = 5.0) -> Event:
    return event(name, article_id, reader, kind, ago, trust=0.0)


def fed(*parts: Sequence[Event]) -> State:
    state = world(ARTICLES, config=Config())
    state.follows_pairs = True
    for part in parts:
        state.apply_events(part, AT)
    return state


def everything(state: State) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    counted = {name: value for name, value in state.popularity.state().items() if "landmarks" not in name}
    pairs = {f"pairs_{name}": value for name, value in state.learned.covisitation.state().items()}
    return counted | pairs


def test_what_is_not_trusted_changes_nobodys_counts_nor_pairs() -> None:
    real = [event("e1", "a", minutes_ago=9), event("e2", "b", minutes_ago=8), event("e3", "b", "r2", "click")]
    kinds = ("view", "click", "impression", "read", "share", "save", "comment")
    forged = [doubted(f"f{at}", "c", f"x{at}", kind) for at, kind in enumerate(kinds)]
    forged += [doubted("g1", "d", "r2", ago=1.0), doubted("g2", "c", "r1", ago=1.0)]
    with_them, without = everything(fed([*real, *forged])), everything(fed(real))
    assert with_them.keys() == without.keys()
    for name, value in without.items():
        np.testing.assert_array_equal(with_them[name], value, err_msg=name)


def test_a_trusted_opening_is_not_paired_with_a_doubted_one() -> None:
    state = fed([doubted("f", "c", ago=9.0)], [event("e", "a")])
    others, _ = state.learned.covisitation.of(row(state, "a"))
    assert row(state, "c") not in others.tolist()


def test_it_stays_in_its_own_readers_past() -> None:
    state = fed([doubted("f", "c"), event("h", "d", kind="hide", trust=0.0)])
    past = state.histories.of(reader_key("s:r1"))
    assert past.rows.tolist() == [row(state, "c")]
    assert past.hidden == {row(state, "d")}


@pytest.mark.parametrize("apart", [False, True])
def test_it_leaves_its_readers_one_count_to_the_next(apart: bool) -> None:
    first, second = doubted("f", "a", ago=6.0), event("e", "a", minutes_ago=5.0)
    state = fed([first], [second]) if apart else fed([first, second])
    counts = state.popularity
    assert counts.openings.read(AT - 300.0, 0)[row(state, "a")] == pytest.approx(1.0)
    assert counts.recent.counts(AT, 1.0, len(state.catalog))[row(state, "a")] == 1.0
    assert state.histories.has_opened(reader_key("s:r1"), row(state, "a"))


def test_a_share_of_trust_is_a_share_of_the_count() -> None:
    state = fed([event("e", "a", trust=0.25), event("r", "a", kind="read", value=60.0, trust=0.5)])
    counts, own = state.popularity, row(state, "a")
    assert counts.openings.read(AT - 300.0, 0)[own] == pytest.approx(0.25)
    assert counts.openings.total(AT - 300.0, 0) == pytest.approx(0.25)
    assert counts.engagement.read(AT - 300.0, 0)[own] == pytest.approx(0.5)
    assert counts.recent.counts(AT, 1.0, len(state.catalog))[own] == pytest.approx(0.25)


def test_invented_readers_push_out_each_other_and_never_a_real_one() -> None:
    pasts = Histories(ProfileConfig(max_readers=10))
    for reader in range(9):
        pasts.opened(reader, 1, float(reader))
    for reader in range(100, 1_000):
        pasts.opened(reader, 2, 50.0, trusted=False)
    assert len(pasts) == 10
    assert [len(pasts.of(reader).rows) for reader in range(9)] == [1] * 9


def test_an_erased_reader_leaves_no_doubt_behind() -> None:
    pasts = Histories(ProfileConfig())
    pasts.opened(1, 2, 3.0, trusted=False)
    pasts.forget(1)
    pasts.opened(1, 2, 4.0)
    assert pasts.trail(1, 5.0, 100.0).tolist() == [2]
