"""Logs in hourly files of compressed JSON lines, appended to by several processes.

A file is blocks. A block is a zstd skippable frame with what a reader needs to step over it (sizes,
checksum, rows, first and last time), then one zstd frame of lines: so ``zstdcat`` reads a file, and a
reader looks at the times alone until it needs the lines. A block that a crash has torn is stepped over.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

SUFFIX = ".jsonl.zst"
LOCK = ".lock"
ROWS_IN_BLOCK = 1_000
_HEAD = struct.Struct("<IIIIIIdd")
_MAGIC = struct.pack("<I", 0x184D2A5E)
_LEVEL = 1
_LEVELS_TO_FIT = (1, 9, 19)
_SEARCHED = 1 << 20


class Block(NamedTuple):
    """One block of a file.

    Attributes:
        path: the file.
        start, end: bytes of the file.
        rows: number of lines.
        first, last: lowest and highest unix seconds of its lines.
    """

    path: Path
    start: int
    end: int
    rows: int
    first: float
    last: float

    def lines(self) -> list[bytes]:
        """Its lines, each with its line feed."""
        with self.path.open("rb") as source:
            source.seek(self.start)
            return _unpacked(source.read(self.end - self.start)).splitlines(keepends=True)


class Segments:
    """The files of one log.

    Args:
        folder: made when there is something to write.
        writer: tells the files of this process from others'.
        ends: by name of a file, the bytes that are read of it, and no other file; None for all there is.
    """

    def __init__(self, folder: Path, writer: str, ends: Mapping[str, int] | None = None) -> None:
        self.folder, self._writer, self._ends = folder, writer, ends

    def append(self, rows: Iterable[tuple[float, bytes]]) -> list[Path]:
        """Append lines to the files of their hours, each hour in one write.

        Args:
            rows: unix seconds and line.

        Returns:
            The files that began with this call.

        Raises:
            OSError: nothing of that hour was written.
        """
        hours: dict[str, list[tuple[float, bytes]]] = {}
        for at, line in rows:
            hours.setdefault(hour_of(at), []).append((at, line))
        packed = {hour: b"".join(_blocks_of(part)) for hour, part in hours.items()}
        begun = []
        if packed:
            self.folder.mkdir(parents=True, exist_ok=True)
        for hour, content in packed.items():
            path = self.folder / f"{hour}-{self._writer}{SUFFIX}"
            with locked(self.folder):
                if _append(path, content):
                    begun.append(path)
        return begun

    def files(self, since: float | None = None, until: float | None = None) -> list[Path]:
        """Files whose hour meets since <= time < until, by hour."""
        low = "" if since is None else hour_of(since)
        high = "~" if until is None else hour_of(until)
        found = (path for path in self.folder.glob(f"*{SUFFIX}") if low <= path.name[:11] <= high)
        return sorted(path for path in found if self._ends is None or path.name in self._ends)

    def blocks(self, path: Path, start: int = 0) -> Iterator[Block]:
        """See ``blocks``, to the end that is read of the file."""
        return blocks(path, start, None if self._ends is None else self._ends[path.name])

    def lines(self) -> Iterator[bytes]:
        """All lines, file by file in the order of writing."""
        for path in self.files():
            for block in self.blocks(path):
                yield from block.lines()

    def drop(self, most_bytes: int, since: float | None = None, most_files: int = 48) -> int:
        """Drop the oldest files.

        Args:
            most_bytes: of all files together; the newest are kept.
            since: unix seconds; files of earlier hours go.
            most_files: of those at most so many at a time, so that a clock that jumped costs little.

        Returns:
            Number of lines dropped.
        """
        if not self.folder.is_dir():
            return 0
        with locked(self.folder):
            files, held = self.files(), 0
            low = "" if since is None else hour_of(since)
            gone = [path for path in files if path.name[:11] < low][:most_files]
            for path in reversed(files[len(gone) :]):
                held += path.stat().st_size
                if held > most_bytes:
                    gone.append(path)
            dropped = sum(block.rows for path in gone for block in blocks(path))
            for path in gone:
                path.unlink(missing_ok=True)
        return dropped

    def erase(self, found: Callable[[bytes], bool]) -> list[bytes]:
        """Rewrite the files without the lines that are found, each byte that stays in its place.

        Returns:
            The lines that are gone.
        """
        erased: list[bytes] = []
        for path in self.files() if self.folder.is_dir() else []:
            with locked(self.folder):
                changed = [(block, gone) for block in blocks(path) if (gone := _found(block, found))]
                if changed:
                    _rewrite(path, [block for block, _ in changed], found)
                    erased += [line for _, gone in changed for line in gone]
        return erased


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other process appends to the files of a folder, rewrites or drops them meanwhile."""
    with (folder / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def _codec(level: int) -> Any:
    return pa.Codec("zstd", compression_level=level)


def hour_of(at: float) -> str:
    """The hour of a time as files are named, as in ``20260301T12``."""
    return datetime.fromtimestamp(at, UTC).isoformat()[:13].replace("-", "")


def blocks(path: Path, start: int = 0, end: int | None = None) -> Iterator[Block]:
    """Whole blocks of a file from a byte on; what is torn between them is stepped over.

    Args:
        path: the file; nothing if it is gone.
        start: where to begin, at a block.
        end: where to stop, None for the end as it is now.
    """
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return
    with source:
        size = os.fstat(source.fileno()).st_size
        end = size if end is None else min(end, size)
        while start + _HEAD.size <= end:
            block = _block_at(path, source, start, end)
            if block is None:
                start = _next_magic(source, start + 1, end)
            else:
                yield block
                start = block.end


def torn_bytes(path: Path) -> int:
    """Bytes of a file that belong to no whole block."""
    return path.stat().st_size - sum(block.end - block.start for block in blocks(path))


def _block_at(path: Path, source: BinaryIO, start: int, end: int) -> Block | None:
    source.seek(start)
    head = source.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        return None
    _, size, _, length, check, rows, first, last = _HEAD.unpack(head)
    begin = start + 8 + size
    if begin + length > end:
        return None
    source.seek(begin)
    if zlib.crc32(source.read(length)) != check:
        return None
    return Block(path, start, begin + length, rows, first, last)


def _next_magic(source: BinaryIO, start: int, end: int) -> int:
    while start < end:
        source.seek(start)
        part = source.read(min(_SEARCHED, end - start))
        found = part.find(_MAGIC)
        if found >= 0:
            return start + found
        # the mark may lie across two parts
        start += max(len(part) - len(_MAGIC) + 1, 1)
    return end


def _packed(rows: Sequence[tuple[float, bytes]], least: int = 0, level: int = _LEVEL) -> bytes:
    """One block of at least so many bytes; padding goes into the skippable frame."""
    raw = b"".join(line for _, line in rows)
    times = [at for at, _ in rows] or [0.0]
    frame = bytes(_codec(level).compress(raw, asbytes=True))
    pad = max(0, least - _HEAD.size - len(frame))
    size = _HEAD.size - 8 + pad
    head = _HEAD.pack(
        0x184D2A5E, size, len(raw), len(frame), zlib.crc32(frame), len(rows), min(times), max(times)
    )
    return head + bytes(pad) + frame


def _unpacked(content: bytes) -> bytes:
    _, size, raw, length, *_ = _HEAD.unpack_from(content)
    return bytes(_codec(_LEVEL).decompress(content[8 + size : 8 + size + length], raw, asbytes=True))


def _blocks_of(rows: Sequence[tuple[float, bytes]]) -> Iterator[bytes]:
    for start in range(0, len(rows), ROWS_IN_BLOCK):
        yield _packed(rows[start : start + ROWS_IN_BLOCK])


def _append(path: Path, content: bytes) -> bool:
    with path.open("ab", buffering=0) as out:
        before = out.seek(0, os.SEEK_END)
        try:
            if out.write(content) < len(content):
                raise OSError(f"{path} took a part of what was written; is the disk full?")
        except OSError:
            # half a block would stand in the way of nothing, but its bytes are worth nothing either
            out.truncate(before)
            raise
    return before == 0


def _found(block: Block, found: Callable[[bytes], bool]) -> list[bytes]:
    return [line for line in block.lines() if found(line)]


def _rewrite(path: Path, changed: Sequence[Block], found: Callable[[bytes], bool]) -> None:
    """Blocks keep their bytes' places, so that whoever follows the file goes on where they were."""
    content = bytearray(path.read_bytes())
    for block in reversed(changed):
        kept = [(block.first, line) for line in block.lines() if not found(line)]
        kept[-1:] = [(block.last, line) for _, line in kept[-1:]]
        content[block.start : block.end] = _fitting(kept, block.end - block.start)
    aside = path.with_name(f".{path.name}.aside")
    with aside.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(path)


def _fitting(rows: list[tuple[float, bytes]], size: int) -> bytes:
    """A block of ``size`` bytes; larger only if fewer lines can in no way be packed into them."""
    packed = b""
    for level in _LEVELS_TO_FIT:
        packed = _packed(rows, size, level)
        if len(packed) == size:
            break
    return packed
