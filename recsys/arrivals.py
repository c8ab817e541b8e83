"""Articles that enter a state one after the other, compared with everything at once.

Comparing and planning only read and may run in a thread beside requests; applying is short and belongs
to whoever owns the state. Sources that apply everything in one go use ``apply_all``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.places import Places
from recsys.schemas import Article
from recsys.state import State

Vector = NDArray[np.float32]
_MOST = 64
_MOST_COSINES = 8_000_000


def at_once(state: State) -> int:
    """How many articles may be compared with everything at once in bounded memory."""
    return max(1, min(_MOST, _MOST_COSINES // max(len(state.catalog), 1)))


class Arrivals:
    """A few articles on their way into a state.

    Made and applied by the owner of the state; ``compare`` and ``plan`` may run in a thread, while
    nobody else applies articles.

    Args:
        state: that they enter.
        articles: in order, each with its vector (d,) or None; at most ``at_once``.
    """

    def __init__(self, state: State, articles: Sequence[tuple[Article, Vector | None]]) -> None:
        self.state, self.articles = state, articles
        self._rows = [state.catalog.refer(article.article_id) for article, _ in articles]
        state.fit_rows()
        none = np.zeros(state.index.dimensions, np.float32)
        self._vectors = np.array([none if vector is None else vector for _, vector in articles])
        self._cosines = np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        return len(self.articles)

    def compare(self) -> None:
        """The cosines of all of them with every row, and room among the neighbours."""
        if self._vectors.any():
            self._cosines = self.state.index.products(self._vectors)
        else:
            self._cosines = np.zeros((len(self), len(self.state.index)), np.float32)
        self.state.neighbours.reserve(len(self.state.index))

    def plan(self, number: int) -> Places | None:
        """Where one belongs, once those before it have been applied."""
        cosines, earlier = self._cosines[number], self._rows[:number]
        cosines[earlier] = self._vectors[:number] @ self._vectors[number]
        return self.state.plan_article(self._rows[number], *self.articles[number], cosines)

    def apply(self, number: int, places: Places | None) -> None:
        """Let every list have one of them."""
        self.state.apply_article(*self.articles[number], places)


def apply_all(state: State, articles: Sequence[tuple[Article, Vector | None]]) -> None:
    """Insert or replace articles, in their order."""
    step = at_once(state)
    for start in range(0, len(articles), step):
        arrivals = Arrivals(state, articles[start : start + step])
        arrivals.compare()
        for number in range(len(arrivals)):
            arrivals.apply(number, arrivals.plan(number))
