"""What is made once for all tests: the demo newsroom with its readers, and a bundle trained on it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from recsys.bundle import Bundle, Registry
from recsys.config import Config
from training.fit import EMBEDDERS, train
from training.simulate import simulate

# a test never asks the network for a model
os.environ["HF_HUB_OFFLINE"] = "1"
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@dataclass(frozen=True)
class Newsroom:
    """The demo newsroom, seven days of readers, and the bundle fitted on the first six.

    Attributes:
        data: canonical data.
        models: registry with one published bundle; never changed by a test.
        now: end of the simulated time.
    """

    data: Path
    models: Path
    bundle: Bundle
    now: datetime


@pytest.fixture(scope="session")
def newsroom(tmp_path_factory: pytest.TempPathFactory) -> Newsroom:
    folder = tmp_path_factory.mktemp("newsroom")
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    simulate(folder / "data", seed=5, articles=0, users=120, days=7, end=now, newsroom=True)
    models = folder / "models"
    until = now - timedelta(days=1)
    bundle = train(Config(), folder / "data", models, created=now, fit_until=until).bundle
    Registry(models).promote(bundle.version)
    return Newsroom(folder / "data", models, bundle, now)


@pytest.fixture
def own_models(newsroom: Newsroom, tmp_path: Path) -> Path:
    """A copy of the registry that a test may change."""
    return copy_models(newsroom.models, tmp_path / "models")


def copy_models(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(EMBEDDERS))
    (target / EMBEDDERS).symlink_to(source / EMBEDDERS)
    return target


@pytest.fixture
def damage() -> Callable[[Path], None]:
    """Flip one bit in the middle of a file."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))

    return flip
