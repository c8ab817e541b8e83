"""The times of a report: history, pre-period, running time, window of an outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from recsys.experiments.definition import Experiment

HISTORY = timedelta(days=28)
_SECOND = 1_000_000


def microseconds(at: datetime) -> int:
    """Unix microseconds of an aware time."""
    return round(at.timestamp() * _SECOND)


@dataclass(frozen=True)
class Frame:
    """Unix microseconds; every span holds its begin and not its end.

    Attributes:
        history: from when on an earlier event makes a reader a returning one.
        pre: begin of the pre-period, which ends with ``start``: as long as the running time, at most 28
            days, so that it tells as much of a reader as the outcome does.
        start: of the experiment.
        until: end of what is looked at.
        window: length of the fixed window after a reader's first exposure.
        visit: length of the time before it that is the same visit, in which nobody is a returning reader.
    """

    history: int
    pre: int
    start: int
    until: int
    window: int
    visit: int = 1_800 * _SECOND

    @classmethod
    def of(cls, experiment: Experiment, until: datetime, started: datetime | None = None) -> "Frame":
        """The times of an experiment.

        Args:
            experiment: the definition.
            until: end of what is looked at; later than the experiment's end says no more.
            started: when it was switched on, if that was later than its planned start.
        """
        start, end = (
            microseconds(max(experiment.start, started or experiment.start)),
            microseconds(min(until, experiment.end)),
        )
        longest = round(HISTORY.total_seconds() * _SECOND)
        running = max(end - start, 0)
        window = round(experiment.outcome_days * 86_400 * _SECOND)
        return cls(start - longest, start - min(running, longest), start, max(end, start), window)

    @property
    def days(self) -> float:
        """Running time in days."""
        return (self.until - self.start) / (86_400 * _SECOND)
