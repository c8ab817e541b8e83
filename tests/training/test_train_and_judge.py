"""From data to a judged and published bundle, by the commands a data scientist types."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.bundle import Registry, read_manifest
from recsys.config import Config
from recsys.schemas import Event
from tests.conftest import Newsroom
from tests.training.command import recsys
from training.evaluate import evaluate
from training.fit import train
from training.readers import read_articles, read_events, read_exposures
from training.writing import DatasetWriter

Capture = pytest.CaptureFixture[str]


def few_lines(path: Path) -> dict[str, float]:
    """The metrics once more, from the scores alone, in the plainest way."""
    rows = pq.read_table(path).to_pylist()
    by_request: dict[str, list[tuple[float, bool]]] = {}
    for row in rows:
        by_request.setdefault(row["request_id"], []).append((row["score"], row["clicked"]))
    aucs, ndcgs = [], []
    for items in by_request.values():
        clicked = [score for score, click in items if click]
        others = [score for score, click in items if not click]
        if clicked and others:
            wins = [(a > b) + 0.5 * (a == b) for a in clicked for b in others]
            aucs.append(sum(wins) / len(wins))
            order = sorted(items, key=lambda item: -item[0])[:10]
            gain = sum(click / np.log2(place + 2) for place, (_, click) in enumerate(order))
            ndcgs.append(gain / sum(1 / np.log2(place + 2) for place in range(min(10, len(clicked)))))
    return {"auc": float(np.mean(aucs)), "ndcg@10": float(np.mean(ndcgs)), "impressions": len(aucs)}


@pytest.fixture(scope="module")
def judged(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    span = (newsroom.now - timedelta(days=1), None)
    result = evaluate(newsroom.bundle, newsroom.data, newsroom.models, span=span)
    result.write_scores(folder / "scores.parquet")
    (folder / "metrics.json").write_bytes(result.as_json())
    return folder


def test_an_independent_few_lines_find_the_same_metrics(judged: Path) -> None:
    told = json.loads((judged / "metrics.json").read_text())["rankings"]["funnel"]
    found = few_lines(judged / "scores.parquet")
    assert found["impressions"] == told["impressions"] > 50
    assert found["auc"] == pytest.approx(told["auc"], abs=1e-9)
    assert found["ndcg@10"] == pytest.approx(told["ndcg@10"], abs=1e-9)


def test_every_baseline_stands_beside_the_funnel_with_intervals(judged: Path) -> None:
    rankings = json.loads((judged / "metrics.json").read_text())["rankings"]
    assert {
        "funnel",
        "cosine_mean",
        "cosine_nearest",
        "decayed_counts",
        "newest",
        "random",
    } <= rankings.keys()
    for row in rankings.values():
        low, high = row["ci"]["auc"]
        assert low <= row["auc"] <= high
    assert rankings["funnel"]["auc"] > rankings["random"]["ci"]["auc"][1]


def test_the_same_seed_judges_the_same(newsroom: Newsroom, judged: Path) -> None:
    span = (newsroom.now - timedelta(days=1), None)
    again = evaluate(newsroom.bundle, newsroom.data, newsroom.models, span=span)
    assert again.as_json().decode() == (judged / "metrics.json").read_text()


def test_nothing_after_the_fit_leaks_into_a_bundle(newsroom: Newsroom, tmp_path: Path) -> None:
    until = newsroom.now - timedelta(days=1)
    with DatasetWriter(tmp_path / "past") as writer:
        for article in read_articles(newsroom.data):
            writer.tables["articles"].add(article)
        for made in read_events(newsroom.data):
            if made.ts <= until:
                writer.tables["events"].add(made)
        for served in read_exposures(newsroom.data):
            if served.ts <= until:
                writer.tables["exposures"].add(served)
        writer.finish({})
    models = tmp_path / "models"
    shutil.copytree(newsroom.models / "cache", models / "cache")
    alone = train(Config(), tmp_path / "past", models, created=newsroom.now, fit_until=until).bundle
    for name in (
        "count_openings_masses",
        "count_clicks_masses",
        "history_reader_rows",
        "vectors",
        "neighbour_rows",
        "affinity_sections",
        "covisited_rows",
        "covisited_together",
    ):
        np.testing.assert_array_equal(alone.array(name), newsroom.bundle.array(name), err_msg=name)
    assert (alone.path / "rankers.json").read_text() == (newsroom.bundle.path / "rankers.json").read_text()
    assert alone.manifest["metrics"] == newsroom.bundle.manifest["metrics"]
    assert alone.manifest["watermark"] == newsroom.bundle.manifest["watermark"] <= until.timestamp()


def test_a_second_training_embeds_nothing_and_gives_the_same_arrays(
    newsroom: Newsroom, own_models: Path
) -> None:
    until = newsroom.now - timedelta(days=1)
    again = train(Config(), newsroom.data, own_models, created=newsroom.now, fit_until=until)
    assert again.embedded.computed == 0
    files, before = again.bundle.manifest["files"], newsroom.bundle.manifest["files"]
    arrays = [name for name in before if name.endswith(".npy")]
    assert {name: files[name]["digest"] for name in arrays} == {
        name: before[name]["digest"] for name in arrays
    }


def test_the_commands_of_the_registry(newsroom: Newsroom, own_models: Path, capsys: Capture) -> None:
    def run(*args: object) -> tuple[int, str]:
        answer = recsys(capsys, *args)
        return answer.code, answer.out + answer.err

    first = newsroom.bundle.version
    code, told = run("train", "--data", newsroom.data, "--models", own_models, "--set", "train.seed=1")
    assert code == 0
    second = told.split("bundle ")[1].split()[0]
    assert Registry(own_models).current() == first
    code, listed = run("models", "list", "--models", own_models, "--json")
    assert (code, [row["version"] for row in json.loads(listed)]) == (0, sorted([first, second]))
    assert run("models", "verify", second, "--models", own_models)[0] == 0
    assert json.loads(run("models", "show", second, "--models", own_models, "--json")[1])["version"] == second
    assert run("models", "promote", second, "--models", own_models)[0] == 0
    assert Registry(own_models).current() == second
    assert run("models", "rollback", "--models", own_models)[0] == 0
    assert Registry(own_models).current() == first
    code, told = run("models", "promote", "v0", "--models", own_models)
    assert (code, first in told and "no bundle 'v0'" in told) == (1, True)


def test_evaluate_by_command_writes_what_it_printed(
    newsroom: Newsroom, own_models: Path, tmp_path: Path, capsys: Capture
) -> None:
    target = tmp_path / "m.json"
    since = (newsroom.now - timedelta(hours=12)).isoformat()
    answer = recsys(
        capsys, "evaluate", "--data", newsroom.data, "--models", own_models, "--judge-from", since,
        "--json", target, "--scores", tmp_path / "s.parquet",
    )  # fmt: skip
    assert answer.code == 0
    auc = json.loads(target.read_text())["rankings"]["funnel"]["auc"]
    assert f"{auc:.4f}" in answer.out
    assert few_lines(tmp_path / "s.parquet")["auc"] == pytest.approx(auc, abs=1e-9)


def test_candidates_the_bundle_never_saw_are_scored_and_unknown_ones_are_not(
    newsroom: Newsroom, own_models: Path, tmp_path: Path
) -> None:
    rows = list(read_articles(newsroom.data))
    with DatasetWriter(tmp_path / "part") as writer:
        for article in rows[:200]:
            writer.tables["articles"].add(article)
        writer.finish({})
    small = train(Config(), tmp_path / "part", own_models, created=newsroom.now).bundle
    span = (newsroom.now - timedelta(hours=6), None)
    result = evaluate(small, newsroom.data, own_models, span=span)
    late = {article.article_id for article in rows[200:]}
    scores = {
        i: s
        for i, s in zip(result.judged.scored["article_id"], result.judged.scored["score"], strict=True)
        if i in late
    }
    assert scores
    assert not np.isnan(list(scores.values())).any()


def test_the_first_bundle_is_published_and_the_person_is_told_what_was_not_shown(
    newsroom: Newsroom, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(newsroom.models / "cache", tmp_path / "cache")
    answer = recsys(capsys, "train", "--data", newsroom.data, "--models", tmp_path, "--publish")
    assert answer.code == 0
    assert "without comparison" in answer.err
    assert Registry(tmp_path).current() is not None


def test_the_manifest_says_what_the_bundle_is(newsroom: Newsroom) -> None:
    manifest = read_manifest(newsroom.bundle.path)
    assert {
        "version",
        "created",
        "config",
        "config_digest",
        "data_window",
        "watermark",
        "feature_names",
        "libraries",
        "files",
    } <= manifest.keys()
    assert manifest["articles"] == 240
    assert manifest["config_digest"] == Config().digest()


def test_simulation_follows_from_its_seed(tmp_path: Path, capsys: Capture) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        args = ("--seed", seed, "--articles", 60, "--users", 30, "--days", 2, "--out", tmp_path / name)
        assert recsys(capsys, "simulate", *args).code == 0
    logs = {name: list(read_events(tmp_path / name)) for name in "abc"}
    assert logs["a"] == logs["b"] != logs["c"]
    assert all(isinstance(made, Event) for made in logs["a"])
    assert recsys(capsys, "validate", tmp_path / "a").code == 0
