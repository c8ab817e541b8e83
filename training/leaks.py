"""Does a feature know what it cannot know? Features recomputed on a log without its future.

A feature of a list that was served at t may rest on events before t less the serving lag, and on
nothing else. So it must keep every byte when all later events are deleted, and when the labels of
this list and of later ones are exchanged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES, Event, Exposure
from training.attribution import Labels
from training.readers import EventLog


@dataclass(frozen=True)
class Log:
    """What was logged, in any order."""

    events: Sequence[Event]
    exposures: Sequence[Exposure]

    def event_log(self) -> EventLog:
        """The events as arrays, by time and then by id."""
        events = sorted(self.events, key=lambda event: (event.ts, event.event_id))
        ids = {event.article_id: 0 for event in events}
        code_of = {name: code for code, name in enumerate(ids)}
        return EventLog(
            np.array([event.ts.timestamp() for event in events], dtype=np.float64),
            np.array([EVENT_TYPES.index(event.type) for event in events], dtype=np.uint8),
            np.array([code_of[event.article_id] for event in events], dtype=np.int32),
            np.array([reader_key(event.reader) for event in events], dtype=np.uint64),
            np.array([np.nan if event.value is None else event.value for event in events], dtype=np.float64),
            list(ids),
        )

    def labels(self) -> Labels:
        """Clicked articles of each list, each of weight 1."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        for event in self.events:
            if event.type == "click" and event.request_id is not None:
                key = (event.request_id, event.surface or "for_you")
                found.setdefault(key, {})[event.article_id] = 1.0
        return Labels(found)

    def until(self, ts: float, kept: Exposure) -> "Log":
        """Only what happened before ``ts`` (unix seconds), and the list ``kept`` itself."""
        return Log(
            [event for event in self.events if event.ts.timestamp() < ts],
            [served for served in self.exposures if served.ts.timestamp() < ts or served is kept],
        )

    def relabelled(self, ts: float, seed: int) -> "Log":
        """Clicks from ``ts`` (unix seconds) on moved to another article of their list."""
        rng = np.random.default_rng(seed)
        listed = {
            (served.request_id, served.surface): [item.article_id for item in served.items]
            for served in self.exposures
        }

        def moved(event: Event) -> Event:
            if event.type != "click" or event.request_id is None or event.ts.timestamp() < ts:
                return event
            others = listed.get((event.request_id, event.surface or "for_you"), [])
            others = [name for name in others if name != event.article_id]
            return event.model_copy(update={"article_id": str(rng.choice(others))}) if others else event

        return replace(self, events=[moved(event) for event in self.events])


Compute = Callable[[Log, Exposure], NDArray[np.float64]]
"""(n, f) features of the items of a list, given what a log holds."""


@dataclass(frozen=True)
class Leak:
    """A feature that knew too much.

    Attributes:
        feature: its name.
        request_id: list at which it was seen.
        seen: "future", where deleting later events changed it, or "labels", where moving clicks did.
    """

    feature: str
    request_id: str
    seen: str


def find_leaks(
    compute: Compute,
    log: Log,
    judged: Sequence[Exposure],
    names: Sequence[str],
    lag_seconds: float,
    seed: int = 0,
) -> list[Leak]:
    """Features that change when what they must not know is taken away.

    Args:
        compute: the features; called with whole, cut and relabelled logs.
        log: whole.
        judged: lists of it.
        names: of the f features.
        lag_seconds: how much older than a list its events must be.
        seed: of the exchange of labels.
    """
    found = []
    for served in judged:
        horizon = served.ts.timestamp() - lag_seconds
        whole = compute(log, served)
        others = (
            ("future", log.until(horizon, served)),
            ("labels", log.relabelled(horizon, seed)),
        )
        for seen, other in others:
            again = compute(other, served)
            found += [
                Leak(name, served.request_id, seen)
                for column, name in enumerate(names)
                if whole[:, column].tobytes() != again[:, column].tobytes()
            ]
    return found
