"""What to do with an experiment, by rules that are fixed before its result is seen.

In this order, the first that applies decides:

1. *Sample ratio*: readers do not stand in the planned proportion -> ``broken``. Nothing else is judged.
2. *Nobody*: no reader yet -> ``keep_running``; at the planned end -> ``broken``.
3. Each variant by itself: a guardrail that is harmed beyond its margin, or a primary metric that is worse ->
   ``dont_ship``. A primary metric that is better, by what may be worth it, with no guardrail shown to be
   harmed -> ``ship``. One that cannot be better by the smallest effect worth finding -> ``dont_ship``.
   Everything else: before the planned end ``keep_running``, at the end ``dont_ship``.
4. Of several variants the best that may ship is shipped; while one is undecided the experiment goes on.

At the planned end the interval for one look judges, corrected for the number of variants. Before it only the
always-valid one does, since looking early is why that exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recsys.experiments.definition import Experiment
from training.experiment.metrics import METRICS
from training.experiment.results import Decision, Interval, MetricResult, SampleRatio, Verdict

Guarded = Literal["harmed", "suspect", "open", "safe", "unknown"]


@dataclass(frozen=True)
class _Side:
    """The verdict on one variant."""

    variant: str
    decision: Decision
    rule: str
    reasons: list[str]
    gain: float = 0.0


def decide(
    results: Sequence[MetricResult], ratio: SampleRatio, experiment: Experiment, ended: bool
) -> Verdict:
    """The verdict with the rule that led to it and reasons in words.

    Args:
        results: of ``estimates``.
        ratio: of ``sample_ratio``.
        experiment: its definition.
        ended: the planned end is reached.
    """
    if ratio.failed:
        advice = "Find what loses or adds readers on one side before trusting any metric."
        return Verdict("broken", "sample ratio", [f"{ratio.note} {advice}"])
    if not sum(ratio.counts.values()):
        if not ended:
            return Verdict("keep_running", "no readers", [ratio.note])
        told = (
            "The experiment has reached its planned end and no reader ever saw its lists: check that it ran."
        )
        return Verdict("broken", "no readers", [told])
    sides = [_side(results, experiment, variant.name, ended) for variant in experiment.variants[1:]]
    return _together(sides)


def guarded(result: MetricResult, margin: float, ended: bool) -> Guarded:
    """How a guardrail stands, by the interval that may be read now.

    Args:
        result: of the guardrail.
        margin: relative harm that is tolerated.
        ended: the planned end is reached.

    Returns:
        ``harmed``: by more than the margin, certainly; ``suspect``: harmed, and by more than the margin for
        all that is known; ``open``: harm beyond the margin is neither shown nor excluded; ``safe``: it is
        excluded; ``unknown``: there is no interval.
    """
    interval = _relative(result, ended)
    if interval is None:
        return "unknown"
    low, high = interval if METRICS[result.name].higher_is_better else (-interval[1], -interval[0])
    if high < -margin:
        return "harmed"
    if low >= -margin:
        return "safe"
    return "suspect" if high < 0 else "open"


def _together(sides: Sequence[_Side]) -> Verdict:
    for decision in ("ship", "keep_running", "dont_ship"):
        found = [side for side in sides if side.decision == decision]
        if found:
            best = max(found, key=lambda side: side.gain)
            others = [side for side in sides if side is not best]
            reasons = [*best.reasons, *(f"{side.variant}: {side.reasons[0]}" for side in others)]
            if len(sides) > 1:
                reasons[0] = f"{best.variant}: {reasons[0]}"
            return Verdict(best.decision, best.rule, reasons, best.variant if decision == "ship" else None)
    raise AssertionError("an experiment has a variant besides its control")


def _side(results: Sequence[MetricResult], experiment: Experiment, variant: str, ended: bool) -> _Side:
    own = {result.name: result for result in results if result.variant == variant}
    margins = {guardrail.metric: guardrail.margin for guardrail in experiment.guardrails}
    states = {
        name: guarded(own[name], margin, ended)
        for name, margin in margins.items()
        if name in own and own[name].role == "guardrail"
    }
    notes = [_guardrail_told(own[name], state, margins[name], ended) for name, state in states.items()]
    missing = [name for name in margins if name not in own]
    notes += [
        f"{METRICS[name].title.capitalize()} could not be computed, so it guards nothing." for name in missing
    ]
    harmed = [name for name, state in states.items() if state == "harmed"]
    if harmed:
        at = list(states).index(harmed[0])
        return _Side(variant, "dont_ship", "guardrail harmed", [notes.pop(at), *notes])
    side = _by_primary(own.get(experiment.primary_metric), experiment, variant, ended)
    suspect = [name for name, state in states.items() if state == "suspect"]
    if suspect and side.decision == "ship":
        decision: Decision = "dont_ship" if ended else "keep_running"
        at = list(states).index(suspect[0])
        return _Side(variant, decision, "guardrail suspect", [notes.pop(at), *side.reasons, *notes])
    return _Side(variant, side.decision, side.rule, side.reasons + notes, side.gain)


def _by_primary(result: MetricResult | None, experiment: Experiment, variant: str, ended: bool) -> _Side:
    title = METRICS[experiment.primary_metric].title.capitalize()
    interval = None if result is None else _relative(result, ended)
    if result is None or interval is None:
        why = f"{title} has no interval yet." if result is None else f"{title} has no interval. {result.note}"
        if not ended:
            return _Side(variant, "keep_running", "no interval", [why.strip()])
        return _Side(variant, "dont_ship", "no interval", [f"{why.strip()} Nothing is shown."])
    sign = 1.0 if METRICS[result.name].higher_is_better else -1.0
    low, high = sorted((sign * interval[0], sign * interval[1]))
    certain = not ended or (result.adjusted_p_value is not None and result.adjusted_p_value < 0.05)
    least, span = experiment.minimum_effect, _span(result, interval, ended)
    if high < 0 and certain:
        return _Side(variant, "dont_ship", "primary worse", [f"{title} is worse: {span}."])
    if high < least:
        told = f"{title} does not change by as much as is worth finding ({least:.1%}): {span}."
        return _Side(variant, "dont_ship", "too small", [told])
    if low > 0 and certain:
        early = (
            "" if ended else " The always-valid interval shows it, so there is no need to wait for the end."
        )
        gain = sign * (result.relative_effect or 0.0)
        return _Side(variant, "ship", "primary better", [f"{title} is better: {span}.{early}"], gain)
    if not ended:
        told = (
            f"{title} is not decided yet: {span} at every look. The planned end is {experiment.end:%d %B %Y}."
        )
        return _Side(variant, "keep_running", "undecided", [told])
    told = (
        f"{title} is not shown to be better: {span}. An effect worth finding ({least:.1%}) is not excluded."
    )
    return _Side(variant, "dont_ship", "not shown", [told])


def _relative(result: MetricResult, ended: bool) -> Interval | None:
    """The relative interval that may be read now; from the absolute one where a side has counted nothing."""
    if ended and result.relative_ci is not None:
        return result.relative_ci
    if not ended and result.sequential_relative_ci is not None:
        return result.sequential_relative_ci
    absolute = result.ci if ended else result.sequential_ci
    if absolute is None or not result.control_mean:
        return None
    return absolute[0] / result.control_mean, absolute[1] / result.control_mean


def _span(result: MetricResult, interval: Interval, ended: bool) -> str:
    # before the end the interval is of the fixed window, the effect of everything so far
    change = f"{result.relative_effect:+.1%}, " if ended and result.relative_effect is not None else ""
    return f"{change}between {interval[0]:+.1%} and {interval[1]:+.1%} with 95% certainty"


def _guardrail_told(result: MetricResult, state: Guarded, margin: float, ended: bool) -> str:
    title = METRICS[result.name].title.capitalize()
    interval = _relative(result, ended)
    if interval is None:
        return f"{title} is watched, but there is no interval to judge it by yet. {result.note}".strip()
    span, allowed = _span(result, interval, ended), f"more than the {margin:.1%} that is tolerated"
    return {
        "harmed": f"{title} is harmed by {allowed}: {span}." if margin else f"{title} is harmed: {span}.",
        "suspect": f"{title} is harmed, perhaps by {allowed}: {span}.",
        "open": f"{title} is not shown to be harmed, but harm is not excluded: {span}.",
        "safe": f"{title} is not harmed by {allowed}: {span}."
        if margin
        else f"{title} is not harmed: {span}.",
        "unknown": "",
    }[state]
