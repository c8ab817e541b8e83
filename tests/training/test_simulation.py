"""The simulated newsroom keeps its own truth."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.errors import ConfigError
from tests.quality.newsrooms import Size, log_of, make
from tests.training.command import recsys
from training.readers import read_events, read_exposures
from training.simulate import simulate
from training.simulation.policy import Layout, Shelf, draw_lists
from training.simulation.scenario import Scenario, load_scenario
from training.simulation.world import KINDS

END = datetime(2026, 3, 1, tzinfo=UTC)


def test_lists_are_drawn_with_the_chances_that_are_written_down() -> None:
    world = make(1, Size(6, 1, 1), Scenario())
    world = replace(world, sections=np.array([0, 0, 1, 1, 1, 2]), names=["a", "b", "c"])
    shelf = Shelf(Layout.of(world), np.array([5.0, 1.0, 2.0, 0.5, 0.5, 1.0]))
    prefer = np.tile([1.0, 4.0, 1.0], (20_000, 1))
    barred = np.full(20_000, 2)
    drawn = draw_lists(np.random.default_rng(2), shelf, prefer, barred, 3)
    weights = np.array([5.0, 1.0, 0.0, 2.0, 2.0, 1.0])
    assert not (drawn.rows == 2).any()
    first = np.bincount(drawn.rows[:, 0], minlength=6) / 20_000
    np.testing.assert_allclose(first, weights / weights.sum(), atol=0.015)
    np.testing.assert_allclose(drawn.chances[:, 0], (weights / weights.sum())[drawn.rows[:, 0]])
    after_0 = drawn.rows[drawn.rows[:, 0] == 0]
    second = np.bincount(after_0[:, 1], minlength=6) / len(after_0)
    np.testing.assert_allclose(second, np.where(np.arange(6) == 0, 0.0, weights) / 6.0, atol=0.02)


def test_a_list_is_as_long_as_the_newsroom_allows_and_holds_nothing_twice() -> None:
    world = make(1, Size(5, 1, 1), Scenario())
    shelf = Shelf(Layout.of(world), np.array([1.0, 1e-9, 1e-9, 1e-9, 0.0]))
    drawn = draw_lists(np.random.default_rng(3), shelf, np.ones((50, len(world.names))), np.full(50, -1), 10)
    for row in drawn.rows:
        assert sorted(row[:4].tolist()) == [0, 1, 2, 3]
        assert (row[4:] == -1).all()
    assert ((drawn.chances > 0) & (drawn.chances <= 1)).all()


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "log"
    scenario = Scenario(for_you_share=0.3)
    simulate(folder, seed=4, articles=300, users=300, days=4, end=END, scenario=scenario)
    return folder


def test_events_belong_to_the_lists_that_were_served(logged: Path) -> None:
    served = {(e.request_id, e.surface): e for e in read_exposures(logged)}
    found = [e for e in read_events(logged) if e.type in ("click", "impression")]
    assert {surface for _, surface in served} == {"related", "for_you"}
    assert found
    for event in found:
        exposure = served[event.request_id or "", event.surface or "related"]
        assert event.position is not None
        assert exposure.items[event.position - 1].article_id == event.article_id
        assert exposure.user_id == event.user_id
        assert exposure.ts < event.ts <= END


def test_nothing_is_shown_before_it_is_published_and_every_click_is_opened(logged: Path) -> None:
    table = pq.read_table(logged / "articles").to_pylist()
    published = {row["article_id"]: row["published_at"] for row in table}
    events = list(read_events(logged))
    assert all(published[e.article_id] <= e.ts for e in events)
    views = {(e.user_id, e.article_id) for e in events if e.type == "view"}
    late = {(e.user_id, e.article_id) for e in events if e.type == "click"} - views
    assert len(late) <= 3  # clicked in the last second before the end


def test_places_are_looked_at_as_often_as_the_scenario_says(logged: Path) -> None:
    shown = sum(len(e.items) == 10 for e in read_exposures(logged))
    positions = [e.position for e in read_events(logged) if e.type == "impression"]
    seen = np.bincount(positions, minlength=11)[1:] / shown
    np.testing.assert_allclose(seen, Scenario().examined(), atol=0.06)


def test_truth_is_written_beside_the_data(logged: Path) -> None:
    truth = json.loads((logged / "truth.json").read_text())
    assert truth["half_life_hours"]["Sport"] == 8.0
    assert len(truth["quality"]) == 300
    kinds = {reader["kind"] for reader in truth["readers"].values()}
    assert kinds == set(KINDS)
    for reader in truth["readers"].values():
        assert len(reader["likes"]) == (2 if reader["kind"] == "two_interests" else 1)
    assert truth["scenario"]["for_you_share"] == 0.3


def test_a_scenario_is_read_from_a_file_and_from_the_call(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("position_bias = 1.0\n[half_life_hours]\nSport = 3.0\n")
    found = load_scenario(tmp_path / "s.toml", ["list_length=20", "half_life_hours.Food=99.0"])
    assert (found.half_life("Sport"), found.half_life("Food"), found.half_life("World")) == (3.0, 99.0, 14.0)
    np.testing.assert_allclose(found.examined(), 1.0 / np.arange(1, 21))
    with pytest.raises(ConfigError, match="likes: unknown key"):
        load_scenario(None, ["likes=1"])
    with pytest.raises(ConfigError, match="examination names 10 positions, list_length is 12"):
        load_scenario(None, ["list_length=12"])


def test_the_command_takes_a_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ("--articles", 40, "--users", 20, "--days", 1, "--out", tmp_path / "d")
    answer = recsys(capsys, "simulate", *size, "--set", "confirmed_impressions=false")
    assert answer.code == 0
    assert not [e for e in read_events(tmp_path / "d") if e.type == "impression"]
    assert recsys(capsys, "validate", tmp_path / "d").code == 0
    assert recsys(capsys, "simulate", *size, "--set", "heavy=1").code == 2


def test_the_same_world_can_be_logged_under_another_policy(tmp_path: Path) -> None:
    world = make(2, Size(60, 40, 2), Scenario())
    logs = [log_of(world, tmp_path / name, 2, 2) for name in "ab"]
    assert list(read_events(logs[0])) == list(read_events(logs[1]))
    other = log_of(world, tmp_path / "c", 2, 2, examination=(0.0,) * 10)
    assert not [e for e in read_events(other) if e.type == "click"]
