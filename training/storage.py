"""What ``recsys doctor`` says of a store's room: what it takes, how fast it grows, when the disk is full."""

import math
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from recsys.store import Store
from recsys.store.usage import Usage

_LOOKED_AT_DAYS = 7.0
_ENOUGH_DAYS = 30.0


def storage_of(store: Store, now: datetime) -> Iterator[tuple[str, str, str | None]]:
    """What was looked at, how it is, and what is wrong with the next step, None where it is well.

    Args:
        store: of any kind; one that is no file has nothing to tell.
        now: the end of the days that growth is taken from.
    """
    usage = store.usage(now - timedelta(days=_LOOKED_AT_DAYS))
    if usage is None:
        return
    yield "database", f"{_mb(usage.database)}, {usage.event_bytes:.0f} bytes an event", None
    yield "events of earlier days", f"{_mb(usage.days)}, {usage.aged_event_bytes:.0f} bytes an event", None
    yield "served lists", f"{_mb(usage.exposures)}, {usage.exposure_bytes:.0f} bytes a list", None
    if usage.torn:
        yield "torn by a crash", f"{usage.torn:,} bytes of served lists, which are stepped over", None
    left = days_until_full(usage, shutil.disk_usage(Path(store.place).parent).free)
    growth = _mb(usage.bytes_a_day(_LOOKED_AT_DAYS))
    told = "more than 10,000" if left > 10_000 else f"{left:,.0f}"
    wrong = (
        f"the disk of {store.place} is full in {left:.0f} days; give it more room, lower [serving] "
        "event_days, exposure_log_mb or log_exposures_share, or export old days and move them away"
    )
    yield "days of disk left", f"{told} at {growth} a day", wrong if left < _ENOUGH_DAYS else None


def days_until_full(usage: Usage, free: float) -> float:
    """Days until so many bytes are used up; infinite where nothing came lately."""
    growth = usage.bytes_a_day(_LOOKED_AT_DAYS)
    return free / growth if growth > 0.0 else math.inf


def _mb(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"
