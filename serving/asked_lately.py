"""The last queries by kind: what another bundle is tried with before it goes into service."""

from collections import deque
from collections.abc import Sequence

from recsys.asked import Asked
from recsys.pipeline import Query
from serving.served import Served

_KEPT = 4
_KINDS = 32
_EVERY = 16
# what is tried before anything was asked
SYNTHETIC = (
    Asked(("related", "popular", "latest", "must_reads"), page=True),
    Asked(("for_you",), page=False, for_reader=True),
    Asked(("popular",), page=False, rising=True),
    Asked(("popular",), page=False, window_hours=24.0),
)


class AskedLately:
    """A small ring of queries a kind; it names no reader."""

    def __init__(self) -> None:
        self._rings: dict[tuple[object, ...], deque[Asked]] = {}
        self._count = 0

    def note(self, served: Served, query: Query, surfaces: Sequence[str], page: bool) -> None:
        """Remember a query now and then; costs nothing most of the time."""
        kind = (page, *surfaces, query.reader is None, query.context is None, query.rising)
        ring = self._rings.get(kind)
        self._count += 1
        if ring is not None and len(ring) == _KEPT and self._count % _EVERY:
            return
        if ring is None:
            if len(self._rings) >= _KINDS:
                return
            ring = self._rings[kind] = deque(maxlen=_KEPT)
        ring.append(Asked.of(query, surfaces, page, served.state.catalog))

    def kept(self) -> list[Asked]:
        """What there is of every kind, after what is always tried."""
        return [*SYNTHETIC, *(asked for ring in self._rings.values() for asked in ring)]
