"""The click log that training believes: repeats, robots and impossible times out, clicks attributed.

Cleaning is for learning only. Serving counts what comes, under its own bounds, and an evaluation judges
every list of the data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.config import Config
from recsys.profile import reader_key
from recsys.schemas import Exposure
from training.attribution import Attributed, Labels, attribute, shown_items
from training.cleaning import SECOND, Cleaning
from training.counting import sessions
from training.duck import Duck, Expr, canonical, opened
from training.readers import EventLog
from training.served import Served

_SHOWN_NAMES = 3


@dataclass(frozen=True)
class ClickLog:
    """A cleaned log.

    Attributes:
        log: events in time order, for the counters.
        exposures: served lists in time order, each (request_id, surface) once, none of a robot; the
            latest ``max_lists``.
        labels: what was clicked in which list.
        bots: keys of readers that were left out.
        notes: what was removed and why, what was attributed, for people.
    """

    log: EventLog
    exposures: list[Exposure]
    labels: Labels
    bots: frozenset[int]
    notes: list[str]


def read_click_log(
    data: Path,
    config: Config,
    published: Mapping[str, float],
    *,
    until: float = np.inf,
    now: float = np.inf,
) -> ClickLog:
    """Clean the events of canonical data and attribute its clicks.

    Args:
        data: folder of canonical data.
        config: ``[clicklog]``.
        published: of each article of the catalogue, unix seconds, NaN where unknown.
        until: unix seconds; nothing later is looked at, so that nothing later can leak.
        now: unix seconds; what is dated more than a day later is left out.

    Raises:
        DataError: the data cannot be read.
    """
    with opened(config.clicklog.memory_mb) as duck:
        events, lists = (_until(canonical(duck, data, table), until) for table in ("events", "exposures"))
        cleaning = Cleaning(duck, events, config.clicklog, None if np.isinf(now) else round(now * SECOND))
        served = Served(duck, lists, cleaning.bot_names(), config.clicklog.max_lists)
        attributed = attribute(duck, cleaning.named(), served.believed, config.clicklog)
        log = cleaning.log()
        notes = [
            *_told_of_cleaning(cleaning),
            *_told_of_events(duck, cleaning, log, published, config),
            *_told_of_lists(duck, served, attributed),
        ]
        bots = duck.arrow(cleaning.bot_names()).column("reader").to_pylist()
        exposures = served.exposures(data)
    return ClickLog(log, exposures, attributed.labels, frozenset(map(reader_key, bots)), notes)


def _until(rows: Expr, until: float) -> Expr:
    return rows if np.isinf(until) else rows.filter(rows.us <= round(until * SECOND))


def _told_of_cleaning(cleaning: Cleaning) -> Iterator[str]:
    removed = {why: count for why, count in cleaning.removed.items() if count}
    if removed:
        parts = ", ".join(f"{count:,} {why}" for why, count in removed.items())
        yield f"of {cleaning.total:,} events {sum(removed.values()):,} are left out: {parts}"
    for rule, readers in sorted(cleaning.bots.reasons.items()):
        yield f"taken for robots: {readers:,} readers with {rule} ([clicklog] has the limits)"


def _told_of_events(
    duck: Duck, cleaning: Cleaning, log: EventLog, published: Mapping[str, float], config: Config
) -> Iterator[str]:
    if len(log) == 0:
        yield "the log holds no event: lists rest on content and freshness alone"
        return
    unknown = [name for name in log.article_ids if name not in published]
    if len(unknown) == len(log.article_ids):
        names = ", ".join(map(repr, unknown[:_SHOWN_NAMES]))
        yield (
            f"none of the {len(unknown):,} articles in the log stands in the catalogue (it has {names}): "
            "it is the log of another catalogue, and lists rest on content and freshness alone; train on the "
            "articles and the log of one site"
        )
    elif unknown:
        yield (
            f"{len(unknown):,} of {len(log.article_ids):,} articles in the log are not in the catalogue: "
            "counted, and never listed until they arrive"
        )
    readers = len(np.unique(log.readers))
    if readers == 1:
        yield "the whole log is of one reader: what is popular is what this reader opened"
    first = np.array([published.get(name, np.nan) for name in log.article_ids])
    early = int(np.count_nonzero(log.ts < first[log.articles]))
    if early:
        yield (
            f"{early:,} events lie before their article was published (wrong clocks, or articles dated "
            "anew); they are counted as they stand"
        )
    count = duck.number(sessions(cleaning.events, config.clicklog.session_gap_minutes))
    yield f"{len(log):,} events of {readers:,} readers in {count:,} sessions are learned from"


def _told_of_lists(duck: Duck, served: Served, attributed: Attributed) -> Iterator[str]:
    if served.robots:
        yield f"{served.robots:,} of {served.total:,} served lists were served to robots and are left out"
    if served.repeats:
        yield f"{served.repeats:,} of {served.total:,} served lists repeat an earlier one and are left out"
    if served.older:
        yield (
            f"the latest {served.once - served.older:,} of {served.once:,} served lists are learned from "
            "(clicklog.max_lists); older ones would take memory"
        )
    clicked = sum(len(chosen) for chosen in attributed.labels.values())
    if served.once and not clicked:
        yield f"no click belongs to any of the {served.once:,} served lists: they teach nothing"
    elif clicked and 2 * clicked >= served.items:
        shown = shown_items(served.believed).select("request_id", "surface", "article_id").distinct()
        if duck.number(shown.count()) == clicked:
            yield f"all {clicked:,} shown articles were clicked: without others beside them they say nothing"
    if attributed.found or attributed.lost:
        ways = [f"{count:,} by {how}" for how, count in sorted(attributed.found.items())]
        yield f"clicks found their list: {', '.join(ways) or 'none'}; {attributed.lost:,} belong to no list"
    if attributed.read:
        yield (
            f"{attributed.read:,} of {clicked:,} clicked articles have a reading (median "
            f"{attributed.median_seconds:.0f} s) and are weighted by it"
        )
