"""The search for settings, in worlds where it is known what helps."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.bundle import read_manifest
from recsys.config import Config, build_config
from recsys.errors import ConfigError, DataError
from recsys.pipeline import Funnel
from tests.conftest import Newsroom
from tests.training.command import recsys
from tests.training.test_gate import topical
from training.fit import replay
from training.material import Material
from training.metrics import NAMES
from training.search import Search
from training.tuning import Tuned, tune

SPACE = [
    ["surfaces.related.weights.similarity", -1.0, 1.0],
    ["surfaces.related.weights.popularity", 0.0, 1.0],
]


def settings(similarity: float, metric: str = "auc", **more: Any) -> Config:
    """Related lists ranked by similarity and popularity alone."""
    weights = {"similarity": similarity, "covisited": 0.0, "section": 0.0, "freshness": 0.0, "off_topic": 0.0}
    tuning = {"metric": metric, "space": SPACE, **more}
    return build_config({"surfaces": {"related": {"weights": weights}}, "tune": tuning}, "test")


def searched(config: Config, material: Material, trials: int, folder: Path, **more: Any) -> Tuned:
    return tune(config, material, replay, trials, folder, **more)


def test_the_search_finds_what_helps_and_takes_it(tmp_path: Path) -> None:
    found = searched(settings(-1.0), topical(240), 12, tmp_path)
    assert found.facts["chosen"]
    assert found.config.surfaces.related.weights.similarity > 0.1
    assert found.facts["best"] > 0.85 > 0.2 > found.facts["present"]
    assert found.facts["later"]["ci"][0] > 0.5
    assert ": taken" in found.told()
    assert build_config(tomllib.loads(found.toml()), "printed").surfaces.related.weights.similarity > 0.1


def test_what_only_seems_better_is_not_taken(tmp_path: Path) -> None:
    # clicks by chance alone: some trial is always best, none is better
    found = searched(settings(0.3), topical(240, noise=5.0 / 6.0), 12, tmp_path)
    assert found.facts["best"] >= found.facts["present"]
    assert not found.facts["chosen"]
    assert found.config == settings(0.3)
    assert "the present settings stay" in found.told()


def test_a_search_that_was_cut_off_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, material = settings(-1.0), topical(120)
    whole = searched(config, material, 14, tmp_path / "whole")
    tried: list[int] = []

    def stop_after(limit: int) -> Callable[[int, int], None]:
        def step(done: int, _: int) -> None:
            tried.append(done)
            if done == limit:
                raise KeyboardInterrupt

        return step

    for limit in (3, 12):
        with pytest.raises(KeyboardInterrupt):
            searched(config, material, 14, tmp_path / "cut", progress=stop_after(limit))
    asked: list[str] = []
    again = searched(config, material, 14, tmp_path / "cut", progress=stop_after(99), say=asked.append)
    assert tried == list(range(1, 15))
    assert "12 trials were done before" in asked
    assert (again.values, again.facts) == (whole.values, whole.facts)
    searched(config, material, 14, tmp_path / "cut", progress=stop_after(99))
    assert len(tried) == 14


def test_a_trial_left_half_done_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, material = settings(-1.0), topical(120)
    whole = searched(config, material, 4, tmp_path / "whole")

    def dies(self: Search, values: dict[str, float]) -> float:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Search, "score", dies)
        with pytest.raises(MemoryError):
            searched(config, material, 4, tmp_path / "cut")
    assert searched(config, material, 4, tmp_path / "cut").facts == whole.facts


def test_other_data_and_other_settings_are_another_search(tmp_path: Path) -> None:
    material, tried = topical(120), list[int]()
    shown = material.exposures[:-1]
    for config, known in (
        (settings(-1.0), material),
        (settings(-0.9), material),
        (settings(-1.0), replace(material, exposures=shown)),
    ):
        searched(config, known, 1, tmp_path, progress=lambda done, _: tried.append(done))
    assert tried == [1, 1, 1]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_trial_weighs_as_the_funnel_does(tmp_path: Path) -> None:
    """The precomputed features give the score that ranking with these settings gives."""
    material, config = topical(140), settings(0.4)
    search, seen = Search(config, material, replay), []
    changed = search.with_values({"surfaces.related.weights.similarity": 0.7})

    def watch(exposure: Any, state: Any, query: Any, rows: Any, given: Any) -> None:
        state.config = changed
        seen.append(Funnel(state).score("related", query, rows))
        state.config = config

    state = material.state(config)
    replay(state, material.log, material.exposures, material.clicks, each=watch)
    lists = search.lists["related"]
    weighed = lists.examples(changed.surfaces.related, "related", slice(None)).blend
    assert len(seen) == len(weighed) > 40
    for one, other in zip(weighed, seen, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_every_slice_is_judged_by_what_was_fitted_before_it() -> None:
    search = Search(settings(0.5), topical(200), replay)
    lists = search.lists["related"]
    edges = search._edges(lists)
    assert edges == sorted(edges)
    assert lists.given.ts == sorted(lists.given.ts)
    assert edges[-1] == len(lists.raw)
    assert edges[-1] - edges[-2] == round(0.25 * len(lists.raw))
    assert search.on_the_latest({}).values.shape == (edges[-1] - edges[-2], len(NAMES))


def test_too_few_lists_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing to tune.*of related, 0 of for_you.*60 of a surface"):
        searched(settings(0.5), topical(50), 1, tmp_path)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (["popularity.ctr_prior", 0.0, 1.0], "cannot be tuned"),
        (["ranker.prior", 1.0, 0.5], "needs low < high"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(row: list[Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build_config({"tune": {"space": [row]}}, "mine.toml")


def test_by_command_the_manifest_keeps_trials_and_values(
    newsroom: Newsroom, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = recsys(
        capsys, "train", "--data", newsroom.data, "--models", own_models, "--tune", 2, "--seed", 4,
        "--set=tune.folds=1",
    )  # fmt: skip
    assert answer.code == 0
    assert "best of 2 trials" in answer.out
    version = answer.out.split("bundle ")[1].split()[0]
    facts = read_manifest(own_models / version)["metrics"]["tuning"]
    assert facts["trials"] == 2
    lines = [line for line in answer.out.splitlines() if line.startswith(("surfaces.", "ranker."))]
    assert build_config(tomllib.loads("\n".join(lines)), "printed")
    assert {line.split(" = ")[0] for line in lines} == facts["values"].keys()
    assert json.loads(json.dumps(facts)) == facts
