"""Signals that stand beside the funnel in every evaluation, each the plain form of one idea."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from recsys.pipeline import Query
from recsys.state import State

Rows = NDArray[np.int32]
Scores = NDArray[np.float64]
_SESSIONS = 100


@dataclass(frozen=True)
class Asked:
    """One judged list.

    Attributes:
        state: what was known.
        query: the moment.
        rows: (n,) shown candidates.
        surface: the kind of list.
        half_life_hours: of the surface's own popularity.
    """

    state: State
    query: Query
    rows: Rows
    surface: str
    half_life_hours: float

    @property
    def past(self) -> Rows:
        """What the list is about: the context article, else what the reader opened, newest first."""
        if self.surface == "related" and self.query.context is not None:
            return np.array([self.query.context], dtype=np.int32)
        reader = self.query.reader
        return reader.rows if reader is not None else np.zeros(0, np.int32)

    def nothing(self) -> Scores:
        """Unscorable."""
        return np.full(len(self.rows), np.nan)


Baseline = Callable[[Asked], Scores]


def cosine_mean(asked: Asked) -> Scores:
    """Cosine of frozen embeddings with the mean of the past."""
    state = asked.state
    past = asked.past[state.index.has[asked.past]]
    if len(past) == 0:
        return asked.nothing()
    mean = state.index.take(past).mean(axis=0)
    return np.where(
        state.index.has[asked.rows], (state.index.take(asked.rows) @ mean).astype(np.float64), np.nan
    )


def cosine_nearest(asked: Asked) -> Scores:
    """Mean cosine with the five nearest of the past."""
    state = asked.state
    past = asked.past[state.index.has[asked.past]]
    if len(past) == 0:
        return asked.nothing()
    cosines = np.sort(state.index.take(asked.rows) @ state.index.take(past).T, axis=1)
    return np.where(state.index.has[asked.rows], cosines[:, -5:].mean(axis=1).astype(np.float64), np.nan)


def decayed_counts(asked: Asked) -> Scores:
    """Decayed distinct readers at the surface's own half-life."""
    counts = asked.state.popularity
    return counts.openings.read(asked.query.now, counts.column(asked.half_life_hours), asked.rows)


def newest(asked: Asked) -> Scores:
    """The time of publication."""
    return asked.state.catalog.published[asked.rows]


def section_affinity(asked: Asked) -> Scores:
    """Lift of co-reading between sections."""
    codes = asked.state.catalog.section
    return asked.state.learned.sections.of(codes[asked.past], codes[asked.rows])


def item_knn(asked: Asked) -> Scores:
    """Sum of co-visitation with the past."""
    learned = asked.state.learned.covisitation
    if len(asked.past) == 0 or len(learned) == 0:
        return asked.nothing()
    return learned.scores_of(asked.past, asked.rows)


class Tfidf:
    """Mean cosine of TF-IDF vectors with the past.

    Args:
        texts: by catalogue row.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        try:
            found = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english").fit_transform(texts)
        except ValueError:
            # no word stands in two articles
            found = csr_matrix((len(texts), 1))
        self._vectors = csr_array(found)

    def __call__(self, asked: Asked) -> Scores:
        """Scores; NaN for rows without text."""
        size = self._vectors.shape[0]
        past = asked.past[asked.past < size]
        if len(past) == 0:
            return asked.nothing()
        known = asked.rows < size
        mean = self._vectors[past].mean(axis=0)
        found = self._vectors[np.where(known, asked.rows, 0)] @ np.asarray(mean).ravel()
        return np.where(known, found, np.nan)


class Frozen:
    """Counts as they stood at one moment, never updated.

    Args:
        counts: (size,) openings by row.
    """

    def __init__(self, counts: Scores) -> None:
        self._counts = counts

    def __call__(self, asked: Asked) -> Scores:
        """Scores; 0 for articles that came later."""
        known = asked.rows < len(self._counts)
        return np.where(known, self._counts[np.where(known, asked.rows, 0)], 0.0)


class SessionKnn:
    """Session-based nearest neighbours: what stood in past visits that overlap with this one.

    The scheme of Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms", UMUAI
    2018 (S-KNN): cosine of the sets of articles, the 100 nearest visits, sum of their cosines.

    Args:
        visits, rows: (m,) openings: number of the visit, article.
    """

    def __init__(self, visits: NDArray[np.int64], rows: Rows, size: int) -> None:
        _, codes = np.unique(visits, return_inverse=True)
        shape = (int(codes.max(initial=-1)) + 1, size)
        sets = csr_array((np.ones(len(rows)), (codes, rows)), shape=shape)
        sets.data[:] = 1.0
        self._sets, self._by_article = sets, csr_array(sets.T)
        self._sizes = np.maximum(np.asarray(sets.sum(axis=1)).ravel(), 1.0)

    def all_scores(self, past: Rows) -> Scores:
        """(size,) scores of every article for what was opened, newest first."""
        size = self._sets.shape[1]
        past = past[past < size][:20]
        if len(past) == 0 or self._sets.shape[0] == 0:
            return np.full(size, np.nan)
        weights = np.arange(len(past), 0, -1) / len(past)
        shared = np.asarray(weights @ self._by_article[past]).ravel()
        cosines = shared / np.sqrt(self._sizes * len(past))
        keep = min(_SESSIONS, len(cosines))
        nearest = np.argpartition(-cosines, keep - 1)[:keep]
        return np.asarray(cosines[nearest] @ self._sets[nearest]).ravel()

    def __call__(self, asked: Asked) -> Scores:
        """Scores of the candidates."""
        found = self.all_scores(asked.past)
        known = asked.rows < len(found)
        return np.where(known, found[np.where(known, asked.rows, 0)], 0.0 if len(asked.past) else np.nan)


class ImplicitItems:
    """The item-item cosine model of the library ``implicit``.

    Args:
        readers, rows: (m,) openings: number of the reader, article.
    """

    def __init__(self, readers: NDArray[np.int64], rows: Rows, size: int) -> None:
        from implicit.nearest_neighbours import CosineRecommender

        _, codes = np.unique(readers, return_inverse=True)
        shape = (max(int(codes.max(initial=-1)) + 1, 1), size)
        opened = csr_matrix((np.ones(len(rows)), (codes, rows)), shape=shape)
        model = CosineRecommender(K=50)
        with warnings.catch_warnings():
            # the library tells of a conversion between two of its own steps
            warnings.simplefilter("ignore")
            model.fit(opened, show_progress=False)
        self._similarity = csr_array(model.similarity)

    def all_scores(self, past: Rows) -> Scores:
        """(size,) summed similarity of every article with what was opened."""
        past = past[past < self._similarity.shape[0]][:50]
        if len(past) == 0:
            return np.full(self._similarity.shape[1], np.nan)
        return np.asarray(self._similarity[past].sum(axis=0)).ravel()

    def __call__(self, asked: Asked) -> Scores:
        """Scores of the candidates."""
        found = self.all_scores(asked.past)
        known = asked.rows < len(found)
        return np.where(known, found[np.where(known, asked.rows, 0)], 0.0 if len(asked.past) else np.nan)


PLAIN: dict[str, Baseline] = {
    "cosine_mean": cosine_mean,
    "cosine_nearest": cosine_nearest,
    "decayed_counts": decayed_counts,
    "newest": newest,
    "section_affinity": section_affinity,
    "item_knn": item_knn,
}
