"""Logs as they should not be: each gives a sane model, and a note that says what is wrong."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from recsys.config import load_config
from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.schemas import SURFACES, Event, Exposure
from recsys.state import State
from tests.builders import NOW, article, event, row
from tests.training.logs import click, served, trained

T = NOW.timestamp()
SECTIONS = ("World", "Sport", "Food")
SITE = [article(f"a{at}", hours_old=5.0 + at, section=SECTIONS[at % 3]) for at in range(12)]
FEW_LISTS = load_config(None, ["ranker.min_lists=20"])


def lists_of(state: State, reader: str = "r3") -> dict[str, list[str]]:
    """The ids of every list, each full and without what is not in the catalogue."""
    past = state.histories.of(reader_key(f"s:{reader}"))
    context = row(state, "a0")
    found = {}
    for surface in SURFACES:
        query = Query(now=T, context=context if surface == "related" else None, reader=past, limit=5)
        slate = Funnel(state).slate(surface, query)
        assert all(np.isfinite(item.score) for item in slate.items)
        assert all(state.catalog.is_known(item.row) for item in slate.items)
        found[surface] = [state.catalog.ids[item.row] for item in slate.items]
    return found


def log(readers: int = 30, skip: int = 5) -> tuple[list[Event], list[Exposure]]:
    """Readers who open two articles each, and click the second item of the list beside the first."""
    events, exposures = [], []
    for at in range(readers):
        who, first, ago = f"r{at}", f"a{at % 7}", 240.0 - 5 * at
        shown = [f"a{(at + step) % 12}" for step in (1, skip, 3)]
        events.append(event(f"v{at}", first, who, minutes_ago=ago))
        exposures.append(served(f"q{at}", *shown, reader=who, minutes_ago=ago - 0.1, context=first))
        events.append(click(f"c{at}", shown[1], who, ago - 1, request_id=f"q{at}", surface="related"))
    return events, exposures


def test_an_empty_log(tmp_path: Path) -> None:
    state, notes = trained(tmp_path, SITE)
    assert "the log holds no event: lists rest on content and freshness alone" in notes
    assert all(len(ids) == 5 for ids in lists_of(state).values())
    assert lists_of(state)["latest"][0] == "a0"
    assert not state.learned.rankers


def test_one_reader(tmp_path: Path) -> None:
    events = [event(f"e{at}", f"a{at}", "r3", minutes_ago=60 - at) for at in range(4)]
    state, notes = trained(tmp_path, SITE, events)
    assert "the whole log is of one reader" in notes
    assert set(lists_of(state)["popular"][:4]) == {"a0", "a1", "a2", "a3"}
    assert len(lists_of(state)["for_you"]) == 5


def test_one_article(tmp_path: Path) -> None:
    events = [event(f"e{at}", "a0", f"r{at}", minutes_ago=60 - at) for at in range(9)]
    state, _ = trained(tmp_path, SITE[:1], events, [served("q1", "a0", reader="r3")])
    found = lists_of(state, "nobody")
    assert found.pop("related") == []
    assert set(map(tuple, found.values())) == {("a0",)}


def test_everything_clicked(tmp_path: Path) -> None:
    events, exposures = log()
    clicks = [
        click(f"k{at}-{item.position}", item.article_id, f"r{at}", 1, request_id=f"q{at}", surface="related")
        for at, exposure in enumerate(exposures)
        for item in exposure.items
    ]
    views = [made for made in events if made.type == "view"]
    state, notes = trained(tmp_path, SITE, views + clicks, exposures, FEW_LISTS)
    assert "all 90 shown articles were clicked" in notes
    assert "0 lists with clicks, 20 are needed" in notes
    assert not state.learned.rankers
    rates = state.popularity.ctr(T, np.arange(12))
    assert rates.max() <= 1.0
    assert all(len(ids) == 5 for ids in lists_of(state).values())


def test_nothing_clicked(tmp_path: Path) -> None:
    events, exposures = log()
    views = [made for made in events if made.type == "view"]
    state, notes = trained(tmp_path, SITE, views, exposures, FEW_LISTS)
    assert "no click belongs to any of the 30 served lists" in notes
    assert not state.learned.rankers
    assert all(len(ids) == 5 for ids in lists_of(state).values())


def test_clocks_that_run_backwards(tmp_path: Path) -> None:
    events, exposures = log()
    early = [event(f"b{at}", "a1", f"r{at}", minutes_ago=60 * 24 * 30) for at in range(10)]
    future = [event(f"f{at}", "a2", f"r{at}", minutes_ago=-60 * 24 * 400) for at in range(3)]
    before_list = [click("k", "a5", "r0", 700, request_id="q0", surface="related")]
    rows = [*reversed(events), *future, *early, *before_list]
    state, notes = trained(tmp_path, SITE, rows, exposures[::-1])
    assert "3 are dated in the future" in notes
    assert "11 events lie before their article was published" in notes
    assert state.popularity.watermark <= T
    sorted_state, _ = trained(tmp_path / "sorted", SITE, [*early, *before_list, *events], exposures)
    assert lists_of(state) == lists_of(sorted_state)
    for name, array in sorted_state.popularity.state().items():
        np.testing.assert_array_equal(state.popularity.state()[name], array, err_msg=name)


def test_duplicated_exposures_and_events(tmp_path: Path) -> None:
    events, exposures = log()
    once, _ = trained(tmp_path / "once", SITE, events, exposures, FEW_LISTS)
    twice, notes = trained(tmp_path / "twice", SITE, events * 2, exposures * 2, FEW_LISTS)
    assert "60 repeat an event id" in notes
    assert "30 of 60 served lists repeat an earlier one" in notes
    same(once, twice)


def test_a_log_of_another_catalogue(tmp_path: Path) -> None:
    events, _ = log()
    renamed = [made.model_copy(update={"article_id": f"other-{made.article_id}"}) for made in events]
    state, notes = trained(tmp_path, SITE, renamed, [])
    assert "none of the 12 articles in the log stands in the catalogue (it has 'other-a0'" in notes
    assert "log of another catalogue" in notes
    plain, _ = trained(tmp_path / "empty", SITE)
    found, expected = lists_of(state), lists_of(plain)
    assert found["latest"] == expected["latest"]
    assert all(len(ids) == 5 for ids in found.values())
    assert not any(name.startswith("other") for ids in found.values() for name in ids)


def robot(clicks: int, lists: int = 100) -> tuple[list[Event], list[Exposure]]:
    """A robot that clicks one old article in lists of its own, and opens another."""
    exposures = [
        served(f"bot{at}", "a11", "a10", "a9", reader="robot", minutes_ago=230 - at) for at in range(lists)
    ]
    made = []
    for at in range(clicks):
        shared = {"session_id": "robot", "ts": NOW - timedelta(minutes=200 * (1 - at / clicks))}
        kind = {"type": "click", "article_id": "a11", "request_id": f"bot{at % lists}", "surface": "related"}
        made.append(Event.model_construct(event_id=f"b{at}", **(shared | kind)))  # type: ignore[arg-type]
    return made, exposures


def same(first: State, second: State) -> None:
    """Everything that a list is made of is equal, to the last bit."""
    assert lists_of(first) == lists_of(second)
    for one, other in (
        (first.popularity.state(), second.popularity.state()),
        (first.learned.arrays(), second.learned.arrays()),
        (first.histories.state(), second.histories.state()),
    ):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    rankers = [{s: r.to_json() for s, r in state.learned.rankers.items()} for state in (first, second)]
    assert rankers[0] == rankers[1]


def test_a_robot_with_a_hundred_thousand_clicks_moves_no_list(tmp_path: Path) -> None:
    events, exposures = log()
    clicks, own = robot(100_000)
    without, _ = trained(tmp_path / "without", SITE, events, exposures, FEW_LISTS)
    found, notes = trained(tmp_path / "with", SITE, events + clicks, exposures + own, FEW_LISTS)
    assert "100,000 come from robots" in notes
    assert "100 of 130 served lists were served to robots" in notes
    same(without, found)


def test_the_same_robot_would_move_what_is_learned_if_it_were_believed(tmp_path: Path) -> None:
    events, exposures = log()
    clicks, own = robot(2_000)
    credulous = load_config(
        None,
        ["ranker.min_lists=20"]
        + [f"clicklog.bot_openings_{span}=1000000" for span in ("minute", "hour", "day")],
    )
    without, _ = trained(tmp_path / "without", SITE, events, exposures, FEW_LISTS)
    found, _ = trained(tmp_path / "with", SITE, events + clicks, exposures + own, credulous)
    with pytest.raises(AssertionError):
        same(without, found)


def test_a_log_of_ten_years(tmp_path: Path) -> None:
    articles = [article(f"a{at}", hours_old=24.0 * 3650) for at in range(12)]
    ago = [60 * 24 * 36 * (100 - at) for at in range(100)]
    events = [event(f"e{at}", f"a{at % 12}", f"r{at}", minutes_ago=ago[at]) for at in range(100)]
    state, _ = trained(tmp_path, articles, events)
    assert np.isfinite(state.popularity.openings.masses).all()
    assert lists_of(state)["popular"][0] == "a3"
