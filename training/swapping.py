"""Put a finished folder in the place of an earlier one, in one step where the system can."""

import ctypes
import os
import shutil
from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2


def put_in_place(aside: Path, target: Path) -> None:
    """Make ``aside`` the folder ``target``; an earlier ``target`` is removed once it is replaced.

    On Linux both names are exchanged at once, so that a reader always finds a complete folder. Where
    the system cannot, the earlier one is moved away first, and moved back if the second step fails.

    Args:
        aside: complete, on the same file system as ``target``.
        target: absent, or a folder that may be lost.
    """
    if not target.exists():
        aside.rename(target)
        return
    if _exchange(aside, target):
        shutil.rmtree(aside)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names; False where the C library or the file system does not know how."""
    call = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if call is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return bool(call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0)
