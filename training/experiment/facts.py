"""What is counted, as rows of a reader at a moment: lists, what stood in them, clicks, seen, site, reading.

A fact table has unit, us, pre (before the experiment's start) and its measures. What a reader did between
the start and the page of the first exposure belongs to neither period.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import ibis

from recsys.schemas import EVENT_TYPES
from training.counting import with_sessions
from training.duck import Duck, Expr
from training.experiment.frame import Frame
from training.experiment.hashing import bits_in

_VIEW, _CLICK, _IMPRESSION, _READ, _HIDE = (
    EVENT_TYPES.index(name) for name in ("view", "click", "impression", "read", "hide")
)
_MINUTE = 60_000_000
_DAY = 1440 * _MINUTE
CLICK_WINDOW = 30 * _MINUTE
SKEW = 5 * _MINUTE
# a page may be told of a moment before its lists are; without it, who leaves at once would have no session,
# and a list that makes some of them stay would seem to shorten sessions
PAGE = _MINUTE
_BITS = 62


@dataclass
class Facts:
    """Fact tables by name, and what was noticed on the way.

    Attributes:
        tables: name to rows.
        lists: of ``read_lists``, of the readers that count.
        impressions: whether any list of the running time has impressions.
        views: whether the log has views; else clicks stand for them.
        skewed: clicks and impressions dated up to 5 minutes before their list, which count.
        early: those dated earlier, which do not.
        late: clicks later than 30 minutes, which do not.
        between: events between the start and the reader's first exposure.
    """

    lists: Expr
    tables: dict[str, Expr] = field(default_factory=dict)
    impressions: bool = False
    views: bool = True
    skewed: int = 0
    early: int = 0
    late: int = 0
    between: int = 0

    def measure(self, name: str) -> Expr:
        """unit, us, pre and the ``value`` of one measure."""
        table = next(rows for rows in self.tables.values() if name in rows.columns)
        return table.select("unit", "us", "pre", value=table[name].cast("float64"))


def read_facts(
    duck: Duck, lists: Expr, people: Expr, events: Expr, articles: Expr, frame: Frame, gap_minutes: float
) -> Facts:
    """All fact tables.

    Args:
        duck: where they are kept.
        lists: of ``read_lists``; those of other readers are passed over.
        people: unit, first.
        events: of ``read_events``.
        articles: article (key), section, published (us).
        frame: times.
        gap_minutes: the longest pause within a session.
    """
    theirs = lists.semi_join(people, "unit").filter(lists.pre | (lists.code >= 0))
    theirs = duck.keep("theirs", theirs)
    found = Facts(theirs)
    found.tables["lists"] = _served(theirs)
    found.tables["contents"] = duck.keep("contents", _contents(duck, theirs, articles))
    for name, kind in (("clicks", _CLICK), ("seen", _IMPRESSION)):
        found.tables[name] = _attributed(duck, found, theirs, events.filter(events.type == kind), name)
    seen = found.tables["seen"]
    found.impressions = duck.number(seen.filter(~seen.pre).count()) > 0
    mine = events.inner_join(people.select("unit", "first"), "unit").mutate(pre=events.us < frame.start)
    begun = mine.us >= mine["first"] - PAGE
    between = mine.filter(~mine.pre, ~begun)
    found.between = duck.number(between.count())
    inside = mine.filter((mine.us >= frame.pre) & mine.pre | (~mine.pre & begun))
    found.views = duck.number(inside.filter(inside.type == _VIEW).count()) > 0
    found.tables["site"] = duck.keep("site", _visits(inside, gap_minutes, found.views))
    found.tables["reading"] = _reading(inside)
    return found


def _served(lists: Expr) -> Expr:
    timed = lists.took_ms.notnull()
    return lists.select(
        "unit",
        "us",
        "pre",
        exposures=ibis.literal(1),
        items=lists.articles.length(),
        timed=timed.cast("int64"),
        took_ms=ibis.coalesce(lists.took_ms, 0.0),
        fallbacks=lists.fallback.cast("int64"),
    )


def _contents(duck: Duck, lists: Expr, articles: Expr) -> Expr:
    """Of each list: articles with a section, distinct sections, dated articles, those under 24 hours old."""
    known = duck.keep("articles", _with_bits(articles))
    words = duck.number(known.word.max()) + 1
    one = lists.select("list", "unit", "us", "pre", article=lists.articles.unnest())
    shown = one.inner_join(known, "article")
    age = shown.us - shown.published
    bits = {f"word_{at}": ibis.coalesce(shown.bit.bit_or(where=shown.word == at), 0) for at in range(words)}
    counted = shown.group_by("list").agg(
        unit=shown.unit.max(),
        us=shown.us.max(),
        pre=shown.pre.max(),
        sectioned=shown.word.notnull().cast("int64").sum(),
        dated=(age >= 0).fill_null(False).cast("int64").sum(),
        fresh=((age >= 0) & (age < _DAY)).fill_null(False).cast("int64").sum(),
        **bits,
    )
    sections = sum(bits_in(counted[name]).cast("int64") for name in bits)
    return counted.select("unit", "us", "pre", "sectioned", "dated", "fresh", sections=sections)


def _with_bits(articles: Expr) -> Expr:
    """Sections as bits of words, so that the distinct ones of a list are one OR and a count of bits."""
    names = articles.filter(articles.section.notnull()).select("section").distinct()
    names = names.mutate(at=ibis.row_number().over(ibis.window(order_by="section")))
    bit = ibis.literal(1, "int64") << (names.at % _BITS).cast("int64")
    coded = names.select("section", word=names.at // _BITS, bit=bit)
    return articles.left_join(coded, "section").select("article", "published", "word", "bit")


def _attributed(duck: Duck, found: Facts, lists: Expr, events: Expr, name: str) -> Expr:
    """Clicks or impressions of an article in the reader's own list, each article of a list once."""
    served = lists.select(
        "list", "request", "unit", "pre", "articles", served=lists.us, shown_on=lists.surface
    )
    met = events.inner_join(served, ["request", "unit"])
    met = met.filter(met.surface.isnull() | (met.surface == met.shown_on), met.articles.contains(met.article))
    met = duck.keep(
        f"met_{name}", met.select("list", "unit", "pre", "article", "served", pause=met.us - met.served)
    )
    in_time = met.pause >= -SKEW
    found.early += duck.number(met.filter(~in_time, ~met.pre).count())
    if name == "clicks":
        found.late = duck.number(met.filter(met.pause > CLICK_WINDOW, ~met.pre).count())
        in_time &= met.pause <= CLICK_WINDOW
    met = met.filter(in_time)
    each = met.group_by("list", "article").agg(
        unit=met.unit.max(), pre=met.pre.max(), us=met.served.max(), pause=met.pause.max()
    )
    each = duck.keep(name, each)
    found.skewed += duck.number(each.filter(each.pause < 0, ~each.pre).count())
    return each.select("unit", "us", "pre", **{name: ibis.literal(1)})


def _visits(inside: Expr, gap_minutes: float, views: bool) -> Expr:
    opened = inside.filter(inside.type.isin([_VIEW, _CLICK])).select("unit", "us", "pre", "type")
    visited = with_sessions(opened, gap_minutes, "unit", "pre")
    pages = visited.type == (_VIEW if views else _CLICK)
    return visited.select(
        "unit", "us", "pre", views=pages.cast("int64"), sessions=visited.begins.cast("int64")
    )


def _reading(inside: Expr) -> Expr:
    rows = inside.filter(inside.type.isin([_READ, _HIDE]))
    seconds = ibis.ifelse(rows.type == _READ, ibis.greatest(ibis.coalesce(rows.value, 0.0), 0.0), 0.0)
    return rows.select("unit", "us", "pre", read_seconds=seconds, hides=(rows.type == _HIDE).cast("int64"))


def totals(facts: Facts, people: Expr, frame: Frame) -> Iterator[tuple[str, Expr]]:
    """Of each fact table the sums of each reader: NAME, ``w_NAME`` (fixed window), ``pre_NAME``."""
    for name, rows in facts.tables.items():
        measures = [column for column in rows.columns if column not in ("unit", "us", "pre")]
        joined = rows.inner_join(people.select("unit", "first"), "unit")
        soon = ~joined.pre & (joined.us < joined["first"] + frame.window)
        when: Mapping[str, Expr] = {"": ~joined.pre, "w_": soon, "pre_": joined.pre}
        sums = {
            f"{prefix}{measure}": joined[measure].cast("float64").sum(where=where)
            for prefix, where in when.items()
            for measure in measures
        }
        yield name, joined.group_by("unit").agg(**sums)
