"""What a click says of the list it was made in, as it comes: each listed article could have been the one.

The articles of a clicked list share one expected click by the chance that their places were looked at
(clicks over expected clicks, as in Zhang and Jones, WWW 2007). Training counts a log the same way
(``training.moments``); a test ties the two.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.examination import Examination
from recsys.popularity import EventBatch
from recsys.schemas import EVENT_TYPES

_IMPRESSION = EVENT_TYPES.index("impression")
_STEP = 0x9E3779B97F4A7C15


# place in a batch of events, request id, surface or None, article id
Click = tuple[int, str, str | None, str]


@dataclass(slots=True)
class _List:
    surface: str
    article_ids: Sequence[str]
    positions: Sequence[int]
    clicked: set[str] = field(default_factory=set)


def expecting_reader(reader: int, before: int) -> int:
    """Key under which a list's expected click counts once per article and window.

    Args:
        reader: key of the reader.
        before: articles of the list that were clicked earlier; each further click is one more expected.
    """
    return (reader + before * _STEP) % 2**64


class ExpectedClicks:
    """Remembers the latest lists, and tells what their clicks make expected.

    Args:
        per_click: impressions that stand for one expected click.
        examination: by position.
        most: answers that are remembered; older ones are forgotten.
    """

    def __init__(self, per_click: float, examination: Examination, most: int = 50_000) -> None:
        self._per_click, self._examination, self._most = per_click, examination, most
        self._lists: OrderedDict[int, list[_List]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lists)

    def shown(
        self, request_id: str, surface: str, article_ids: Sequence[str], positions: Sequence[int]
    ) -> None:
        """Remember a list that was served; one that is remembered already stays as it is.

        Args:
            request_id: of the answer.
            surface: the kind of list.
            article_ids, positions: of each place, 1-based.
        """
        lists = self._lists.setdefault(hash(request_id), [])
        if article_ids and not any(known.surface == surface for known in lists):
            lists.append(_List(surface, article_ids, positions))
        while len(self._lists) > self._most:
            self._lists.popitem(last=False)

    def of(
        self, batch: EventBatch, clicks: Sequence[Click], refer: Callable[[str], int]
    ) -> EventBatch | None:
        """What clicks make expected, as impressions at their times; None for nothing.

        Args:
            batch: events.
            clicks: of those in it that name a request.
            refer: gives the catalogue row of an article.
        """
        parts: list[tuple[int, int, _List]] = []
        for at, request_id, surface, article_id in clicks:
            if batch.trust is not None and batch.trust[at] == 0.0:
                continue
            for shown in self._lists.get(hash(request_id), ()):
                fits = surface in (None, shown.surface) and article_id in shown.article_ids
                if fits and article_id not in shown.clicked:
                    parts.append((at, expecting_reader(int(batch.readers[at]), len(shown.clicked)), shown))
                    shown.clicked.add(article_id)
        if not parts:
            return None
        lengths = [len(shown.article_ids) for _, _, shown in parts]
        rows = [refer(article_id) for _, _, shown in parts for article_id in shown.article_ids]
        return EventBatch(
            np.full(len(rows), _IMPRESSION, np.uint8),
            np.array(rows, dtype=np.int32),
            np.repeat(np.array([key for _, key, _ in parts], np.uint64), lengths),
            np.repeat(batch.ts[[at for at, _, _ in parts]], lengths),
            np.concatenate([self._shares(shown) for _, _, shown in parts]),
        )

    def _shares(self, shown: _List) -> NDArray[np.float64]:
        chances = self._examination.of(shown.surface, shown.positions)
        return np.asarray(self._per_click * chances / chances.sum())
