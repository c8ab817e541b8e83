"""What may replace the bundle in service, in worlds where it is known which ranking is right."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recsys.bundle import Registry, read_manifest
from recsys.config import Config, build_config, load_config
from recsys.index import Neighbours
from recsys.schemas import EVENT_TYPES, Exposure, ExposureItem
from recsys.snapshot import write_state
from tests.builders import DIMENSIONS, NOW, article
from tests.conftest import Newsroom
from tests.training.command import recsys
from training.attribution import Labels
from training.evaluate import evaluate
from training.fit import replay, train
from training.gate import Verdict, hold_back, may_replace
from training.held_back import latest
from training.material import Material
from training.readers import EventLog

TOPICS, PER_TOPIC = 8, 5
GATE = {"gate": {"min_lists": 20}}
RIGHT = build_config(GATE, "test")
_UPSIDE_DOWN = {"similarity": -1.0, "covisited": 0.0, "off_topic": 0.0}
WRONG = build_config({**GATE, "surfaces": {"related": {"weights": _UPSIDE_DOWN}}}, "test")


def topical(lists: int, seed: int = 3, noise: float = 0.1) -> Material:
    """Readers of related lists click the one article on the topic; everything is equally popular."""
    rng = np.random.default_rng(seed)
    articles = [article(f"t{t}-{n}", hours_old=500.0) for t in range(TOPICS) for n in range(PER_TOPIC)]
    names = [made.article_id for made in articles]
    topic = np.repeat(np.arange(TOPICS), PER_TOPIC)
    vectors = np.eye(TOPICS, DIMENSIONS, dtype=np.float32)[topic]
    vectors = vectors + 0.05 * rng.normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exposures, clicks, rows = [], {}, []
    for number in range(lists):
        ts = NOW - timedelta(hours=float(lists - number))
        context = int(rng.integers(len(names)))
        near = int(rng.choice(np.flatnonzero((topic == topic[context]) & (np.arange(40) != context))))
        far = rng.choice(np.flatnonzero(topic != topic[context]), size=5, replace=False)
        shown = rng.permutation([near, *far]).tolist()
        chosen = near if rng.random() > noise else int(far[0])
        reader, name = f"r{number % 30}", f"q{number}"
        exposures.append(
            Exposure(
                request_id=name, surface="related", ts=ts, session_id=reader,
                context_article_id=names[context],
                items=[ExposureItem(article_id=names[row], position=p) for p, row in enumerate(shown, 1)],
            )
        )  # fmt: skip
        clicks[name, "related"] = {names[chosen]: 1.0}
        rows.append((ts.timestamp() + 5.0, chosen, number % 30))
    ts, chosen_rows, readers = (np.array(column) for column in zip(*rows, strict=True))
    log = EventLog(
        ts,
        np.full(len(ts), EVENT_TYPES.index("click"), np.uint8),
        chosen_rows.astype(np.int32),
        readers.astype(np.uint64),
        np.full(len(ts), np.nan),
        names,
    )
    return Material(
        articles, vectors, Neighbours.compute(vectors, 10), log, exposures, Labels(clicks), "planted"
    )


def in_service(folder: Path, config: Config, material: Material, until: datetime = NOW) -> Registry:
    """A registry whose current bundle has these settings and knows the log until a time."""
    registry = Registry(folder)
    known = material.before(until.timestamp())
    state = known.state(config)
    replay(state, known.log, known.exposures, known.clicks)
    facts = {"version": "v1", "created": NOW.isoformat(), "events": 0, "metrics": {}}
    facts |= {"embedder": {"model_id": known.model_id, "dimensions": DIMENSIONS}}
    write_state(folder / "v1", state, material.articles, facts)
    registry.promote("v1")
    return registry


def judged(config: Config, material: Material, registry: Registry) -> Verdict:
    return hold_back(config, material, registry, replay, lambda _: None)


def quiet(_: str) -> None:
    pass


def test_a_ranking_that_is_right_passes_with_its_figures(tmp_path: Path) -> None:
    verdict = judged(RIGHT, topical(150), Registry(tmp_path))
    found = verdict.as_dict()
    assert (found["verdict"], found["impressions"], found["readers"]) == ("passed", 30, 30)
    assert found["models"]["funnel"]["auc"] > 0.8 > 0.7 > found["models"]["decayed_counts"]["auc"]
    low, high = found["models"]["funnel"]["ci"]["auc"]
    assert low < found["models"]["funnel"]["auc"] <= high
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("hours_unseen", [0.0, 60.0])
def test_a_worse_bundle_is_refused_with_figures(tmp_path: Path, hours_unseen: float) -> None:
    material = topical(150)
    registry = in_service(tmp_path, RIGHT, material, NOW - timedelta(hours=hours_unseen))
    verdict = judged(WRONG, material, registry)
    reasons = may_replace(registry, verdict, quiet)
    assert any("not above that of decayed popularity" in reason for reason in reasons)
    (reason,) = [reason for reason in reasons if "lower than that of" in reason]
    assert "95% interval -0." in reason
    own = f"v1, fitted until {NOW - timedelta(hours=61):%Y-%m-%d}"
    assert (own in reason) == (hours_unseen > 0)
    assert ("fitted again without these lists" in reason) == (hours_unseen == 0)


def test_a_better_bundle_replaces_a_worse_one(tmp_path: Path) -> None:
    material = topical(150)
    registry = in_service(tmp_path, WRONG, material)
    verdict = judged(RIGHT, material, registry)
    assert may_replace(registry, verdict, quiet) == []
    assert verdict.as_dict()["compared"]["differences"]["auc"] > 0.5


def test_the_same_settings_with_newer_data_pass(tmp_path: Path) -> None:
    material = topical(150)
    verdict = judged(RIGHT, material, in_service(tmp_path, RIGHT, material))
    assert (verdict.word, verdict.reasons) == ("passed", [])
    assert "on newer data" in verdict.as_dict()["compared"]["how"]


def test_a_loss_within_the_margin_counts_as_none(tmp_path: Path) -> None:
    material = topical(150)
    registry = in_service(tmp_path, RIGHT, material)
    wide = WRONG.model_copy(update={"gate": WRONG.gate.model_copy(update={"margin": 1.0})})
    assert not any("lower than" in reason for reason in judged(wide, material, registry).reasons)


@pytest.mark.parametrize(("lists", "told"), [(30, "30 related and for_you lists"), (0, "no exposures")])
def test_without_evidence_only_the_same_settings_may_replace(tmp_path: Path, lists: int, told: str) -> None:
    material = topical(max(lists, 1))
    if lists == 0:
        material = replace(material, exposures=[], clicks=Labels())
    registry = in_service(tmp_path, RIGHT, material)
    said: list[str] = []
    same = judged(RIGHT, material, registry)
    assert (same.word, may_replace(registry, same, said.append)) == ("not_shown", [])
    assert told in said[0]
    (reason,) = may_replace(registry, judged(WRONG, material, registry), quiet)
    assert "settings differ from those of v1" in reason
    assert told in reason


def test_an_empty_registry_takes_any_bundle_and_says_what_was_not_shown(tmp_path: Path) -> None:
    said: list[str] = []
    assert may_replace(Registry(tmp_path), judged(WRONG, topical(150), Registry(tmp_path)), said.append) == []
    assert "published without comparison" in said[0]
    assert any("published although its auc is not above" in text for text in said)


def test_a_bundle_that_came_into_service_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    registry = in_service(tmp_path, RIGHT, topical(30))
    (reason,) = may_replace(registry, Verdict(against="v0"), quiet)
    assert "v1 went into service meanwhile" in reason


def test_a_bundle_that_this_version_cannot_read_does_not_stop_training(tmp_path: Path) -> None:
    material = topical(150)
    registry = in_service(tmp_path, RIGHT, material, NOW - timedelta(hours=60))
    path = tmp_path / "v1" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"]["covisited_rows.npy"]
    (tmp_path / "v1" / "covisited_rows.npy").unlink()
    path.write_text(json.dumps(manifest))
    verdict = judged(RIGHT, material, registry)
    assert any("v1 cannot be compared" in text for text in verdict.not_shown)
    assert may_replace(registry, verdict, quiet) == []


def test_another_embedding_model_is_not_compared(tmp_path: Path) -> None:
    material = topical(150)
    registry = in_service(tmp_path, RIGHT, material)
    verdict = judged(WRONG, replace(material, model_id="another"), registry)
    assert any("another embedding model" in text for text in verdict.not_shown)
    assert any("settings differ" in reason for reason in verdict.reasons)


def test_a_seed_decides_ties_and_resampling_and_nothing_else(tmp_path: Path) -> None:
    material = topical(150)
    first, again, other = (
        judged(
            RIGHT.model_copy(update={"train": RIGHT.train.model_copy(update={"seed": seed})}),
            material,
            Registry(tmp_path),
        ).as_dict()
        for seed in (1, 1, 2)
    )
    assert first == again
    one, two = first["models"]["funnel"], other["models"]["funnel"]
    assert one["auc"] == two["auc"]
    assert first["over"]["decayed_counts"]["ci"] != other["over"]["decayed_counts"]["ci"]


def spaced(hours: Sequence[float]) -> list[Exposure]:
    return [
        Exposure(request_id=f"q{at}", surface="related", session_id="r", ts=NOW + timedelta(hours=hour),
                 items=[ExposureItem(article_id="a", position=1)])
        for at, hour in enumerate(hours)
    ]  # fmt: skip


def test_the_latest_lists_are_held_back_and_no_more_than_half() -> None:
    lists, never = spaced(range(100)), float("-inf")
    part = latest(lists, 0.2, 10, 1_000, never)
    assert part is not None
    assert [exposure.request_id for exposure in part.lists] == [f"q{at}" for at in range(80, 100)]
    assert latest(lists, 0.2, 51, 1_000, never) is None
    thinned = latest(lists, 0.2, 10, 5, never)
    assert thinned is not None
    assert [exposure.request_id for exposure in thinned.lists] == ["q80", "q85", "q90", "q94", "q99"]
    newer = latest(lists, 0.2, 10, 1_000, (NOW + timedelta(hours=87)).timestamp())
    assert newer is not None
    assert newer.lists[0].request_id == "q88"
    too_new = latest(lists, 0.2, 10, 1_000, (NOW + timedelta(hours=95)).timestamp())
    assert too_new is not None
    assert too_new.lists[0].request_id == "q80"


def test_what_is_held_back_teaches_nothing() -> None:
    material = topical(150)
    part = latest(material.lists(), 0.2, 20, 1_000, float("-inf"))
    assert part is not None
    names = material.log.article_ids
    later = {(e.request_id, e.surface): {names[0]: 1.0} for e in part.lists}
    log = material.log.take(slice(None))
    log.articles[log.ts >= part.begin] = 0
    other = replace(material, log=log, clicks=Labels({**material.clicks, **later}))
    fitted = []
    for one in (material, other):
        earlier = one.before(part.begin)
        state = earlier.state(RIGHT)
        replay(state, earlier.log, earlier.exposures, earlier.clicks)
        fitted.append({**state.popularity.state(), **state.learned.arrays()})
    for name, array in fitted[0].items():
        np.testing.assert_array_equal(array, fitted[1][name], err_msg=name)


def test_the_gates_metrics_are_those_of_an_evaluation_of_the_earlier_fit(
    newsroom: Newsroom, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(None, ["gate.min_lists=40"])
    trained = train(config, newsroom.data, own_models, created=newsroom.now)
    gate = read_manifest(trained.bundle.path)["metrics"]["gate"]
    begin = datetime.fromisoformat(gate["judged"][0])
    before = begin - timedelta(microseconds=1)
    earlier = train(config, newsroom.data, own_models, created=newsroom.now, fit_until=before)
    result = evaluate(earlier.bundle, newsroom.data, own_models, span=(begin, None)).as_dict()["rankings"]
    assert gate["impressions"] == result["funnel"]["impressions"] >= 40
    for name in ("funnel", "content_blend", "decayed_counts"):
        assert gate["models"][name]["auc"] == pytest.approx(result[name]["auc"], abs=1e-9)
    assert begin.tzinfo == UTC


def test_by_command_a_refusal_ends_with_1_and_the_reasons(
    newsroom: Newsroom, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = "surfaces.related.weights"
    worse = [f"--set={weights}.{name}=-5.0" for name in ("similarity", "popularity", "freshness")]
    answer = recsys(
        capsys, "train", "--data", newsroom.data, "--models", own_models, "--publish",
        "--set=gate.min_lists=40", *worse,
    )  # fmt: skip
    assert answer.code == 1
    assert "is not published" in answer.err
    assert "95% interval" in answer.err
    assert Registry(own_models).current() == newsroom.bundle.version
