"""The log of features: a fair share, bounded, and never in the way of an answer."""

from pathlib import Path

import numpy as np
import pytest

from recsys.bundle import Bundle
from recsys.config import load_config
from recsys.features import Seen
from recsys.logged import read_lists
from recsys.pipeline import Funnel
from recsys.segments import SUFFIX
from serving.feature_log import FeatureLog, folder_of, is_sampled
from serving.served import Progress, Served
from serving.telemetry import Telemetry
from tests.builders import NOW, article, world

T = NOW.timestamp()


def served() -> Served:
    config = load_config(None, ["serving.feature_log_mb=1", "serving.log_features_share=1.0"])
    state = world([article("a"), article("b")], config=config)
    return Served(Bundle(Path("v1"), {"version": "v1"}), state, Funnel(state), Progress(7, 2))


def seen(surface: str = "related", features: int = 2) -> Seen:
    values = np.random.default_rng(1).random((2, features))
    names = tuple(f"feature-{n}" for n in range(features))
    return Seen(surface, T - 1.0, np.array([0, 1], np.int32), names, values)


def test_what_is_written_is_what_was_seen(tmp_path: Path) -> None:
    log, one = FeatureLog(tmp_path / "log", Telemetry()), served()
    assert log.wants("r1", one)
    # the funnel may score a list twice: the last time counts
    log.take(one, "r1", T, "a", [seen(features=1), seen(), seen("popular")])
    log.write(T)
    log.take(one, "r2", T + 1, None, [seen()])
    log.write(T + 1)
    found = list(read_lists(tmp_path / "log"))
    assert [(each.request_id, each.surface) for each in found] == [
        ("r1", "related"),
        ("r1", "popular"),
        ("r2", "related"),
    ]
    first = found[0]
    assert (first.at, first.count_at, first.event_seq, first.article_seq) == (T, T - 1.0, 7, 2)
    assert (first.model_version, first.context_article_id, first.article_ids) == ("v1", "a", ("a", "b"))
    np.testing.assert_array_equal(first.values, seen().matrix.astype(np.float32))
    assert len(list((tmp_path / "log").glob(f"*{SUFFIX}"))) == 1


def test_the_oldest_hours_go_when_the_log_has_grown(tmp_path: Path) -> None:
    log, one = FeatureLog(tmp_path, Telemetry()), served()
    for hour in range(4):
        log.take(one, f"r{hour}", T, None, [seen(features=60_000)])
        log.write(T + 3600.0 * hour)
    kept = [each.request_id for each in read_lists(tmp_path)]
    assert kept == [f"r{hour}" for hour in range(4)][-len(kept) :]
    assert 0 < len(kept) < 4
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1_000_000


def test_a_full_queue_and_a_log_that_cannot_be_written_lose_lists_and_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    telemetry, one = Telemetry(), served()
    log = FeatureLog(tmp_path / "taken", telemetry)
    for number in range(1_003):
        log.take(one, f"r{number}", T, None, [seen()])
    lost = "recsys_feature_lists_lost_total"
    assert telemetry.registry.get_sample_value(lost) == 3
    log.write(T)
    assert telemetry.registry.get_sample_value(lost) == 1_003
    log.take(one, "r", T, None, [seen()])


def test_a_store_that_is_no_file_has_no_log_beside_it() -> None:
    assert folder_of("sqlite:///some/site.db") == Path("some/site.db.features")
    assert folder_of("redis://localhost") is None
    assert not FeatureLog(None, Telemetry()).wants("r", served())


def test_a_share_is_a_share_and_follows_from_the_id() -> None:
    names = [f"request-{n}" for n in range(20_000)]
    chosen = [name for name in names if is_sampled(name, 0.05)]
    assert len(chosen) == pytest.approx(1_000, rel=0.15)
    assert chosen == [name for name in names if is_sampled(name, 0.05)]
    assert all(is_sampled(name, 0.1) for name in chosen)
    assert not any(is_sampled(name, 0.0) for name in names)
    assert all(is_sampled(name, 1.0) for name in names)
