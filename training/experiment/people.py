"""Who takes part in an experiment's report, and who is left out by which rule."""

from dataclasses import dataclass, field

import ibis

from recsys.config import ClicklogConfig
from recsys.experiments.definition import Experiment
from recsys.schemas import EVENT_TYPES
from training.bots import find_asking_bots, find_bots
from training.duck import Duck, Expr, believed
from training.experiment.frame import Frame
from training.experiment.hashing import earliest_key, earliest_text, key_of, known_key
from training.experiment.lists import UNKNOWN, once, unit_of

_TYPES = ("view", "click", "impression", "read", "hide")


@dataclass
class People:
    """Readers of an experiment.

    Attributes:
        rows: unit (key), code (of the variant), first (us of the first exposure), device, context (key).
        left_out: readers by why they do not count, each once.
        robots: readers by the rule that tells robots; one may break several.
    """

    rows: Expr
    left_out: dict[str, int] = field(default_factory=dict)
    robots: dict[str, int] = field(default_factory=dict)


def exposed(duck: Duck, lists: Expr) -> Expr:
    """unit, first, low and high (codes of variants), device and context of the first exposure, internal."""
    run = lists.filter(~lists.pre, lists.code != UNKNOWN)
    found = run.group_by("unit").agg(
        first=run.us.min(),
        low=run.code.min(),
        high=run.code.max(),
        device=earliest_text(run.device, run.us),
        context=earliest_key(run.context, run.us),
        internal=run.internal.any(),
    )
    return duck.keep("exposed", found)


def read_events(
    duck: Duck, events: Expr, experiment: Experiment, frame: Frame, units: Expr
) -> tuple[Expr, int]:
    """What readers did: unit, us, type (codes), value, article, request (keys), surface, event (key).

    Args:
        duck: where they are kept.
        events: canonical.
        experiment: whose unit counts.
        frame: nothing outside of history and running time is read.
        units: readers whose events are wanted, (unit).

    Returns:
        Each event once, and how many rows were repeats.
    """
    absent = {"list_id": ibis.null("string")} if "list_id" not in events.columns else {}
    rows = believed(events.mutate(**absent))
    rows = rows.filter(rows.type.isin(_TYPES), rows.us >= frame.history, rows.us < frame.until)
    codes = [(name, EVENT_TYPES.index(name)) for name in _TYPES]
    keyed = rows.select(
        "us",
        "value",
        "surface",
        event=key_of(rows.event_id),
        type=rows.type.cases(*codes).cast("int8"),
        unit=unit_of(rows, experiment.unit),
        article=key_of(rows.article_id),
        request=known_key(ibis.coalesce(rows.request_id, rows.list_id)),
    )
    return once(duck, duck.keep("events", keyed.semi_join(units, "unit")), "event")


def who_counts(duck: Duck, lists: Expr, units: Expr, events: Expr, config: ClicklogConfig) -> People:
    """Readers in one variant who are neither robots nor of the house.

    Args:
        duck: where the rules run.
        lists: of ``read_lists``.
        units: of ``exposed``.
        events: of ``read_events``.
        config: limits of the robots' rules, which are those of training.
    """
    found = People(units)
    _drop(duck, found, "belong to the house (--internal)", units.filter(units.internal))
    _drop(duck, found, "were in more than one variant", units.filter(units.low != units.high))
    asked = lists.filter(~lists.pre).select("us", reader=lists.unit, type=lists.surface)
    opened = events.select("us", "type", reader=events.unit)
    judged = (find_bots(duck, opened, config), find_asking_bots(duck, asked, config))
    for bots in judged:
        found.robots |= bots.reasons
    readers = ibis.union(*(bots.readers for bots in judged)).distinct()
    _drop(duck, found, "are taken for robots", readers.select(unit=readers.reader))
    found.rows = found.rows.select("unit", "first", "device", "context", code=found.rows.low)
    return found


def _drop(duck: Duck, people: People, why: str, units: Expr) -> None:
    gone = duck.number(people.rows.semi_join(units, "unit").count())
    if gone:
        people.rows = duck.keep("people", people.rows.anti_join(units, "unit"))
    people.left_out[why] = gone
