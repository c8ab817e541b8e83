"""A model of clicks for doubly robust estimates: how often a place is clicked, how often an article is.

It need not be right: where the propensities are, an estimate is unbiased whatever it says, and the
better it is the narrower the interval. A reader's own clicks never stand in what is said of their lists.
"""

from dataclasses import dataclass

import numpy as np

from training.ope.lists import NOBODY, Codes, Floats, LoggedLists, Options, Predicted

FOLDS = 5
# clicks that an article has to have until its own rate weighs as much as that of all
_PRIOR = 3.0


@dataclass(frozen=True)
class ClickModel:
    """Expected reward of an article at a place: the place's rate times the article's factor.

    Attributes:
        places: (k,) mean reward of each place.
        factors: (a + 1,) of each article, 1 where nothing is known; the last is that of no article, 0.
    """

    places: Floats
    factors: Floats

    @classmethod
    def fit(cls, articles: Codes, rewards: Floats, count: int) -> "ClickModel":
        """From lists.

        Args:
            articles: (n, k) codes, -1 behind the end of a list.
            rewards: (n, k).
            count: articles that there are.
        """
        shown = articles != NOBODY
        places = rewards.sum(axis=0) / np.maximum(shown.sum(axis=0), 1)
        expected = np.where(shown, places, 0.0)
        size = count + 1
        clicked = np.bincount(articles.ravel() % size, rewards.ravel(), size)
        due = np.bincount(articles.ravel() % size, expected.ravel(), size)
        factors = (clicked + _PRIOR) / (due + _PRIOR)
        factors[-1] = 0.0
        return cls(places, factors)

    def of(self, articles: Codes) -> Floats:
        """(n, k) for articles at the places, 0 for none."""
        return np.asarray(self.factors[articles] * self.places)

    def mean(self, options: Options) -> Floats:
        """(n, k) for what may stand at the places."""
        found = (self.factors[options.articles] * options.chances).sum(axis=2) * self.places
        return np.asarray(found)


def crossed(lists: LoggedLists, count: int, folds: int = FOLDS) -> Predicted:
    """What models say of lists, each fitted on the other readers.

    Args:
        lists: of which something is said, and the models are fitted.
        count: articles that there are.
        folds: of readers.
    """
    n, k = lists.articles.shape
    found = Predicted(*(np.zeros((n, k)) for _ in range(4)))
    fold = lists.readers % folds
    for each in range(folds):
        own = np.flatnonzero(fold == each)
        if len(own) == 0:
            continue
        others = fold != each
        model = ClickModel.fit(lists.articles[others], lists.rewards[others], count)
        part = lists.take(own)
        alone = model.of(part.alone)
        found.shown[own], found.next[own], found.at[own] = (
            model.of(part.articles), model.mean(part.next), model.mean(part.at)
        )  # fmt: skip
        found.later[own] = alone[:, ::-1].cumsum(axis=1)[:, ::-1] - alone
    return found
