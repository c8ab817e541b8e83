"""The served lists of a store that is a file: hourly segments beside it."""

import base64
import heapq
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import orjson

from recsys.errors import StoreError
from recsys.exposed import Exposed, exposed_of_line, exposure_of_line, line_of, seconds_of
from recsys.schemas import Exposure
from recsys.segments import Block, Segments, hour_of
from recsys.store.links import linked

_HOUR = 3600.0
_FOLLOWED_HOURS = 2
_REMEMBERED = 100_000
_AT_ONCE = 10_000


class ExposureSegments:
    """See the parts of ``Store`` that are about exposures.

    Args:
        folder: of the segments.
        writer: tells the files of this process from others'.
        ends: see ``Segments``.
    """

    def __init__(self, folder: Path, writer: str, ends: Mapping[str, int] | None = None) -> None:
        self.folder = folder
        self.segments = Segments(folder, writer, ends)

    def append(self, shown: Iterable[Exposure | Exposed]) -> None:
        """Append lists; readers leave out what is there twice.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            rows = iter(shown)
            while part := [(seconds_of(each), line_of(each)) for each in islice(rows, _AT_ONCE)]:
                self.segments.append(part)
        except OSError as error:
            raise StoreError(
                f"cannot write served lists to {self.folder}: {error}; check that the disk has space and "
                "that the folder may be written"
            ) from error

    def between(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Exposure]:
        """Lists with since <= ts < until by time, request id and surface, each once."""
        low = None if since is None else since.timestamp()
        high = None if until is None else until.timestamp()
        for exposure in _once(self._by_time(low, high)):
            if (since is None or exposure.ts >= since) and (until is None or exposure.ts < until):
                yield exposure

    def after(self, cursor: str | None, limit: int) -> tuple[list[Exposed], str]:
        """See ``Store.exposures_after``."""
        seen, found = _read_cursor(cursor), list[Exposed]()
        newest = max(seen, default="")[:11]
        for path in self.segments.files(_start_of(newest) if newest else None):
            start = seen.setdefault(path.name, 0)
            for block in self.segments.blocks(path, start):
                if len(found) >= limit:
                    break
                found += map(exposed_of_line, block.lines())
                seen[path.name] = block.end
        return found, _written_cursor(seen)

    def end(self) -> str:
        """The cursor after all that is there."""
        return _written_cursor({path.name: path.stat().st_size for path in self.segments.files()})

    def find(self, request_id: str, near: datetime | None = None) -> list[Exposed]:
        """See ``Store.find_exposures``."""
        told = b'"request_id":' + orjson.dumps(request_id)
        at = None if near is None else near.timestamp()
        spans = [(None, None)] if at is None else [(at - _HOUR, at + _HOUR), (None, None)]
        for low, high in spans:
            found: dict[str, Exposed] = {}
            for path in self.segments.files(low, high):
                for line in (
                    line for block in self.segments.blocks(path) for line in block.lines() if told in line
                ):
                    exposed = exposed_of_line(line)
                    if exposed.request_id == request_id:
                        found.setdefault(exposed.surface, exposed)
            if found:
                return list(found.values())
        return []

    def forget(self, user_id: str) -> int:
        """Rewrite the segments without the lists of a user; how many there were."""
        told = b'"user_id":' + orjson.dumps(user_id)
        gone = self.segments.erase(
            lambda line: told in line and exposed_of_line(line).reader == ("user_id", user_id)
        )
        return len({(each.request_id, each.surface) for each in map(exposed_of_line, gone)})

    def count(self) -> int:
        """Number of lists, a repeated one as often as it was written."""
        return sum(block.rows for path in self.segments.files() for block in self.segments.blocks(path))

    def put_in_place(self, aside: Path) -> None:
        """Make a folder that was written aside the folder of the segments, which holds none."""
        if aside.is_dir():
            for path in aside.iterdir():
                with path.open("rb") as written:
                    os.fsync(written.fileno())
            if self.folder.is_dir():
                shutil.rmtree(self.folder)
            aside.replace(self.folder)

    @contextmanager
    def held(self) -> Iterator["ExposureSegments"]:
        """The lists as they are at this moment, whatever is written or erased meanwhile."""
        with linked(self.folder, self.segments.files) as (folder, ends):
            yield ExposureSegments(folder, "reader", ends)

    def _by_time(
        self, low: float | None, high: float | None
    ) -> Iterator[tuple[datetime, str, str, Exposure]]:
        """Rows in order; memory holds blocks that overlap in time, and the heads of one hour's blocks."""
        hours: dict[str, list[Path]] = {}
        for path in self.segments.files(low, high):
            hours.setdefault(path.name[:11], []).append(path)
        for _, paths in sorted(hours.items()):
            found = [
                block
                for path in paths
                for block in self.segments.blocks(path)
                if (low is None or block.last >= low - 1.0) and (high is None or block.first <= high)
            ]
            yield from _swept(sorted(found, key=lambda block: block.first))


def _swept(found: Sequence[Block]) -> Iterator[tuple[datetime, str, str, Exposure]]:
    heap: list[tuple[datetime, str, str, int, Exposure]] = []
    number = 0
    for block in found:
        # a time that was cut off to microseconds may lie before its block
        start = datetime.fromtimestamp(block.first - 1e-3, UTC)
        while heap and heap[0][0] < start:
            *key, _, exposure = heapq.heappop(heap)
            yield (*key, exposure)  # type: ignore[misc]
        for line in block.lines():
            number += 1
            exposure = exposure_of_line(line)
            row = (exposure.ts, exposure.request_id, exposure.surface, number, exposure)
            heapq.heappush(heap, row)
    while heap:
        *key, _, exposure = heapq.heappop(heap)
        yield (*key, exposure)  # type: ignore[misc]


def _once(rows: Iterable[tuple[datetime, str, str, Exposure]]) -> Iterator[Exposure]:
    """Each key once: repeats have the time of the first, or come soon after it."""
    young, old = set[tuple[str, str]](), set[tuple[str, str]]()
    for _, request_id, surface, exposure in rows:
        key = (request_id, surface)
        if key not in young and key not in old:
            yield exposure
            young.add(key)
            if len(young) >= _REMEMBERED:
                young, old = set(), young


def _read_cursor(cursor: str | None) -> dict[str, int]:
    if cursor is None:
        return {}
    try:
        return {str(name): int(end) for name, end in orjson.loads(base64.b64decode(cursor)).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"{cursor[:40]!r} is no place in the served lists; begin without one") from error


def _written_cursor(seen: dict[str, int]) -> str:
    """Files of the newest hours alone: earlier ones are not written to any more."""
    newest = max(seen, default="")[:11]
    oldest = hour_of(_start_of(newest)) if newest else ""
    kept = {name: end for name, end in seen.items() if name[:11] >= oldest}
    return base64.b64encode(orjson.dumps(kept)).decode()


def _start_of(hour: str) -> float:
    begin = datetime.fromisoformat(f"{hour}+00:00")
    return max(begin.timestamp() - _FOLLOWED_HOURS * _HOUR, -6e10)
