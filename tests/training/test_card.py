"""The registry's tables and cards say what the manifests say."""

import json
from pathlib import Path
from typing import Any

import pytest

from recsys.bundle import MANIFEST, Registry
from recsys.config import Config, load_config
from tests.conftest import Newsroom, copy_models
from tests.training.command import recsys
from training.card import differing, model_card
from training.fit import train

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def registry(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newsroom's bundle, and one with a changed weight whose gate could judge."""
    models = copy_models(newsroom.models, tmp_path_factory.mktemp("cards") / "models")
    worse = [f"surfaces.related.weights.{name}=-5.0" for name in ("similarity", "popularity", "freshness")]
    changed = load_config(None, ["gate.min_lists=40", *worse])
    train(changed, newsroom.data, models, created=newsroom.now)
    return models


def manifest_of(models: Path, version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((models / version / MANIFEST).read_text())
    return found


def test_the_list_shows_the_metrics_of_bundles_side_by_side(registry: Path, capsys: Capture) -> None:
    first, second = Registry(registry).versions()
    rows = json.loads(recsys(capsys, "models", "list", "--models", registry, "--json").out)
    gate = manifest_of(registry, second)["metrics"]["gate"]
    assert [row["version"] for row in rows] == [first, second]
    assert rows[1]["gate"]["funnel"] == gate["models"]["funnel"]
    assert rows[1]["gate"]["verdict"] == gate["verdict"]
    assert rows[0]["gate"]["verdict"] == "not_shown"
    table = recsys(capsys, "models", "list", "--models", registry).out
    for name in ("funnel", "content_blend", "decayed_counts"):
        assert f"{gate['models'][name]['auc']:.4f}" in table


def test_a_card_tells_data_metrics_changes_features_notes_and_files(registry: Path, capsys: Capture) -> None:
    version = Registry(registry).versions()[1]
    card = recsys(capsys, "models", "show", version, "--models", registry).out
    manifest = manifest_of(registry, version)
    low, high = manifest["metrics"]["gate"]["models"]["funnel"]["ci"]["auc"]
    for told in (
        f"# {version}",
        "240 articles",
        f"{manifest['events']:,} events",
        f"({low:.4f}-{high:.4f})",
        "surfaces.related.weights.similarity = -5 (default 1)",
        "gate.min_lists = 40 (default 200)",
        manifest["feature_names"][-1],
        manifest["notes"][0],
        "vectors.npy",
        "Versions: ",
    ):
        assert told in card
    as_json = recsys(capsys, "models", "show", version, "--models", registry, "--json").out
    assert json.loads(as_json) == manifest


def test_a_person_may_promote_what_the_gate_refused_and_is_told(registry: Path, capsys: Capture) -> None:
    version = Registry(registry).versions()[1]
    gate = manifest_of(registry, version)["metrics"]["gate"]
    assert gate["verdict"] == "failed"
    answer = recsys(capsys, "models", "promote", version, "--models", registry)
    assert answer.code == 0
    assert "although the gate refused it" in answer.err
    assert gate["reasons"][0] in answer.err
    assert Registry(registry).current() == version


def test_a_card_of_a_bundle_without_metrics_can_be_read(newsroom: Newsroom) -> None:
    manifest = {**newsroom.bundle.manifest, "metrics": {}, "notes": [], "data_window": [None, None]}
    assert "Gate: not judged" in model_card(manifest)


def test_what_the_fit_and_the_search_noted_stands_on_the_card_too(newsroom: Newsroom) -> None:
    metrics = {
        "single_signals": {"newest": 0.5, "cosine_mean": 0.61234},
        "learning_curve": {"for_you": [{"lists": 1200, "gain": 0.0123, "auc": 0.6}]},
        "tuning": {"trials": 7, "later": {"ci": [-0.1, 0.1]}, "values": {"ranker.prior": 0.2}},
        "features": {"for_you": {"ctr_4h": {"histogram": list(range(24))}}},
    }
    card = model_card({**newsroom.bundle.manifest, "metrics": metrics})
    assert "- cosine_mean 0.6123\n- newest 0.5" in card
    assert "curves of for_you, AUC: +0.0123 from 1,200 lists" in card
    assert "- trials 7" in card
    assert "- values.ranker.prior 0.2" in card
    assert "histogram" not in card


def test_only_what_differs_is_named() -> None:
    assert differing(load_config(None, []).public_dict()) == []
    changed = load_config(None, ["train.seed=3", "ranker.features=['section_ctr']"]).public_dict()
    assert differing(changed) == [
        f"ranker.features = ['section_ctr'] (default {list(Config().ranker.features)})",
        "train.seed = 3 (default 0)",
    ]
