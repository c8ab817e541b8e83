"""A number that changes with the catalogue, so cheap to read that every request can ask.

SQLite tells of commits by others only through a statement (microseconds, a lock of the file, and it
cannot tell an event from an article). So whoever commits a change of articles or rules adds one to a
number in a small file beside the database, which every process has mapped into its memory: reading it
is reading eight aligned bytes. One is added under a lock of the file, so that two that commit at once
leave two different numbers; after the commit, so that whoever sees the number sees the change.

The number is a hint to look and says nothing more. A process that is killed between its commit and the
number leaves a change that others find when they look for new events, as they do several times a second.
A file that is new or was copied begins at any number. One that is removed while processes run is made
anew by the next that opens the store: those that still have the old one then see each other's changes
like those of a process that was killed. Where the file cannot be made, SQLite is asked after all.
"""

import fcntl
import mmap
import os
from collections.abc import Callable

_BYTES = 8


class Changes:
    """The number of one store.

    Args:
        path: of its file, made if it is missing.
        otherwise: asked where there can be no file.
    """

    def __init__(self, path: str, otherwise: Callable[[], int]) -> None:
        self._otherwise, self._file = otherwise, -1
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if os.fstat(self._file).st_size < _BYTES:
                os.ftruncate(self._file, _BYTES)
            self._map = mmap.mmap(self._file, _BYTES)
        except OSError:
            self.close()
            return
        self._view = memoryview(self._map).cast("Q")

    def read(self) -> int:
        """The number as it is now."""
        return self._view[0] if self._file >= 0 else self._otherwise()

    def add(self) -> None:
        """Say that articles or rules were committed."""
        if self._file < 0:
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            self._view[0] = (self._view[0] + 1) % 2**64
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the file."""
        if self._file < 0:
            return
        if hasattr(self, "_view"):
            self._view.release()
            self._map.close()
        os.close(self._file)
        self._file = -1
