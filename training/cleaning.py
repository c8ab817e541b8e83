"""Take out of a log what is no reading: repeats, robots, impossible times; each with its count."""

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys.config import ClicklogConfig
from recsys.errors import DataError
from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES
from training.bots import Bots, find_bots
from training.duck import Duck, Expr, believed, hash_of
from training.readers import EventLog, trust_of

SECOND = 1_000_000
_DAY = 86_400 * SECOND
_OF_A_LIST = [EVENT_TYPES.index("click"), EVENT_TYPES.index("impression")]


class Cleaning:
    """Events of one log, from which one rule after the other takes some.

    Args:
        duck: where it runs.
        events: canonical, with ``reader`` and ``us``.
        config: the limits.
        now: unix microseconds; what is dated more than a day later goes. None: any time is possible.

    Attributes:
        events: what is left: row, event_id, us, type, article and reader (codes), request_id, list_id,
            surface, value, trust.
        total: events at first.
        removed: how many events each rule took.
        bots: who was left out.

    Raises:
        DataError: an event has a type that is none.
    """

    def __init__(self, duck: Duck, events: Expr, config: ClicklogConfig, now: int | None) -> None:
        self._duck, self._config = duck, config
        self.removed: dict[str, int] = {}
        self._articles = _codes(duck, events, "article_id")
        self._readers = _codes(duck, events, "reader")
        self.events = duck.keep("events", self._coded(events))
        self.total = duck.number(self.events.count())
        self._drop("repeat an event id", self._repeated_ids())
        if now is not None:
            self._drop("are dated in the future", self.events.filter(self.events.us > now + _DAY))
        # before repeats go, which would hide a robot that reloads one page
        self.bots: Bots = find_bots(duck, self.events, config)
        self._drop("come from robots", self.events.semi_join(self.bots.readers, "reader"))
        self._drop(f"repeat within {config.repeat_seconds:g} s", self._repeats())

    def _coded(self, events: Expr) -> Expr:
        """Numbers instead of names, and the row's place in the files."""
        types = ibis.memtable(pa.table({"name": EVENT_TYPES, "type": range(len(EVENT_TYPES))}))
        unknown = events.anti_join(types, events.type == types.name).select("type").limit(1)
        for wrong in self._duck.arrow(unknown).to_pylist():
            raise DataError(
                f"an event has the type {wrong['type']!r}; allowed are {', '.join(EVENT_TYPES)}; "
                "'recsys validate' lists every defect"
            )
        kept = ("event_id", "us", "request_id", "list_id", "surface", "value", "trust")
        rows = events.select(
            *kept, "article_id", name=events.type, reader_name=events.reader, row=ibis.row_number()
        )
        found = rows.inner_join(types, "name").inner_join(self._articles, "article_id")
        found = found.inner_join(self._readers, rows.reader_name == self._readers.reader)
        return found.select(*kept, "row", "type", article="article_id_code", reader="reader_code")

    def _drop(self, why: str, rows: Expr) -> None:
        gone = self._duck.keep(f"gone_{len(self.removed)}", rows.select("row"))
        self.removed[why] = self._duck.number(gone.count())
        if self.removed[why]:
            self.events = self.events.anti_join(gone, "row")

    def _repeated_ids(self) -> Expr:
        """All but the first row, by time, of each event id."""
        events = self.events.mutate(hashed=self.events.event_id.hash())
        counted = events.group_by("hashed").agg(n=events.count())
        several = events.semi_join(counted.filter(counted.n > 1), "hashed")
        first = ibis.window(group_by="event_id", order_by=["us", "row"])
        placed = several.mutate(place=ibis.row_number().over(first))
        return placed.filter(placed.place > 0)

    def _repeats(self) -> Expr:
        """Events soon after one like it; a click or an impression is like another in the same list only."""
        events = self.events
        place = ibis.coalesce(events.request_id, events.list_id, "") + "/" + ibis.coalesce(events.surface, "")
        where = ibis.ifelse(events.type.isin(_OF_A_LIST), place, "")
        # what is not trusted does not stand in for what is
        where = ibis.ifelse(ibis.coalesce(events.trust, 1.0) > 0, "", "doubted ") + where
        numbers = (events[name].cast("int64") for name in ("reader", "article", "type"))
        alike = events.select("row", "us", key=hash_of(*numbers, where))
        before = alike.us.lag().over(ibis.window(group_by="key", order_by=["us", "row"]))
        alike = alike.mutate(pause=alike.us - before)
        return alike.filter(alike.pause <= round(self._config.repeat_seconds * SECOND))

    def bot_names(self) -> Expr:
        """(reader) names of the robots."""
        return self._readers.semi_join(
            self.bots.readers, self._readers.reader_code == self.bots.readers.reader
        )

    def named(self) -> Expr:
        """Clicks and readings with names, as attribution takes them; only those that are trusted."""
        wanted = {EVENT_TYPES.index(name): name for name in ("click", "read")}
        events = believed(self.events).filter(self.events.type.isin(list(wanted)))
        events = events.mutate(type=events.type.cases(*wanted.items()), reader_code=events.reader)
        found = events.drop("reader").inner_join(self._readers, "reader_code")
        return found.inner_join(self._articles, found.article == self._articles.article_id_code)

    def log(self) -> EventLog:
        """What is left, by time and then by event id."""
        ordered = self.events.order_by("us", "event_id", "row")
        ordered = ordered.mutate(trust=ibis.coalesce(ordered.trust, 1.0).cast("float64"))
        found = self._duck.columns(ordered.select("us", "type", "article", "reader", "value", "trust"))
        used, articles = np.unique(found["article"], return_inverse=True)
        names = self._names(self._articles, "article_id")
        return EventLog(
            found["us"] / SECOND,
            found["type"].astype(np.uint8),
            articles.astype(np.int32),
            self.reader_keys()[found["reader"]] if len(found["us"]) else np.zeros(0, np.uint64),
            found["value"].astype(np.float64),
            [names[code] for code in used.tolist()],
            trust_of(found["trust"].astype(np.float64)),
        )

    def reader_keys(self) -> NDArray[np.uint64]:
        """Keys of the readers, by code."""
        return np.array([reader_key(name) for name in self._names(self._readers, "reader")], dtype=np.uint64)

    def _names(self, codes: Expr, column: str) -> list[Any]:
        return self._duck.arrow(codes.order_by(f"{column}_code")).column(column).to_pylist()  # type: ignore[no-any-return]


def _codes(duck: Duck, events: Expr, column: str) -> Expr:
    """A table of the different values of a column and their codes, 0, 1, ... in their order."""
    names = events.select(column).distinct()
    code = ibis.row_number().over(ibis.window(order_by=column))
    return duck.keep(f"codes_{column}", names.mutate(**{f"{column}_code": code}))
