"""Training believes what the live counters believed."""

from pathlib import Path

import numpy as np

from recsys.config import Config
from recsys.schemas import Event
from tests.builders import article, event
from tests.training.logs import cleaned, click, served, trained, write
from training.attribution import labels_of
from training.readers import read_event_log
from training.reads import next_reads


def log() -> list[Event]:
    return [
        event("e1", "a1", "r1", minutes_ago=50, trust=0.0),
        event("e2", "a2", "r1", minutes_ago=49),
        event("e3", "a1", "r1", minutes_ago=48, trust=0.5),
        click("c1", "a1", "r2", 4.0, request_id="q1", surface="related", trust=0.0),
        click("c2", "a2", "r2", 3.0, request_id="q1", surface="related"),
    ]


def test_trust_is_kept_from_the_store_to_the_columns(tmp_path: Path) -> None:
    data = write(tmp_path, (), log())
    expected = [0.0, 1.0, 0.5, 0.0, 1.0]
    for found in (read_event_log(data), cleaned(tmp_path / "c", log()).log):
        assert found.trust is not None
        assert found.trust.tolist() == expected
        assert len(found.believed()) == 3
    plain = [entry for entry in log() if entry.trust is None]
    assert read_event_log(write(tmp_path / "p", (), plain)).trust is None


def test_a_doubted_click_is_no_lesson_and_no_label(tmp_path: Path) -> None:
    lists = [served("q1", "a1", "a2", "a3", reader="r2")]
    found = cleaned(tmp_path, log(), lists)
    assert set(found.labels["q1", "related"]) == {"a2"}
    assert set(labels_of(tmp_path, Config().clicklog)["q1", "related"]) == {"a2"}


def test_a_doubted_repeat_does_not_stand_in_for_a_trusted_one(tmp_path: Path) -> None:
    rows = [event("e1", "a1", minutes_ago=5, trust=0.0), event("e2", "a1", minutes_ago=5 - 1 / 60)]
    assert len(cleaned(tmp_path, rows).log.believed()) == 1


def test_doubted_openings_are_no_next_reads(tmp_path: Path) -> None:
    data = write(
        tmp_path, (), [event("e1", "a1", minutes_ago=9), event("e2", "a2", minutes_ago=8, trust=0.0)]
    )
    assert next_reads(read_event_log(data), "related", -np.inf, np.inf, 0.0) == []


def test_a_bundle_fitted_with_forged_events_counts_and_pairs_as_without(tmp_path: Path) -> None:
    articles = [article(f"a{at}", section="News") for at in range(5)]
    real = [event(f"e{at}", f"a{at % 3}", f"r{at % 7}", minutes_ago=300 - at) for at in range(60)]
    forged = [event(f"f{at}", "a4", f"x{at}", minutes_ago=200 - at, trust=0.0) for at in range(100)]
    forged += [event(f"g{at}", "a4", f"r{at}", minutes_ago=100 - at, trust=0.0) for at in range(7)]
    (clean, _), (attacked, _) = (
        trained(tmp_path / "a", articles, real),
        trained(tmp_path / "b", articles, [*real, *forged]),
    )
    for ours, theirs in (
        (attacked.popularity.state(), clean.popularity.state()),
        (attacked.learned.covisitation.state(), clean.learned.covisitation.state()),
    ):
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-9, err_msg=name)
