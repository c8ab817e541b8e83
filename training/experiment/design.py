"""How many readers and days an experiment needs, from what its readers did of late.

The past is read as if the experiment had run in it with everybody in the control, by the report's own
tables and arithmetic, so that a design holds what the report will do: winsorising, ratios, CUPED.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis

from recsys.config import ClicklogConfig
from recsys.errors import DataError
from recsys.experiments.definition import Experiment, Variant
from training.duck import Duck
from training.experiment.estimates import roles_of
from training.experiment.frame import HISTORY, microseconds
from training.experiment.metrics import BEFORE, METRICS
from training.experiment.outcomes import Log, Outcomes, read_outcomes
from training.experiment.power import readers_needed

POWER, ALPHA = 0.8, 0.05
_LONGEST_DAYS = 365.0


def design(
    duck: Duck, log: Log, experiment: Experiment, until: datetime, config: ClicklogConfig
) -> dict[str, Any]:
    """What an experiment needs.

    Args:
        duck: where the log was opened.
        log: of the past; experiments that ran in it are read as if they had not.
        experiment: the plan.
        until: end of the past.
        config: limits of robots, pause between sessions.

    Raises:
        DataError: nothing was served on the experiment's lists.
    """
    past = _past(experiment, until, _length(duck, log, experiment, until))
    begun = log.exposures.us >= microseconds(past.start)
    exposures = log.exposures.mutate(
        # what came before is the time before of CUPED
        experiment_id=begun.ifelse(past.id, ibis.null("string")),
        variant=begun.ifelse(past.control.name, ibis.null("string")),
    )
    outcomes = read_outcomes(duck, Log(log.events, exposures, log.articles), past, until, config)
    # one count a day, from the first on: how many different readers had come by then
    arrivals = _arrivals(duck, outcomes)
    if not arrivals or not arrivals[-1]:
        raise DataError(
            f"no list of {', '.join(experiment.surfaces)} was served in the {outcomes.frame.days:.0f} days "
            f"before {until:%Y-%m-%d %H:%M}; a design needs a log of them: give --until an earlier time"
        )
    part = experiment.traffic * (1.0 - experiment.holdout)
    metrics = [_metric(outcomes, experiment, name, arrivals, part) for name in roles_of(experiment)]
    return {
        "experiment": experiment.id,
        "minimum_effect": experiment.minimum_effect,
        "power": POWER,
        "alpha": ALPHA,
        "variants": len(experiment.variants),
        "planned_days": (experiment.end - experiment.start) / timedelta(days=1),
        "history": {
            "from": past.start.isoformat(),
            "until": until.isoformat(),
            "days": outcomes.frame.days,
            "readers": arrivals[-1],
            "readers_a_day": arrivals[-1] / outcomes.frame.days,
            "lists_a_day": outcomes.exposures / outcomes.frame.days,
            "left_out": {why: count for why, count in outcomes.people.left_out.items() if count},
        },
        "taking_part": part,
        "metrics": metrics,
        "advice": list(_advice(metrics, experiment)),
    }


def _length(duck: Duck, log: Log, experiment: Experiment, until: datetime) -> timedelta:
    """As long as the experiment, leaving as much before it for CUPED as there is."""
    wanted = min(experiment.end - experiment.start, HISTORY)
    first = duck.arrow(log.exposures.us.min()).as_py()
    if first is None:
        return wanted
    there = until - datetime.fromtimestamp(first / 1e6, UTC)
    return min(wanted, max(there / 2, timedelta(days=1)))


def _past(experiment: Experiment, until: datetime, length: timedelta) -> Experiment:
    fields = experiment.to_json() | {
        "start": until - length,
        "end": until,
        # the second side is nobody's: every list of the past is the control's
        "variant": [{"name": experiment.control.name, "weight": 0.5}, {"name": "nobody", "weight": 0.5}],
        "kind": "ab",
    }
    return Experiment.model_validate(fields)


def _arrivals(duck: Duck, outcomes: Outcomes) -> list[int]:
    """(days) different readers who had come by the end of each day."""
    first = (outcomes.table.first_at - outcomes.frame.start / 1e6) / 86_400.0
    days = first.floor().cast("int64")
    counted = duck.arrow(outcomes.table.group_by(day=days).agg(readers=outcomes.table.count()))
    found = {row["day"]: row["readers"] for row in counted.to_pylist()}
    total, by_day = 0, []
    for day in range(max(found, default=-1) + 1):
        total += found.get(day, 0)
        by_day.append(total)
    return by_day


def _metric(
    outcomes: Outcomes, experiment: Experiment, name: str, arrivals: Sequence[int], part: float
) -> dict[str, Any]:
    plain = outcomes.table.mutate(
        **{column: ibis.literal(0.0) for column in outcomes.table.columns if column.startswith(BEFORE)}
    )
    needed = [_needed(table, experiment, name) for table in (outcomes.table, plain)]
    return {
        "name": name,
        "title": METRICS[name].title,
        "role": roles_of(experiment)[name],
        "readers": needed[0],
        "readers_without_cuped": needed[1],
        "days": _days(needed[0], arrivals, part),
        "days_without_cuped": _days(needed[1], arrivals, part),
    }


def _needed(table: Any, experiment: Experiment, name: str) -> int | None:
    """Readers of all sides: the smallest variant decides, and every side has its share of the whole."""
    control, others = experiment.control, experiment.variants[1:]
    alpha = ALPHA / len(others)

    def whole(variant: Variant) -> int | None:
        both = control.weight + variant.weight
        found = readers_needed(
            table, name, experiment.minimum_effect, POWER, alpha, share=variant.weight / both
        )
        return None if found is None else round(found / both)

    counts = [whole(variant) for variant in {variant.weight: variant for variant in others}.values()]
    return None if None in counts else max(count for count in counts if count is not None)


def _days(readers: int | None, arrivals: Sequence[int], part: float) -> float | None:
    """Days until so many different readers have come; after the past, as many a day as in its last half."""
    if readers is None:
        return None
    wanted = readers / part
    for day, count in enumerate(arrivals, 1):
        if count >= wanted:
            return float(day)
    half = len(arrivals) // 2
    rate = (arrivals[-1] - arrivals[half - 1]) / (len(arrivals) - half) if half else arrivals[-1]
    return None if rate <= 0 else len(arrivals) + (wanted - arrivals[-1]) / rate


def _advice(metrics: Sequence[dict[str, Any]], experiment: Experiment) -> Any:
    primary, planned = metrics[0], (experiment.end - experiment.start) / timedelta(days=1)
    days, readers = primary["days"], primary["readers"]
    if readers is None:
        yield f"The past holds nothing of {primary['name']}: no number of readers can be told for it."
        return
    if days is not None and days <= planned:
        yield (
            f"The planned {planned:.0f} days are enough for {primary['name']}: {readers:,} readers come in "
            f"about {days:.0f}. Whole weeks are fairer: readers of weekends differ."
        )
        return
    told = "never" if days is None or days > _LONGEST_DAYS else f"in about {days:.0f} days"
    yield f"The planned {planned:.0f} days are too few: the {readers:,} readers that are needed come {told}."
    yield (
        "What helps: a larger `minimum_effect` (twice the effect needs a quarter of the readers), more "
        '`traffic`, even weights, fewer variants, a metric that varies less, or `kind = "interleaving"`, '
        "which finds which of two rankings is better with far fewer readers, though not by how much."
    )
