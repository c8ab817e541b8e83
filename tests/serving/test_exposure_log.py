"""The log of served lists: bounded, sampled, trimmed, and never in the way of an answer."""

from datetime import timedelta
from pathlib import Path

import pytest

from recsys.config import ServingConfig
from recsys.exposed import Exposed
from recsys.store.sqlite import SqliteStore
from serving.exposure_log import ExposureLog
from serving.telemetry import Telemetry
from tests.builders import NOW
from tests.contracts.contents import exposure

LOST, DROPPED = "recsys_exposures_lost_total", "recsys_exposures_dropped_total"


def exposed(name: str, hours_ago: float = 0.0, user: str = "u") -> Exposed:
    ts = (NOW - timedelta(hours=hours_ago)).timestamp()
    return Exposed(name, "latest", ts, ("user_id", user), ["a"], [1.0], ["latest"])


def told(telemetry: Telemetry, name: str) -> float | None:
    return telemetry.registry.get_sample_value(name)


def test_what_is_taken_is_in_the_store_after_the_next_write(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "s.db"))
    log = ExposureLog(store, Telemetry())
    log.take([exposed("r1"), exposed("r2", user="gone")])
    log.take([exposure("r3", 1.0)])
    log.forget("gone")
    assert list(store.iter_exposures()) == []
    log.write(ServingConfig())
    log.write(ServingConfig())
    assert [each.request_id for each in store.iter_exposures()] == ["r3", "r1"]


def test_a_share_keeps_whole_answers(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "s.db"))
    log = ExposureLog(store, Telemetry())
    log.take([each for n in range(4000) for each in (exposed(f"r{n}"), exposure(f"r{n}", 0.0, "related"))])
    log.write(ServingConfig(log_exposures_share=0.1))
    kept = [each.request_id for each in store.iter_exposures()]
    assert len(set(kept)) == pytest.approx(400, rel=0.2)
    assert len(kept) == 2 * len(set(kept))


def test_a_full_queue_and_a_folder_that_cannot_be_written_lose_lists_and_stop_nothing(tmp_path: Path) -> None:
    store, telemetry = SqliteStore(str(tmp_path / "s.db")), Telemetry()
    (tmp_path / "s.db.exposures").write_text("a file where the folder should be")
    log = ExposureLog(store, telemetry)
    log.take([exposed(f"r{n}") for n in range(20_000)])
    log.take([exposed("one too many")])
    assert told(telemetry, LOST) == 1
    log.write(ServingConfig())
    assert told(telemetry, LOST) == 20_001
    (tmp_path / "s.db.exposures").unlink()
    log.take([exposed("later")])
    log.write(ServingConfig())
    assert [each.request_id for each in store.iter_exposures()] == ["later"]


def test_lists_that_are_too_old_or_too_many_are_dropped_and_counted(tmp_path: Path) -> None:
    store, telemetry = SqliteStore(str(tmp_path / "s.db")), Telemetry()
    store.append_exposures([exposed("old", 30.0), exposed("older", 40.0), exposed("young", 20.0)])
    log = ExposureLog(store, telemetry)
    log.take([exposed("new")])
    log.write(ServingConfig(exposure_log_days=1.0))
    assert [each.request_id for each in store.iter_exposures()] == ["young", "new"]
    assert told(telemetry, DROPPED) == 2
