"""Everything at once for a minute: no failed request, no lost and no doubled event."""

from pathlib import Path

import pytest

from recsys.bundle import Registry
from tests.benchmarks.soak import Soak, Tally, growth_of, judged, soak
from tests.conftest import Newsroom, copy_models


@pytest.mark.slow
def test_a_minute_of_everything_at_once(newsroom: Newsroom, tmp_path: Path) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    outcome = soak(models, tmp_path, 60.0)
    assert outcome.wrong == []
    assert outcome.figures["lost"] == outcome.figures["doubled"] == outcome.figures["failed"] == 0
    assert outcome.figures["events acknowledged"] > 1_000
    assert Registry(models).current() == newsroom.bundle.version


def test_memory_that_grows_is_seen_and_a_restarting_worker_is_not_taken_for_less() -> None:
    flat = [(60.0 * at, [100.0, 100.0]) for at in range(15)]
    flat[11] = (660.0, [100.0])
    assert growth_of(flat) == 0.0
    assert growth_of([(60.0 * at, [100.0 + at, 100.0]) for at in range(15)]) == 60.0


def test_a_lost_event_is_told(tmp_path: Path) -> None:
    from recsys.store import open_store

    open_store(f"sqlite:///{tmp_path / 's.db'}").close()
    done = Soak(None, [], 60.0, "v2", samples=[(0.0, [1.0])])  # type: ignore[arg-type]
    done.tallies.append(Tally(acknowledged=["e1"], milliseconds=[1.0]))
    assert judged(done, tmp_path / "s.db").wrong == ["lost: e1"]
