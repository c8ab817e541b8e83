"""The log of features: what lists were ranked by, in compressed segments of JSON lines.

A line is one list with all its candidates, so that places within the list can be computed again. It
names the request but no reader: with the reader's exposures erased, nothing leads back to them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from recsys.segments import Segments


@dataclass(frozen=True, slots=True)
class LoggedList:
    """What one list was ranked by.

    Attributes:
        request_id: of the exposure.
        surface: whose recipe ranked it; a cold reader's ``for_you`` is ranked as ``must_reads``.
        at: unix seconds of the request.
        count_at: unix seconds at which counters were read.
        model_version: of the bundle.
        event_seq, article_seq: the store's last event and change of an article that were known.
        context_article_id: the article being read, None without.
        features: names of the f features.
        article_ids: the n candidates.
        values: (n, f) float32, NaN where missing.
    """

    request_id: str
    surface: str
    at: float
    count_at: float
    model_version: str
    event_seq: int
    article_seq: int
    context_article_id: str | None
    features: tuple[str, ...]
    article_ids: tuple[str, ...]
    values: NDArray[np.float32]

    def line(self) -> bytes:
        """The list as one line of JSON; NaN becomes null."""
        fields = asdict(self) | {"values": np.ascontiguousarray(self.values, dtype=np.float32)}
        return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def read_lists(folder: Path) -> Iterator[LoggedList]:
    """Logged lists of all segments of a folder; what a crash has torn is left out."""
    for line in Segments(folder, "reader").lines():
        yield _list_of(orjson.loads(line))


def _list_of(fields: dict[str, Any]) -> LoggedList:
    names, ids = tuple(fields["features"]), tuple(fields["article_ids"])
    values = np.array(fields["values"], dtype=np.float32).reshape(len(ids), len(names))
    return LoggedList(**{**fields, "features": names, "article_ids": ids, "values": values})
