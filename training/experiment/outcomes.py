"""One row for each reader of an experiment: what they did in it, and before it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import ibis

from recsys.config import ClicklogConfig
from recsys.experiments.definition import Experiment
from training.duck import Duck, Expr, canonical, microseconds_of, source
from training.experiment.facts import Facts, read_facts, totals
from training.experiment.frame import Frame
from training.experiment.hashing import key_of
from training.experiment.lists import Lists, read_lists
from training.experiment.metrics import BEFORE, METRICS, WINDOW
from training.experiment.people import People, exposed, read_events, who_counts

_SEEN = "impressions"
_ARTICLE = {"section": "string", "published_at": "timestamp('UTC')"}
_MEASURES: dict[str, tuple[str, str | None]] = {
    "ctr": ("clicks", _SEEN),
    "clicks_per_reader": ("clicks", None),
    "read_seconds_per_reader": ("read_seconds", None),
    "page_views_per_session": ("views", "sessions"),
    "sessions_per_reader": ("sessions", None),
    "diversity": ("sections", "sectioned"),
    "fresh_share": ("fresh", "dated"),
    "latency_ms": ("took_ms", "timed"),
    "fallback_share": ("fallbacks", "exposures"),
    "hides_per_reader": ("hides", None),
}


@dataclass(frozen=True)
class Outcomes:
    """What the statistics of an experiment are made from. Valid while its database is open.

    Attributes:
        experiment: the definition.
        frame: the times.
        table: unit, variant, first_at (unix s), is_new, device, section; of every metric the columns of
            ``metrics.columns_of`` for the running time, with ``w_`` for the window (null where it has not
            ended) and with ``pre_`` for the time before.
        lists, people, facts: what it was made of, with what was left out.
        repeated_events: rows that repeat an event.
        exposures: lists of the readers that count, in the running time.
    """

    experiment: Experiment
    frame: Frame
    table: Expr
    lists: Lists
    people: People
    facts: Facts
    repeated_events: int
    exposures: int

    def measures(self, metric: str) -> tuple[str, str | None]:
        """Measures of the facts that a metric is made of: numerator, denominator."""
        return _measures(metric, self.facts)


@dataclass(frozen=True)
class Log:
    """Canonical tables in a database.

    Attributes:
        events, exposures: see ``training.duck.canonical``.
        articles: article (key), section, published (us), each article once.
    """

    events: Expr
    exposures: Expr
    articles: Expr

    def last_moment(self, duck: Duck) -> datetime | None:
        """The time of the last row; None without rows."""
        found = [duck.arrow(rows.us.max()).as_py() for rows in (self.events, self.exposures)]
        known = [us for us in found if us is not None]
        return datetime.fromtimestamp(max(known) / 1e6, UTC) if known else None


def read_log(duck: Duck, data: Path) -> Log:
    """Open canonical data.

    Raises:
        DataError: it cannot be read.
    """
    events, exposures = (canonical(duck, data, table) for table in ("events", "exposures"))
    return Log(events, exposures, duck.keep("known", _articles(source(duck, data, "articles"))))


def read_outcomes(
    duck: Duck,
    log: Log,
    experiment: Experiment,
    until: datetime,
    config: ClicklogConfig,
    internal: Collection[str] = (),
    started: datetime | None = None,
) -> Outcomes:
    """What the readers of an experiment did.

    Args:
        duck: where everything is kept.
        log: of ``read_log``.
        experiment: whose readers.
        until: nothing at or after this time is looked at, nor after the experiment's end.
        config: limits of robots, pause between sessions.
        internal: user and session ids of the house.
        started: see ``Frame.of``.

    Raises:
        DataError: the data cannot be read.
    """
    frame = Frame.of(experiment, until, started)
    lists = read_lists(duck, log.exposures, experiment, frame, internal)
    units = exposed(duck, lists.rows)
    events, repeated = read_events(duck, log.events, experiment, frame, units)
    people = who_counts(duck, lists.rows, units, events, config)
    facts = read_facts(duck, lists.rows, people.rows, events, log.articles, frame, config.session_gap_minutes)
    served = facts.tables["lists"]
    table = _table(duck, experiment, frame, people.rows, facts, events, log.articles)
    exposures = duck.number(served.filter(~served.pre).count())
    return Outcomes(experiment, frame, table, lists, people, facts, repeated, exposures)


def _articles(rows: Expr) -> Expr:
    absent = {name: ibis.null(kind) for name, kind in _ARTICLE.items() if name not in rows.columns}
    rows = rows.mutate(**absent)
    found = rows.select(
        "section", article=key_of(rows.article_id), published=microseconds_of(rows.published_at)
    )
    return found.group_by("article").agg(section=found.section.max(), published=found.published.max())


def _table(
    duck: Duck, experiment: Experiment, frame: Frame, people: Expr, facts: Facts, events: Expr, articles: Expr
) -> Expr:
    wide = _with_traits(people, events, articles, frame)
    for name, sums in totals(facts, people, frame):
        wide = wide.left_join(duck.keep(f"sums_{name}", sums), "unit", rname="again_{name}").drop(
            "again_unit"
        )
    ended = wide["first"] + frame.window <= frame.until
    columns = {}
    for prefix in ("", WINDOW, BEFORE):
        for metric in METRICS:
            for end, measure in zip(("num", "den"), _measures(metric, facts), strict=True):
                if measure is not None:
                    value = wide[prefix + measure].fill_null(0.0)
                    known = ibis.ifelse(ended, value, ibis.null("float64")) if prefix == WINDOW else value
                    columns[f"{prefix}{metric}__{end}"] = known
    names = [(at, variant.name) for at, variant in enumerate(experiment.variants)]
    return duck.keep(
        "readers",
        wide.select(
            "unit",
            "is_new",
            "device",
            "section",
            variant=wide.code.cases(*names),
            first_at=wide["first"].cast("float64") / ibis.literal(1e6, "float64"),
            **columns,
        ),
    )


def _measures(metric: str, facts: Facts) -> tuple[str, str | None]:
    top, below = _MEASURES[metric]
    if below == _SEEN:
        below = "seen" if facts.impressions else "items"
    return top, below


def _with_traits(people: Expr, events: Expr, articles: Expr, frame: Frame) -> Expr:
    """Readers with is_new and section. What came shortly before the first exposure is the same visit."""
    met = events.inner_join(people.select("unit", "first"), "unit")
    known = met.filter(met.us < met["first"] - frame.visit).select("unit").distinct()
    old = known.mutate(old=True)
    joined = people.left_join(old, "unit", rname="old_{name}").left_join(
        articles, people.context == articles.article
    )
    return joined.select("unit", "code", "first", "device", "section", is_new=joined.old.isnull())
