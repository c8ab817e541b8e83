"""Trials of settings: what was fitted on earlier lists is judged on later ones.

Features do not depend on weights: they are computed once for each list, and a trial weighs them anew,
fits the curves and ranks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.blending import raw_parts, weigh
from recsys.config import Config, SurfaceConfig, build_config
from recsys.errors import DataError
from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.recipes import Recipe
from recsys.schemas import Exposure
from recsys.state import State
from training.fit_ranker import Examples, fit_ranker
from training.learn import RANKED
from training.material import Material
from training.metrics import NAMES, Table, impression_metrics

Values = Mapping[str, float]
Floats = NDArray[np.float64]
_FEWEST = 60


@dataclass
class _Lists:
    """Lists of one surface with features that do not depend on what is searched."""

    given: Examples
    raw: list[dict[str, Floats]] = field(default_factory=list)
    raw_learned: list[dict[str, Floats]] = field(default_factory=list)
    recipe: Recipe | None = None
    readers: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.raw)

    def latest(self, count: int) -> "_Lists":
        """The last ``count`` lists."""
        part = slice(-count, None)
        kept = (self.raw[part], self.raw_learned[part], self.recipe, self.readers[part])
        return _Lists(self.given.part(part), *kept)

    def examples(self, config: SurfaceConfig, surface: str, part: slice) -> Examples:
        """What a ranker is fitted on or judged by, with the blend of these weights."""
        found = self.given.part(part)
        recipe = self.recipe.under(config, surface) if self.recipe else Recipe.configured(config)
        raw = (self.raw_learned if self.recipe else self.raw)[part]
        found.blend = [_blend(parts, recipe, config.min_similarity) for parts in raw]
        return found


def _blend(raw: Mapping[str, Floats], recipe: Recipe, floor: float) -> Floats:
    columns, _ = weigh(raw, recipe, floor)
    return np.sum(columns, axis=0) if columns else np.zeros(len(next(iter(raw.values()))))


class Search:
    """Everything that trials share.

    Args:
        config: the present settings; ``tune`` says what is searched.
        material: the log within the fit; nothing after it is known.
        replay: runs a log through a state, telling of each list that teaches.

    Raises:
        DataError: too few lists to be cut into slices, or a space of which nothing can be tried.
    """

    def __init__(self, config: Config, material: Material, replay: Callable[..., Any]) -> None:
        self.config = config
        self._seen = {surface: _Lists(Examples(config.ranker.features)) for surface in RANKED}
        state = material.state(config)
        lessons = replay(state, material.log, material.exposures, material.clicks, each=self._watch)
        self.lists = {}
        for surface, lists in self._seen.items():
            lists.recipe = lessons.learned.recipes.get(surface)
            if len(lists) >= _FEWEST:
                self.lists[surface] = lists.latest(config.tune.max_lists)
        self.space = [row for row in config.tune.space if self._matters(row[0])]
        if not self.space:
            counts = ", ".join(f"{len(lists):,} of {name}" for name, lists in self._seen.items())
            raise DataError(
                f"nothing to tune: lists with clicks that teach are {counts}; {_FEWEST} of a surface that "
                "tune.space names are needed"
            )

    def _watch(
        self,
        exposure: Exposure,
        state: State,
        query: Query,
        rows: NDArray[np.int32],
        given: Examples,
    ) -> None:
        surface, lists = exposure.surface, self._seen[exposure.surface]
        moment, config = Funnel(state).moment(query, surface), state.config.surfaces.of(surface)
        lists.given = given
        lists.raw.append(raw_parts(state, rows, moment, config.half_life_hours))
        learned = state.learned.recipes.get(surface)
        if learned is not None:
            hours = learned.under(config, surface).half_life_hours
            lists.raw_learned.append(raw_parts(state, rows, moment, hours))
        lists.readers.append(reader_key(exposure.reader) >> 1)

    def _matters(self, key: str) -> bool:
        return any(key.startswith((f"surfaces.{name}.", "ranker.")) for name in self.lists)

    def with_values(self, values: Values) -> Config:
        """The present settings with a trial's values."""
        return _with(self.config, values)

    def score(self, values: Values) -> float:
        """Mean metric on every later slice of what was fitted on all lists before it."""
        config, found = self.with_values(values), []
        column = NAMES.index(config.tune.metric)
        for name, lists in self.lists.items():
            edges = self._edges(lists)
            for fold in range(1, len(edges) - 2):
                table = self._judged(config, name, slice(0, edges[fold]), slice(edges[fold], edges[fold + 1]))
                found.append(table.values[:, column])
        return float(np.concatenate(found).mean())

    def on_the_latest(self, values: Values) -> Table:
        """Metrics on the latest lists, which no trial is chosen by, fitted on all before."""
        config, tables = self.with_values(values), []
        for name, lists in self.lists.items():
            edges = self._edges(lists)
            tables.append(self._judged(config, name, slice(0, edges[-2]), slice(edges[-2], edges[-1])))
        return Table(
            np.concatenate([table.values for table in tables]),
            np.concatenate([table.clusters for table in tables]),
        )

    def _edges(self, lists: _Lists) -> list[int]:
        """Bounds of the slices: one to begin with, the folds, the latest."""
        count = len(lists)
        last = count - round(self.config.tune.later_share * count)
        return [*np.linspace(0, last, self.config.tune.folds + 2).round().astype(int).tolist(), count]

    def _judged(self, config: Config, surface: str, earlier: slice, later: slice) -> Table:
        lists, rules = self.lists[surface], config.surfaces.of(surface)
        fitted, judged = lists.examples(rules, surface, earlier), lists.examples(rules, surface, later)
        scores = judged.blend
        if rules.ranking == "learned" and len(fitted) >= config.ranker.min_lists:
            ranker = fit_ranker(fitted, config.ranker, rules.learned_share)
            pairs = zip(judged.blend, judged.matrices, strict=True)
            scores = [blend + ranker.parts(matrix, rules.factors).sum(axis=1) for blend, matrix in pairs]
        values = [
            impression_metrics(score, labels, np.random.default_rng((config.train.seed, number)))
            for number, (score, labels) in enumerate(zip(scores, judged.labels, strict=True))
        ]
        return Table(np.array(values), np.array(lists.readers[later], dtype=np.int64))


def value_of(config: Config, key: str) -> float:
    """A number of the configuration by its dotted key."""
    found: Any = config
    for step in key.split("."):
        found = getattr(found, step)
    return float(found)


def _with(config: Config, values: Values) -> Config:
    changed = config.model_dump()
    for key, value in values.items():
        *parents, last = key.split(".")
        place = changed
        for parent in parents:
            place = place[parent]
        place[last] = value
    return build_config(changed, "a trial")
