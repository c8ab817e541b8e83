"""Simulated newsrooms whose truth is known, and states that learned from their logs."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.config import Config
from recsys.index import Neighbours
from recsys.state import State
from training.fit import build_state, fit_log
from training.simulate import write_world
from training.simulation.articles import synthetic_articles
from training.simulation.scenario import Scenario
from training.simulation.world import World, make_world

END = datetime(2026, 3, 1, tzinfo=UTC)
_DIMENSIONS, _TOPICALITY = 64, 0.42


@dataclass(frozen=True)
class Size:
    """How much is simulated."""

    articles: int
    users: int
    days: int
    backlog_days: float = 0.0


def make(seed: int, size: Size, scenario: Scenario) -> World:
    """A world of synthetic articles and readers."""
    rng = np.random.default_rng(seed)
    span = size.days + scenario.backlog_days
    return make_world(rng, synthetic_articles(rng, size.articles, span, END), size.users, scenario)


def log_of(world: World, folder: Path, seed: int, days: int, **changes: object) -> Path:
    """Canonical data of one run of a world, with a scenario changed in some places."""
    rule = Scenario.model_validate({**world.scenario.model_dump(), **changes})
    rng = np.random.default_rng((seed, 1))
    write_world(folder, replace(world, scenario=rule), rng, seed=seed, days=days, end=END)
    return folder


def vectors(world: World, seed: int) -> NDArray[np.float32]:
    """Unit vectors that gather by section about as much as MiniLM's do: 0.6 of ten neighbours share it."""
    rng = np.random.default_rng((seed, 2))
    centres = rng.normal(size=(len(world.names), _DIMENSIONS))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.normal(size=(len(world.articles), _DIMENSIONS)) / np.sqrt(_DIMENSIONS)
    mixed = _TOPICALITY * centres[world.sections] + noise
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def purity(world: World, found: NDArray[np.float32]) -> float:
    """Share of ten nearest neighbours in the same section."""
    rows = Neighbours.compute(found, 10).rows
    return float((world.sections[rows] == world.sections[:, None]).mean())


def learned(world: World, data: Path, seed: int, config: Config) -> tuple[State, list[str]]:
    """A state that learned from a log, with what training would tell."""
    state = build_state(config, list(world.articles), vectors(world, seed))
    _, notes = fit_log(state, data, until=np.inf, now=END.timestamp())
    return state, notes
