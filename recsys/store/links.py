"""Files as they are at one moment, while others append to them, replace and remove them."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recsys.segments import LOCK, locked

_HELD = ".held"


@contextmanager
def linked(folder: Path, files: Callable[[], Sequence[Path]]) -> Iterator[tuple[Path, dict[str, int]]]:
    """Hard links to files of a folder, until the end of the context.

    What a process that was killed has left behind goes with the next call or ``drop_stale``: a folder
    of links is in use as long as somebody holds the lock of the file in it.

    Args:
        folder: whose files are replaced, but never overwritten.
        files: lists them.

    Yields:
        The folder with the links, and by name how many bytes the file had.
    """
    if not folder.is_dir():
        yield folder, {}
        return
    drop_stale(folder)
    own, sizes = folder / _HELD / secrets.token_hex(8), dict[str, int]()
    with locked(folder):
        own.mkdir(parents=True)
        mark = (own / LOCK).open("ab")
        fcntl.flock(mark, fcntl.LOCK_EX)
        for path in files():
            os.link(path, own / path.name)
            sizes[path.name] = path.stat().st_size
    try:
        yield own, sizes
    finally:
        shutil.rmtree(own, ignore_errors=True)
        mark.close()


def drop_stale(folder: Path) -> None:
    """Remove links that nobody uses any more: they would keep what was erased."""
    if not (folder / _HELD).is_dir():
        return
    with locked(folder):
        for own in (folder / _HELD).iterdir():
            try:
                with (own / LOCK).open("ab") as mark:
                    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except FileNotFoundError:
                pass
            shutil.rmtree(own, ignore_errors=True)
