"""How long the stages of a request take, and which of them a short time leaves room for."""

import time
from collections.abc import Mapping

from recsys.slate import OPTIONAL

_SMOOTHING = 0.05


class StageCosts:
    """What each stage took lately: a slowly moving mean and twice its usual deviation, in seconds."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}
        self._spreads: dict[str, float] = {}

    def took(self, stage: str, seconds: float) -> None:
        """Learn from one run of a stage."""
        mean = self._means.get(stage, seconds)
        spread = self._spreads.get(stage, 0.0)
        self._spreads[stage] = spread + _SMOOTHING * (abs(seconds - mean) - spread)
        self._means[stage] = mean + _SMOOTHING * (seconds - mean)

    def of(self, stage: str) -> float:
        """What to expect of a stage; 0 where it never ran."""
        return self._means.get(stage, 0.0) + 2.0 * self._spreads.get(stage, 0.0)

    def means(self) -> Mapping[str, float]:
        """Mean seconds by stage."""
        return self._means


class Stopwatch:
    """Times the stages of one request and leaves optional ones out when its time is short.

    Args:
        costs: is asked what stages take and told what they took.
        started: ``perf_counter`` at which the request began.
        budget: seconds for all of it, None for no limit.

    Attributes:
        stages: (stage, seconds) in the order in which they ran.
        left_out: optional stages for which there was no time.
        candidates: (surface, how many it was chosen from).
    """

    __slots__ = ("_budget", "_costs", "_since", "_stage", "_started", "candidates", "left_out", "stages")

    def __init__(self, costs: StageCosts, started: float, budget: float | None = None) -> None:
        self._costs, self._started, self._budget = costs, started, budget
        self._stage, self._since = "request", started
        self.stages: list[tuple[str, float]] = []
        self.left_out: list[str] = []
        self.candidates: list[tuple[str, int]] = []

    def begins(self, stage: str) -> bool:
        """See ``recsys.slate.Pace``."""
        now = time.perf_counter()
        self._ends(now)
        if self._budget is not None and stage in OPTIONAL:
            left = self._started + self._budget - now
            if left < self._costs.of(stage) + self._costs.of("encoding"):
                self.left_out.append(stage)
                return False
        self._stage = stage
        return True

    def found(self, surface: str, count: int) -> None:
        """See ``recsys.slate.Pace``."""
        self.candidates.append((surface, count))

    def finish(self) -> None:
        """The last stage is over; what was learned is kept for later requests."""
        self._ends(time.perf_counter())
        for stage, seconds in self.stages:
            self._costs.took(stage, seconds)

    def _ends(self, now: float) -> None:
        self.stages.append((self._stage, now - self._since))
        self._stage, self._since = "others", now
