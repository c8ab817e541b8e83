"""The report of an experiment as JSON values: the page and the table on the screen are drawn from these."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from recsys.config import ClicklogConfig
from recsys.experiments.definition import Experiment
from training.duck import Duck
from training.experiment.cuts import slices
from training.experiment.delivery import delivered
from training.experiment.estimates import estimates
from training.experiment.frame import microseconds
from training.experiment.limits import limits
from training.experiment.metrics import METRICS
from training.experiment.outcomes import Log, Outcomes, read_outcomes
from training.experiment.ratio_mismatch import sample_ratio
from training.experiment.results import MetricResult, SampleRatio, Verdict
from training.experiment.series import Point, by_day_of_reader, so_far
from training.experiment.verdict import decide


@dataclass(frozen=True)
class Asked:
    """What a report is asked for.

    Attributes:
        experiment: the definition, as it was started.
        until: nothing at or after this time is looked at.
        started: when it was switched on, if that was later than planned.
        clicklog: limits of robots, pause between sessions.
        internal: user and session ids of the house.
        notes: what the caller knows besides, for the report's readers.
    """

    experiment: Experiment
    until: datetime
    clicklog: ClicklogConfig
    internal: Collection[str] = ()
    started: datetime | None = None
    notes: list[str] = field(default_factory=list)


def report(duck: Duck, log: Log, asked: Asked) -> dict[str, Any]:
    """All values of a report.

    Args:
        duck: where the log was opened.
        log: of ``read_log``.
        asked: what to report on.

    Raises:
        DataError: the log cannot be read.
    """
    experiment = asked.experiment
    outcomes = read_outcomes(
        duck, log, experiment, asked.until, asked.clicklog, asked.internal, asked.started
    )
    sides = delivered(duck, outcomes)
    counts = {side["variant"]: side["readers"] for side in sides}
    ratio = sample_ratio(counts, {variant.name: variant.weight for variant in experiment.variants})
    ended = asked.until >= experiment.end
    readers = sum(counts.values())
    results = estimates(outcomes.table, experiment) if readers else []
    verdict = _verdict(outcomes, results, ratio, ended)
    return {
        "experiment": experiment.id,
        "verdict": verdict.verdict,
        "reasons": verdict.reasons,
        "rule": verdict.rule,
        "ship": verdict.variant,
        "srm": ratio.to_json(),
        "metrics": [result.to_json() for result in results],
        "slices": slices(duck, outcomes) if readers else [],
        "days": _days(by_day_of_reader(duck, outcomes)) if readers else [],
        "so_far": _days(so_far(duck, outcomes)) if readers else [],
        "sides": sides,
        "excluded": list(_excluded(outcomes)),
        "robots": [{"rule": rule, "readers": n} for rule, n in outcomes.people.robots.items() if n],
        "notes": [*asked.notes, *_notes(outcomes, sides)],
        "cannot_tell": list(limits(outcomes)),
        "definition": experiment.to_json(),
        "config_hash": experiment.config_hash(),
        "ended": ended,
        **_times(outcomes),
    }


def _times(outcomes: Outcomes) -> dict[str, Any]:
    frame = outcomes.frame
    names = {"from": frame.start, "until": frame.until, "before_from": frame.pre}
    return {name: datetime.fromtimestamp(us / 1e6, UTC).isoformat() for name, us in names.items()}


def _verdict(outcomes: Outcomes, results: list[MetricResult], ratio: SampleRatio, ended: bool) -> Verdict:
    unknown = outcomes.lists.unknown
    if unknown:
        told = ", ".join(f"{name!r} ({count:,} lists)" for name, count in unknown.items())
        known = ", ".join(variant.name for variant in outcomes.experiment.variants)
        return Verdict(
            "broken",
            "unknown variant",
            [
                f"Lists were served under variants that the definition does not know: {told}; it has "
                f"{known}. A variant was renamed or removed midway, so its readers cannot be counted on "
                "either side. Start the experiment again under a new id.",
                *_other_reasons(results, ratio, outcomes, ended),
            ],
        )
    if not sum(ratio.counts.values()):
        return Verdict("keep_running", "no readers", [_nobody(outcomes, ended)])
    return decide(results, ratio, outcomes.experiment, ended)


def _other_reasons(
    results: list[MetricResult], ratio: SampleRatio, outcomes: Outcomes, ended: bool
) -> list[str]:
    if not sum(ratio.counts.values()):
        return []
    return decide(results, ratio, outcomes.experiment, ended).reasons if ratio.failed else []


def _nobody(outcomes: Outcomes, ended: bool) -> str:
    experiment = outcomes.experiment
    told = (
        f"No reader counts yet: no list carries the experiment_id {experiment.id!r} on "
        f"{', '.join(experiment.surfaces)} between {experiment.start:%Y-%m-%d %H:%M} and the end of what is "
        "looked at."
    )
    if any(outcomes.lists.left_out.values()) or any(outcomes.people.left_out.values()):
        told = "No reader counts yet: every list or reader of the experiment was left out, see below."
    if ended:
        return f"{told} Its planned end has passed: check that it was started and that exposures are logged."
    return f"{told} Check with 'recsys experiment list' that it runs."


def _days(points: list[Point]) -> list[dict[str, Any]]:
    return [
        {
            "day": point.day,
            "begin": _instant(point.begin),
            "end": _instant(point.end),
            **point.result.to_json(),
        }
        for point in points
    ]


def _instant(ts: float | None) -> str | None:
    return None if ts is None else datetime.fromtimestamp(ts, UTC).isoformat()


def _excluded(outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    """What was left out or moved, with its number; what did not happen is not named."""
    facts = outcomes.facts
    counted = [
        *(("readers", count, why) for why, count in outcomes.people.left_out.items()),
        *(("lists", count, why) for why, count in outcomes.lists.left_out.items()),
        *(
            ("lists", count, f"carry the unknown variant {name!r}")
            for name, count in outcomes.lists.unknown.items()
        ),
        ("events", outcomes.repeated_events, "repeat an earlier event"),
        ("events", facts.between, "lie between the start and the reader's first exposure"),
        ("clicks", facts.late, "came later than 30 minutes after their list"),
        (
            "clicks and impressions",
            facts.early,
            "are dated more than 5 minutes before their list (clock skew)",
        ),
    ]
    for what, count, why in counted:
        if count:
            yield {"what": what, "count": count, "why": why}


def _notes(outcomes: Outcomes, sides: list[dict[str, Any]]) -> Iterator[str]:
    facts, primary = outcomes.facts, METRICS[outcomes.experiment.primary_metric]
    if not sum(side["readers"] for side in sides):
        return
    if not facts.impressions:
        yield (
            "No impressions are logged for these lists: a click-through rate is clicks per article that was "
            "shown, not per article that was seen, so it looks lower than elsewhere."
        )
    elif silent := [side["variant"] for side in sides if side["readers"] and not side["articles_seen"]]:
        yield (
            f"Impressions are missing for {', '.join(silent)} alone, so click-through rates cannot be "
            "compared: check that the page reports them on every side."
        )
    if not facts.views:
        yield "The log has no views: clicks on lists stand for page views."
    if facts.skewed:
        yield (
            f"{facts.skewed:,} clicks and impressions are dated up to 5 minutes before their list, by a "
            "clock that is behind; they count."
        )
    if outcomes.frame.until < microseconds(outcomes.experiment.end):
        yield (
            "The experiment has not reached its planned end. Until then only the always-valid interval may "
            f"decide; the 95% interval of {primary.title} is right at the end."
        )
