"""What readers opened next: in a log with times, and in ordered pasts without times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES, Exposure
from training.readers import EventLog

SESSION_GAP = 1800.0
FOLDS = 5
_OPENED = (EVENT_TYPES.index("view"), EVENT_TYPES.index("click"))
_SAME_READER = 5


@dataclass(frozen=True, slots=True)
class NextRead:
    """A list that could have been served, and what was opened next.

    Attributes:
        asked: unix seconds at which the list is made.
        reader: key of the reader.
        context: code of the article that was read last (as in the log's ``article_ids``), -1 none.
        target: code of the article that was opened next.
    """

    asked: float
    reader: int
    context: int
    target: int


def next_reads(log: EventLog, surface: str, since: float, until: float, lag: float) -> list[NextRead]:
    """First-time openings with since <= ts < until, and the moment their list is made.

    ``related``: the list beside the article that the reader opened before, at the time of that opening,
    at most 30 minutes earlier. ``for_you``: the list ``lag`` seconds before the opening, of readers who had
    opened something by then. What a reader opened before is no target (repeats are dropped).

    Args:
        log: in time order; events that are not trusted are left out.
        surface: ``related`` or ``for_you``.
        since, until: unix seconds of the openings.
        lag: seconds.

    Returns:
        In order of ``asked``.
    """
    log = log.believed()
    found: list[NextRead] = []
    seen: dict[int, dict[int, float]] = {}
    last: dict[int, tuple[float, int]] = {}
    for at in np.flatnonzero(np.isin(log.types, _OPENED)).tolist():
        ts, reader, article = float(log.ts[at]), int(log.readers[at]), int(log.articles[at])
        if ts >= until:
            break
        past, before = seen.setdefault(reader, {}), last.get(reader)
        if article in past:
            last[reader] = (ts, article)
            continue
        if ts >= since and before is not None:
            if surface == "related" and ts - before[0] <= SESSION_GAP:
                found.append(NextRead(before[0], reader, before[1], article))
            elif surface == "for_you" and next(iter(past.values())) < ts - lag:
                found.append(NextRead(ts - lag, reader, -1, article))
        past[article] = ts
        last[reader] = (ts, article)
    return sorted(found, key=lambda read: read.asked)


def sample(reads: Sequence[NextRead], most: int, seed: int) -> list[NextRead]:
    """At most ``most`` of the reads, drawn without replacement, in their order."""
    if len(reads) <= most:
        return list(reads)
    chosen = np.random.default_rng(seed).choice(len(reads), most, replace=False)
    return [reads[at] for at in np.sort(chosen).tolist()]


@dataclass(frozen=True, slots=True)
class Past:
    """The ordered past of one reader.

    Attributes:
        reader: key of the reader.
        beginning: key of how the past begins; two names of one reader share it.
        rows: (k,) catalogue rows, oldest first, each once.
    """

    reader: int
    beginning: int
    rows: NDArray[np.int32]


def sequences(exposures: Iterable[Exposure], row_of: dict[str, int]) -> list[Past]:
    """Each reader's longest past, oldest first, each article once.

    Pasts that begin with the same five articles are one reader's under two names, as where a file gives
    readers no ids of their own; the longest stands for all.

    Args:
        exposures: those with ``history`` count.
        row_of: catalogue row by article id; others are left out.
    """
    longest: dict[int, Past] = {}
    for exposure in exposures:
        if len(exposure.history) < 2:
            continue
        key = reader_key("/".join(exposure.history[:_SAME_READER]))
        known = (row_of[name] for name in exposure.history if name in row_of)
        rows = np.array(list(dict.fromkeys(known)), dtype=np.int32)
        if len(rows) > 1 and (key not in longest or len(rows) > len(longest[key].rows)):
            longest[key] = Past(reader_key(exposure.reader), key, rows)
    return list(longest.values())


def fold_of(past: Past, seed: int) -> int:
    """Which of ``FOLDS`` parts a reader belongs to, by how the past begins."""
    return reader_key(f"{seed}/{past.beginning}") % FOLDS
