"""Counts over large logs, in ibis on DuckDB: sessions, decayed counts, pairs that are read together.

The arithmetic is that of ``recsys.counters`` and ``recsys.covisitation``; tests tie the two to 1e-9. A
mass is counted at the log's end, so no exponent is above 0 and nothing overflows; literals are float64,
because DuckDB reads a bare 2.0 as a decimal.
"""

from collections.abc import Sequence

import ibis
import numpy as np
import pyarrow as pa

from recsys.config import ClicklogConfig, CovisitationConfig
from recsys.covisitation import Covisitation, PairSums, Trails
from recsys.schemas import EVENT_TYPES
from training.duck import Duck, Expr, opened

_OPENED = [EVENT_TYPES.index("view"), EVENT_TYPES.index("click")]
_HOUR, _DAY = 3600.0, 86_400.0
LARGE = 1_000_000


def sessions(events: Expr, gap_minutes: float) -> Expr:
    """How many sessions the openings of readers make; a pause longer than the gap begins a new one.

    Args:
        events: with reader, type (codes) and us.
        gap_minutes: the longest pause within a session.
    """
    opened = events.filter(events.type.isin(_OPENED)).select("reader", "us")
    return with_sessions(opened, gap_minutes, "reader").begins.cast("int64").sum()


def with_sessions(opened: Expr, gap_minutes: float, *by: str) -> Expr:
    """The rows with ``begins``: whether a session begins with the row.

    Args:
        opened: openings with us.
        gap_minutes: the longest pause within a session.
        by: columns whose values tell readers apart.
    """
    before = opened.us.lag().over(ibis.window(group_by=list(by), order_by="us"))
    paused = opened.mutate(before=before)
    begins = paused.before.isnull() | (paused.us - paused.before > round(gap_minutes * 60e6))
    return paused.mutate(begins=begins).drop("before")


def decayed_counts(clicks: Expr, half_lives_hours: Sequence[float], latest: float) -> Expr:
    """Forward-decayed openings of each article at several half-lives.

    Args:
        clicks: with article and ts (unix seconds, float64).
        half_lives_hours: of the masses ``mass_0``, ``mass_1``, ...
        latest: unix seconds of the log's end, at which the masses are read.
    """
    masses = {
        f"mass_{at}": _decay(clicks.ts, latest, hours * _HOUR).sum()
        for at, hours in enumerate(half_lives_hours)
    }
    return clicks.group_by("article").agg(**masses)


def trails(clicks: Expr, config: CovisitationConfig, session_gap_minutes: float, latest: float) -> Expr:
    """Readers' openings in their order, each article once a reader, cut into visits and sessions.

    Args:
        clicks: with reader, article and ts (unix seconds, float64).
        config: pause that ends a visit, half-life of an opening's weight.
        session_gap_minutes: pause that ends a session.
        latest: unix seconds of the log's end, where an opening weighs 1.

    Returns:
        article, weight, place, visit, session; the numbers rise with reader and time.
    """
    once = clicks.group_by(["reader", "article"]).agg(ts=clicks.ts.min())
    of_reader = ibis.window(group_by="reader", order_by=["ts", "article"])
    once = once.mutate(pause=once.ts - once.ts.lag().over(of_reader))
    so_far = ibis.window(order_by=["reader", "ts", "article"], preceding=None, following=0)
    breaks = {"visit": config.visit_gap_hours * _HOUR, "session": session_gap_minutes * 60.0}
    numbers = {
        name: ibis.ifelse(once.pause <= _float(pause), 0, 1).sum().over(so_far)
        for name, pause in breaks.items()
    }
    weight = _decay(once.ts, latest, config.half_life_days * _DAY)
    return once.select("article", weight=weight, place=ibis.row_number().over(so_far), **numbers)


def pairs(found: Expr, config: CovisitationConfig, within: Sequence[str]) -> Expr:
    """Sums of what pairs of openings count, directed: ``earlier`` was read before ``later``.

    Args:
        found: article, weight, place and the columns of ``within``.
        config: reach and closeness.
        within: columns that both openings must share, the widest first; each gives a column of sums.

    Returns:
        earlier, later and a sum for each of ``within``.
    """
    widest, reach = within[0], config.reach
    kept = {name: found[name] for name in within}
    left = found.select(earlier=found.article, place=found.place, block=found.place // reach, **kept)
    # an opening meets those of its own stretch of places and of the next, never a whole long visit
    left = left.union(left.mutate(block=left.block + 1))
    right = found.select(
        later=found.article, weight=found.weight, block=found.place // reach, place=found.place, **kept
    )
    met = left.inner_join(right, [widest, "block"], rname="{name}_later")
    gap = met.place_later - met.place
    met = met.filter((gap >= 1) & (gap <= reach))
    counts = met.weight / gap.cast("float64") ** _float(config.closeness)
    sums = {widest: counts.sum()}
    sums |= {name: counts.sum(where=met[name] == met[f"{name}_later"]) for name in within[1:]}
    return met.group_by("earlier", "later").agg(**sums)


def covisited(found: Trails, size: int, config: CovisitationConfig, clicklog: ClicklogConfig) -> Covisitation:
    """Fit what is read together; a large log is counted by DuckDB, which may use the disk.

    Args:
        found: openings of readers.
        size: number of articles.
        config: of the pairs.
        clicklog: memory of the database.
    """
    model = Covisitation(config)
    if len(found.rows) < LARGE:
        return model.fit(found, size)
    with opened(clicklog.memory_mb) as duck:
        return model.fit_sums(sums_of(duck, found, config), found, size)


def sums_of(duck: Duck, found: Trails, config: CovisitationConfig) -> PairSums:
    """The same sums as ``Covisitation.pair_sums``, counted by DuckDB."""
    columns = {"article": found.rows, "visit": found.visits, "weight": found.weights}
    table = pa.table({**columns, "place": np.arange(len(found.rows))})
    summed = pairs(ibis.memtable(table), config, ("visit",))
    summed = summed.filter(summed.earlier != summed.later)
    backward = summed.select(earlier="later", later="earlier", visit=summed.visit * _float(config.backward))
    both = summed.union(backward)
    counted = duck.columns(both.group_by("earlier", "later").agg(together=both.visit.sum()))
    return PairSums(
        counted["earlier"].astype(np.int64), counted["later"].astype(np.int64), counted["together"]
    )


def _decay(ts: Expr, latest: float, half_life_seconds: float) -> Expr:
    exponent = (ts - _float(latest)) / _float(half_life_seconds)
    return _float(2.0) ** exponent


def _float(value: float) -> Expr:
    return ibis.literal(value, "float64")
