"""Learn the weights of `related` and `for_you` from what readers opened next.

The chance that an article is opened next is the softmax, over the articles that the funnel found, of
the weighted sum of their parts (a conditional logit, as for the ranker, but over the whole catalogue
instead of a shown list). Weights are never negative: every part is built so that more of it is better,
and an editor can still read them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recsys.blending import raw_parts
from recsys.config import Config
from recsys.pipeline import Funnel, Query
from recsys.recipes import Recipe
from recsys.retrieval import Need, generate
from recsys.state import State

Floats = NDArray[np.float64]
PARTS = {
    "related": ("similarity", "covisited", "section", "popularity", "newness"),
    "for_you": ("interests", "covisited", "section", "popularity", "newness"),
}
_RIDGE = 1e-3
_LEAST = 1e-3


@dataclass(frozen=True)
class Choices:
    """Sets of candidates of which one was opened next.

    Attributes:
        columns: (n, p) parts of all candidates, set after set.
        popularity: (n, h) the part ``popularity`` at each half-life.
        starts: (s,) where each set begins.
        chosen: (s,) positions of what was opened.
    """

    columns: Floats
    popularity: Floats
    starts: NDArray[np.intp]
    chosen: NDArray[np.intp]


class Gathering:
    """Collects the candidates of one surface with their parts.

    Args:
        surface: ``related`` or ``for_you``.
        config: for half-lives.
    """

    def __init__(self, surface: str, config: Config) -> None:
        self.surface = surface
        self.half_lives = [hours for hours in config.popularity.half_lives_hours if hours != 6.0]
        self.names = [name for name in PARTS[surface] if name != "popularity"]
        self._sets: list[tuple[Floats, Floats, int]] = []

    def __len__(self) -> int:
        return len(self._sets)

    def take(self, state: State, query: Query, target: int) -> None:
        """One list as it could have been, and the article that was opened; unfound ones teach nothing."""
        funnel = Funnel(state)
        moment = funnel.moment(query, self.surface)
        eligible = funnel.eligibility(query, self.surface)
        need = Need(self.surface, 30, state.config.surfaces.of(self.surface).half_life_hours)
        rows = generate(state, need, eligible, moment.context, query.reader).rows
        at = np.flatnonzero(rows == target)
        if len(at) == 0 or len(rows) < 2:
            return
        raw = raw_parts(state, rows, moment, need.half_life_hours, self.names)
        columns = list(raw.values())
        counts = [
            raw_parts(state, rows, moment, hours, ("popularity",))["popularity"] for hours in self.half_lives
        ]
        self.add(np.column_stack(columns), np.column_stack(counts), int(at[0]))

    def add(self, columns: Floats, popularity: Floats, chosen: int) -> None:
        """One set: (n, p), (n, h) and which of its n candidates was opened."""
        self._sets.append((columns, popularity, chosen))

    def extend(self, more: "Gathering") -> None:
        """Take the sets of another over."""
        self._sets += more._sets

    def choices(self) -> Choices:
        """All sets as one table."""
        lengths = np.array([len(columns) for columns, _, _ in self._sets])
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        return Choices(
            np.concatenate([columns for columns, _, _ in self._sets]),
            np.concatenate([counts for _, counts, _ in self._sets]),
            starts,
            starts + np.array([at for _, _, at in self._sets]),
        )


def fit_recipe(gathering: Gathering, total: float) -> Recipe:
    """The weights and the half-life that explain best what was opened.

    Args:
        gathering: at least one set.
        total: sum of the weights, so that penalties and learned curves keep their meaning.
    """
    choices = gathering.choices()
    best: tuple[float, float, Floats] | None = None
    for k, hours in enumerate(gathering.half_lives):
        loss, weights = _minimise(np.column_stack((choices.columns, choices.popularity[:, k])), choices)
        if best is None or loss < best[0]:
            best = (loss, hours, weights)
    assert best is not None
    _, hours, weights = best
    weights = np.maximum(weights, _LEAST) * total / np.maximum(weights, _LEAST).sum()
    names = [*gathering.names, "popularity"]
    return Recipe(dict(zip(names, weights.round(4).tolist(), strict=True)), hours, True)


def _minimise(table: Floats, choices: Choices) -> tuple[float, Floats]:
    count = len(choices.starts)
    lists = np.repeat(np.arange(count), np.diff(np.append(choices.starts, len(table))))
    taken = table[choices.chosen].sum(axis=0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = table @ weights
        scores -= np.maximum.reduceat(scores, choices.starts)[lists]
        masses = np.exp(scores)
        totals = np.add.reduceat(masses, choices.starts)
        value = np.log(totals).sum() - scores[choices.chosen].sum()
        slope = table.T @ (masses / totals[lists]) - taken
        return float(value / count + _RIDGE * weights @ weights), slope / count + 2.0 * _RIDGE * weights

    width = table.shape[1]
    found = minimize(loss, np.ones(width), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * width)
    return float(found.fun), np.asarray(found.x, dtype=np.float64)
