"""Metrics of a recipe on the latest lists, fitted on what came before them.

A bundle is fitted on everything it may see, so nothing is left to judge it by. Therefore the same
settings are first fitted without the latest lists and judged on these; the bundle that is written is
then fitted on all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.schemas import Exposure
from recsys.state import State
from training.baselines import Asked, decayed_counts
from training.judging import blend_only
from training.material import Material
from training.metrics import NAMES, Table, cluster_bootstrap, impression_metrics
from training.moments import Moments, as_counted

Scorer = Callable[[State, Exposure, Query, NDArray[np.int32]], NDArray[np.float64]]


@dataclass(frozen=True)
class Slice:
    """The latest lists, kept out of a fit.

    Attributes:
        begin: unix seconds; the fit knows only what lies before.
        lists: to be judged, in time order, at most ``gate.max_lists``.
    """

    begin: float
    lists: Sequence[Exposure]

    @property
    def known_until(self) -> float:
        """The last moment before it, unix seconds."""
        return float(np.nextafter(self.begin, -np.inf))

    def after(self, ts: float) -> NDArray[np.bool_]:
        """Which of the lists lie after ``ts`` (unix seconds)."""
        return np.array([exposure.ts.timestamp() > ts for exposure in self.lists], dtype=bool)

    def span(self) -> list[str]:
        """First and last time, RFC 3339."""
        return [exposure.ts.astimezone(UTC).isoformat() for exposure in (self.lists[0], self.lists[-1])]


def latest(lists: Sequence[Exposure], share: float, fewest: int, most: int, since: float) -> Slice | None:
    """The latest lists, so that at least as many stay to be fitted on.

    Args:
        lists: with clicks, in time order.
        share: of them, held back.
        fewest: below which nothing can be judged.
        most: judged at most, evenly spread.
        since: unix seconds; where enough lists lie after it, none before it is held back.

    Returns:
        None where there are too few.
    """
    count = max(round(share * len(lists)), fewest)
    if 2 * count > len(lists):
        return None
    times = np.array([exposure.ts.timestamp() for exposure in lists])
    newer = int(np.count_nonzero(times > since))
    begin = float(times[-newer] if fewest <= newer < count else times[-count])
    held = [exposure for exposure, ts in zip(lists, times.tolist(), strict=True) if ts >= begin]
    chosen = np.unique(np.linspace(0, len(held) - 1, min(most, len(held))).round().astype(int))
    return Slice(begin, [held[at] for at in chosen.tolist()])


def funnel_scores(state: State, asked: Exposure, query: Query, rows: NDArray[np.int32]) -> Any:
    """As the service ranks."""
    return Funnel(state).score(asked.surface, query, rows)


def blend_scores(state: State, asked: Exposure, query: Query, rows: NDArray[np.int32]) -> Any:
    """The content blend: without learned curves."""
    return Funnel(blend_only(state)).score(asked.surface, query, rows)


def decayed_scores(state: State, asked: Exposure, query: Query, rows: NDArray[np.int32]) -> Any:
    """Decayed counts of distinct readers at the surface's own half-life."""
    half_life = state.config.surfaces.of(asked.surface).half_life_hours
    return decayed_counts(Asked(state, query, rows, asked.surface, half_life))


def judge(
    state: State,
    known_until: float,
    material: Material,
    lists: Sequence[Exposure],
    scorers: dict[str, Scorer],
) -> dict[str, Table]:
    """Metrics of each scorer on the same lists, each list with what was known before it.

    Args:
        state: fitted until ``known_until`` (unix seconds); it follows the log from there.
        known_until: of the counters.
        material: the log, also after that time.
        lists: to be judged, in time order.
        scorers: by name.
    """
    lag = state.config.train.serving_lag_minutes * 60.0
    # as in service: what is read together follows the readers
    state.follows_pairs = True
    counted = as_counted(state, material.log, material.exposures, material.clicks)
    moments = Moments(state, counted, known_until)
    values: dict[str, list[tuple[float, ...]]] = {name: [] for name in scorers}
    for number, exposure in enumerate(lists):
        now = moments.until(exposure.ts.timestamp() - lag)
        query, rows = moments.query(now, exposure)
        labels, _ = material.clicks.of(exposure)
        for name, scorer in scorers.items():
            # the same draw for every scorer, so that equal scores have equal metrics
            ties = np.random.default_rng((state.config.train.seed, number))
            scores = scorer(now, exposure, query, rows)
            values[name].append(impression_metrics(scores, labels, ties))
    readers = np.array([reader_key(exposure.reader) >> 1 for exposure in lists], dtype=np.int64)
    return {name: Table(np.array(found), readers) for name, found in values.items()}


@dataclass(frozen=True)
class Compared:
    """One metric of ours less that of another on the same lists, with its 95% interval by reader."""

    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.difference:+.4f}, 95% interval {self.low:+.4f} to {self.high:+.4f}"


@dataclass(frozen=True)
class Measured:
    """Means and differences with intervals that were drawn together.

    Attributes:
        models: metrics by model, each with ``ci``.
        differences: our metrics less those of each other model, by model and metric.
    """

    models: dict[str, dict[str, Any]]
    differences: dict[str, dict[str, Compared]] = field(default_factory=dict)


def measure(tables: dict[str, Table], ours: str, seed: int) -> Measured:
    """Every mean and every difference to ``ours``, by one paired bootstrap over readers."""
    names, width = list(tables), len(NAMES)
    values = np.hstack([table.values for table in tables.values()])
    at = names.index(ours) * width
    others = [name for name in names if name != ours]

    def statistics(means: NDArray[np.float64]) -> NDArray[np.float64]:
        own = means[:, at : at + width]
        parts = [own - means[:, k * width : (k + 1) * width] for k, name in enumerate(names) if name != ours]
        return np.hstack((means, *parts))

    low, high = cluster_bootstrap(values, tables[ours].clusters, seed, statistics)
    middle = statistics(values.mean(axis=0, keepdims=True))[0]

    def cells(start: int) -> dict[str, Compared]:
        places = enumerate(NAMES, start)
        return {name: Compared(*map(float, (middle[k], low[k], high[k]))) for k, name in places}

    models = {}
    for k, name in enumerate(names):
        found = cells(k * width)
        means = {metric: cell.difference for metric, cell in found.items()}
        models[name] = {**means, "ci": {metric: [cell.low, cell.high] for metric, cell in found.items()}}
    first = len(names) * width
    return Measured(models, {name: cells(first + k * width) for k, name in enumerate(others)})


def told_time(ts: float) -> str:
    """Unix seconds as a person reads them."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M UTC")
