"""Public answers in memory, for as long as what they rest on has not changed."""

from collections import OrderedDict
from typing import NamedTuple

from serving.freshness import AGING, FRESH, OVER, Freshness, Mark
from serving.live import Live
from serving.reply import Reply
from serving.telemetry import Telemetry

_MAX_BYTES = 64_000_000
# keys and the mark, which a size in bytes of the body leaves out
_OVERHEAD = 1_000

Key = tuple[str, bytes]


class Kept(NamedTuple):
    """An answer from memory.

    Attributes:
        reply: the answer.
        aging: whether the caller shall make a new one afterwards.
    """

    reply: Reply
    aging: bool


class AnswerCache:
    """The latest answers by path and query, the least recently used ones go first.

    Args:
        freshness: judges them.
        telemetry: counts what was found.
    """

    def __init__(self, freshness: Freshness, telemetry: Telemetry) -> None:
        self._freshness, self._telemetry = freshness, telemetry
        self._kept: OrderedDict[Key, tuple[Mark, Reply]] = OrderedDict()
        self._renewed: set[Key] = set()
        self._bytes = 0

    def mark(self, live: Live) -> Mark:
        """What an answer rests on that is made now."""
        return self._freshness.mark(live.served, live.rules)

    def get(self, key: Key, live: Live) -> Kept | None:
        """An answer that is still true, or true enough while a new one is made."""
        found = self._kept.get(key)
        if found is None:
            self._telemetry.cache["miss"].inc()
            return None
        state = self._freshness.judge(found[0], live.served, live.rules.version)
        if state == OVER:
            self._telemetry.cache["outdated"].inc()
            self.drop(key)
            return None
        self._kept.move_to_end(key)
        self._telemetry.cache["hit" if state == FRESH else "stale"].inc()
        renew = state == AGING and key not in self._renewed
        if renew:
            self._renewed.add(key)
        return Kept(found[1], renew)

    def put(self, key: Key, mark: Mark, reply: Reply) -> None:
        """Keep an answer."""
        self.drop(key)
        self._kept[key] = (mark, reply)
        self._bytes += len(reply.body) + _OVERHEAD
        while self._bytes > _MAX_BYTES:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        """Forget an answer."""
        self._renewed.discard(key)
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= len(found[1].body) + _OVERHEAD
