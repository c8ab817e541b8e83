"""Readers that are no people: stated rules, each with a key in ``[clicklog]``.

Openings are counted, not lists or impressions; a view and the click that led to it are one, so each
kind is counted alone and the larger count is held against the rule. A log may give one time to all
clicks of a list (as MIND does), so speed is told by different moments.
"""

from dataclasses import dataclass

import ibis

from recsys.config import ClicklogConfig
from recsys.schemas import EVENT_TYPES
from training.duck import Duck, Expr

_OPENED = [EVENT_TYPES.index("view"), EVENT_TYPES.index("click")]
_MINUTE = 60_000_000


@dataclass(frozen=True)
class Bots:
    """Who was left out.

    Attributes:
        readers: (reader) codes as a table of the database.
        reasons: number of readers by rule; a reader may break several.
    """

    readers: Expr
    reasons: dict[str, int]

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return any(self.reasons.values())


def find_bots(duck: Duck, events: Expr, config: ClicklogConfig) -> Bots:
    """Apply the rules.

    Args:
        duck: where they run.
        events: with reader, type (codes) and us.
        config: the limits.
    """
    return _judged(duck, events.filter(events.type.isin(_OPENED)), config, "opening")


def find_asking_bots(duck: Duck, lists: Expr, config: ClicklogConfig) -> Bots:
    """The same rules for served lists, since a robot may ask without ever telling what it opened.

    Args:
        duck: where they run.
        lists: with reader, type (the surface: a page asks for several lists at once) and us.
        config: the limits.
    """
    return _judged(duck, lists, config, "asking")


def _judged(duck: Duck, opened: Expr, config: ClicklogConfig, what: str) -> Bots:
    # who has few in all cannot have many in a minute; most readers are passed over by one cheap count
    counted = opened.group_by("reader").agg(n=opened.count())
    least = min(config.bot_openings_minute, config.bot_openings_hour, config.bot_openings_day)
    busy = opened.semi_join(counted.filter(counted.n > least), "reader")
    rules = {
        f"more than {config.bot_openings_minute} moments of {what} in a minute": _moments(busy, config),
        f"more than {config.bot_openings_hour} {what}s in an hour": _most(
            busy, 60 * _MINUTE, config.bot_openings_hour
        ),
        f"more than {config.bot_openings_day} {what}s in a day": _most(
            busy, 1440 * _MINUTE, config.bot_openings_day
        ),
        f"more than {config.bot_share:.0%} of all {what}s": _share(opened, config),
    }
    broken = [who.select("reader").mutate(rule=ibis.literal(rule)) for rule, who in rules.items()]
    kept = duck.keep("bots", ibis.union(*broken).distinct())
    counted = duck.arrow(kept.group_by("rule").agg(readers=kept.count())).to_pylist()
    return Bots(kept.select("reader").distinct(), {row["rule"]: row["readers"] for row in counted})


def _most(opened: Expr, span: int, limit: int) -> Expr:
    """Readers with too many openings of one kind in a span of microseconds."""
    counted = opened.group_by(opened.reader, opened.type, span=opened.us // span).agg(n=opened.count())
    return counted.filter(counted.n > limit)


def _moments(opened: Expr, config: ClicklogConfig) -> Expr:
    """Readers with too many different times of opening in a minute."""
    # most minutes hold few openings, and counting what is different is the dear part
    minute = opened.us // _MINUTE
    full = opened.group_by(opened.reader, minute=minute).agg(n=opened.count())
    full = full.filter(full.n > config.bot_openings_minute)
    inside = opened.mutate(minute=minute).semi_join(full, ["reader", "minute"])
    counted = inside.group_by(["reader", "minute"]).agg(n=inside.us.nunique())
    return counted.filter(counted.n > config.bot_openings_minute)


def _share(opened: Expr, config: ClicklogConfig) -> Expr:
    """Readers who hold too much of a log that has many others."""
    counted = opened.group_by("reader").agg(n=opened.count())
    everyone = ibis.window()
    counted = counted.mutate(readers=counted.count().over(everyone), total=counted.n.sum().over(everyone))
    return counted.filter(
        counted.readers >= config.bot_share_readers,
        counted.n > config.bot_share_openings,
        counted.n.cast("float64") > config.bot_share * counted.total.cast("float64"),
    )
