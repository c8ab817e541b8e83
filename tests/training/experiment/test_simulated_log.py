"""The log of a made-up experiment is canonical data with the effects that were asked for."""

import json
from dataclasses import replace

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from tests.training.experiment.tables import experiment
from training.readers import validate
from training.simulation.experiments import TRUTH, Lift, Traffic, write_experiment

SMALL = Traffic(readers=1500, articles=200)


def clicks_per_page(folder, variant):
    exposures = ds.dataset(folder / "exposures").to_table(columns=["request_id", "variant"])
    own = exposures.filter(pc.field("variant") == variant)["request_id"]
    events = ds.dataset(folder / "events").to_table(
        filter=pc.field("type") == "click", columns=["request_id"]
    )
    return pc.sum(pc.is_in(events["request_id"], own)).as_py() / len(own)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("log") / "data"
    write_experiment(out, experiment(), SMALL, {"new": Lift(clicks=1.0, latency=0.5)}, seed=3)
    return out


def test_it_is_canonical(folder):
    assert list(validate(folder)) == []
    assert json.loads((folder / TRUTH).read_text())["lifts"]["new"]["clicks"] == 1.0


def test_a_lift_of_clicks_is_there(folder):
    assert clicks_per_page(folder, "new") / clicks_per_page(folder, "old") == pytest.approx(2.0, rel=0.15)


def test_only_lists_after_the_start_belong_to_the_experiment(folder):
    table = ds.dataset(folder / "exposures").to_table(columns=["ts", "variant", "session_id", "user_id"])
    inside = pc.greater_equal(table["ts"], experiment().start)
    assert pc.all(pc.equal(inside, pc.is_valid(table["variant"]))).as_py()
    assert 0.2 < pc.mean(inside.cast("int8")).as_py() < 0.9
    assert table["session_id"].null_count == len(table)


def test_every_reader_stays_on_one_side(folder):
    table = ds.dataset(folder / "exposures").to_table(filter=pc.is_valid(pc.field("variant")))
    pairs = table.group_by(["user_id", "variant"]).aggregate([])
    assert len(pairs) == len(pc.unique(pairs["user_id"]))


def test_the_same_seed_gives_the_same_rows(folder, tmp_path):
    lifts = {"new": Lift(clicks=1.0, latency=0.5)}
    write_experiment(tmp_path / "again", experiment(), SMALL, lifts, seed=3)
    write_experiment(tmp_path / "other", experiment(), replace(SMALL, impressions=False), lifts, seed=4)
    tables = [
        ds.dataset(path / "events").to_table() for path in (folder, tmp_path / "again", tmp_path / "other")
    ]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert "impression" not in pc.unique(tables[2]["type"]).to_pylist()
