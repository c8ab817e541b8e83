"""Whether a log can tell of a policy at all, and by which estimator: decided before any reward is looked at.

Only propensities are read here. What a log cannot support is refused with the reason, since an importance
weight that never occurs leaves no trace in the estimate or its interval.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from training.ope.estimators import clustered_error, weights_of
from training.ope.lists import Floats, LoggedLists

# the weakest assumption first; each of them is unbiased whatever the model of clicks says
PREFERRED = ("cascade-dr", "item-dr")
MIN_EFFECTIVE_READERS = 100.0
MAX_UNSUPPORTED = 0.01
# standard errors by which the mean weight may miss what it must be
_TOO_FAR = 5.0


@dataclass(frozen=True)
class Support:
    """What propensities tell of one kind of estimator.

    Attributes:
        kind: ``item``, ``cascade`` or ``list``.
        unsupported: share of the judged policy's probability that the log's policy never shows.
        effective_lists: (sum of weights)^2 / sum of squares, at the place where it is least.
        effective_readers: the same with the weights of each reader summed first.
        mean_weight: of lists; where propensities are right it is 1 - ``unsupported``.
        off: by how many standard errors it is not.
        largest_weight: of any place.
        clipped: share of places whose weight is above the cap.
        clipped_weight: share of all weight that lies above it.
    """

    kind: str
    unsupported: float
    effective_lists: float
    effective_readers: float
    mean_weight: float
    off: float
    largest_weight: float
    clipped: float
    clipped_weight: float

    def reasons(self) -> list[str]:
        """Why nothing can be told, in words; none where something can."""
        found = []
        if self.unsupported > MAX_UNSUPPORTED:
            found.append(
                f"{self.kind}: {self.unsupported:.1%} of what the policy would show has a logged propensity "
                f"of 0 (at most {MAX_UNSUPPORTED:.0%}); draw from a larger [randomisation] pool"
            )
        if self.effective_readers < MIN_EFFECTIVE_READERS:
            found.append(
                f"{self.kind}: the log is worth {self.effective_readers:,.1f} readers of the policy "
                f"(at least {MIN_EFFECTIVE_READERS:.0f}); log for longer, or raise [randomisation] share"
            )
        elif self.unsupported <= MAX_UNSUPPORTED and self.off > _TOO_FAR:
            # with few lists an error of rare, high weights says little
            found.append(
                f"{self.kind}: weights average {self.mean_weight:.3f} where they must average "
                f"{1.0 - self.unsupported:.3f}; the propensities are not those of the lists"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def support_of(lists: LoggedLists, kind: str, unsupported: float, cap: float) -> Support:
    """What propensities tell of one kind of estimator.

    Args:
        lists: logged.
        kind: of ``estimators.KINDS``.
        unsupported: see ``Support``.
        cap: of the weights.
    """
    weights, shown = weights_of(lists, kind), lists.shown
    codes = np.unique(lists.readers, return_inverse=True)[1]
    effective = effective_readers = float(len(lists))
    for place in np.flatnonzero(shown.any(axis=0)).tolist():
        there = shown[:, place]
        own = weights[there, place]
        effective = min(effective, _effective(own))
        sums = np.bincount(codes[there], own).astype(np.float64)
        effective_readers = min(effective_readers, _effective(sums))
    mean, off = _mean(lists, weights, kind, unsupported)
    inside = weights[shown]
    over = inside > cap
    lost = float((inside[over] - cap).sum() / max(inside.sum(), 1e-300))
    largest = float(inside.max(initial=0.0))
    return Support(
        kind, unsupported, effective, effective_readers, mean, off, largest, float(over.mean()), lost
    )


def _mean(lists: LoggedLists, weights: Floats, kind: str, unsupported: float) -> tuple[float, float]:
    """The mean weight of lists, and by how many standard errors it misses what it must be."""
    shown = lists.shown
    if kind == "item":
        own = (weights * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    else:
        own = weights[np.arange(len(lists)), shown.sum(axis=1) - 1]
    error, missed = clustered_error(own, lists.readers)[0], abs(own.mean() - (1.0 - unsupported))
    return float(own.mean()), float(missed / max(error, 1e-9))


def _effective(weights: Floats) -> float:
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0


@dataclass
class Choice:
    """By what a policy is estimated, or why not at all.

    Attributes:
        estimator: of ``estimators.ESTIMATORS``; None where nothing can be told.
        rule: why this one.
        reasons: why nothing can be told, or why a preferred one was passed over.
    """

    estimator: str | None
    rule: str
    reasons: list[str] = field(default_factory=list)


def choose(supports: Mapping[str, Support], asked: str | None) -> Choice:
    """The estimator, by support alone.

    Args:
        supports: by kind; a kind that the log cannot tell is missing.
        asked: by the caller, None for the rule.
    """
    if asked is not None:
        kind = asked.split("-")[0]
        if kind not in supports:
            return Choice(None, "asked for", [f"{kind}: the log does not tell the chances that it needs"])
        reasons = supports[kind].reasons()
        return Choice(None if reasons else asked, "asked for", reasons)
    passed_over: list[str] = []
    for name in PREFERRED:
        kind = name.split("-")[0]
        if kind not in supports:
            passed_over.append(f"{kind}: the log does not tell the chances that it needs")
            continue
        reasons = supports[kind].reasons()
        if not reasons:
            return Choice(name, "the weakest assumption that the log supports", passed_over)
        passed_over += reasons
    return Choice(None, "the weakest assumption that the log supports", passed_over)
