"""Served lists as columns: what stood where, how old it was, whether it was clicked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import Catalog
from recsys.counters import HOUR
from recsys.schemas import SURFACES, Exposure
from training.attribution import Labels


@dataclass(frozen=True)
class Shown:
    """Every place of every list, in the order of the lists.

    Attributes:
        lists: (m,) number of the list.
        surfaces: (m,) codes into ``SURFACES``.
        rows: (m,) catalogue rows.
        contexts: (m,) section of the article beside which the list stood, -1 for none.
        positions: (m,) 1-based.
        lengths: (m,) places of the list.
        ages: (m,) hours since publication, NaN where unknown.
        scores: (m,) the score that the list was ordered by, NaN where the log lacks it.
        clicked: (m,).
    """

    lists: NDArray[np.intp]
    surfaces: NDArray[np.intp]
    rows: NDArray[np.intp]
    contexts: NDArray[np.intp]
    positions: NDArray[np.intp]
    lengths: NDArray[np.intp]
    ages: NDArray[np.float64]
    scores: NDArray[np.float64]
    clicked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, part: NDArray[np.bool_]) -> "Shown":
        """The places of a mask."""
        return Shown(*(getattr(self, name)[part] for name in self.__dataclass_fields__))


def shown_places(catalog: Catalog, exposures: Sequence[Exposure], clicks: Labels) -> Shown:
    """Columns of served lists; articles that the catalogue lacks are referred to."""
    code = {name: number for number, name in enumerate(SURFACES)}
    lengths = np.array([len(e.items) for e in exposures], dtype=np.intp)
    rows = np.array([catalog.refer(i.article_id) for e in exposures for i in e.items], dtype=np.intp)
    contexts = np.array([_section(catalog, e.context_article_id) for e in exposures], dtype=np.intp)
    ts = np.repeat([e.ts.timestamp() for e in exposures], lengths)
    scores = (np.nan if i.score is None else i.score for e in exposures for i in e.items)
    chosen = [clicks.clicked(e) for e in exposures]
    clicked = (i.article_id in ids for e, ids in zip(exposures, chosen, strict=True) for i in e.items)
    total = int(lengths.sum())
    return Shown(
        np.repeat(np.arange(len(lengths)), lengths),
        np.repeat(np.array([code[e.surface] for e in exposures], dtype=np.intp), lengths),
        rows,
        np.repeat(contexts, lengths),
        np.fromiter((i.position for e in exposures for i in e.items), np.intp, total),
        np.repeat(lengths, lengths),
        (ts - catalog.published[rows]) / HOUR if total else np.zeros(0),
        np.fromiter(scores, np.float64, total),
        np.fromiter(clicked, np.bool_, total),
    )


def _section(catalog: Catalog, article_id: str | None) -> int:
    row = None if article_id is None else catalog.row(article_id)
    return -1 if row is None else int(catalog.section[row])
