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


def test_memory_that_grows_is_seen_and_a_restarted_worker_is_not_taken_for_less() -> None:
    flat = [(60.0 * at, {1: 100.0, 2: 100.0} if at < 12 else {1: 100.0, 3: 60.0}) for at in range(17)]
    assert growth_of(flat) == (0.0, [100.0] * 4)
    assert growth_of([(60.0 * at, {1: 100.0 + at, 2: 50.0 + at}) for at in range(17)])[0] == 60.0


def test_a_bundle_that_is_not_let_go_shows_in_the_levels() -> None:
    stepped = [(60.0 * at, {1: 100.0 * (1 + at // 4)}) for at in range(17)]
    assert growth_of(stepped)[1] == [100.0, 200.0, 300.0, 500.0]


def test_a_lost_event_is_told(tmp_path: Path) -> None:
    from recsys.store import open_store

    open_store(f"sqlite:///{tmp_path / 's.db'}").close()
    done = Soak(None, [], 60.0, "v2", samples=[(0.0, {1: 1.0})])  # type: ignore[arg-type]
    done.tallies.append(Tally(acknowledged=["e1"], milliseconds=[1.0]))
    assert judged(done, tmp_path / "s.db").wrong == ["lost: e1"]
