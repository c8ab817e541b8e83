"""Which of two rankings readers prefer, from lists that were drafted from both.

Every reader sees articles of both sides in one list, so a reader is compared with themselves, which needs far
fewer readers than comparing groups of them. A reader's credit is the number of their clicks on articles that
the variant picked less those that the control picked; articles that nobody picked alone count for neither
(recsys/interleaving.py). Readers are the unit, so one who clicks much counts once.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from recsys.experiments.definition import Experiment
from recsys.interleaving import TEAM
from training.duck import Duck
from training.experiment.frame import Frame
from training.experiment.hashing import key_of
from training.experiment.lists import unit_of
from training.experiment.outcomes import Log

WITHIN_US, EARLY_US = 30 * 60_000_000, 5 * 60_000_000
MINIMUM_WINS = 50
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Preference:
    """What readers prefer.

    Attributes:
        control, variant: names of the sides.
        readers: who saw a drafted list.
        control_clicks, variant_clicks: on articles that each side picked.
        control_wins, variant_wins, ties: readers with a click on a picked article, by the side that has more.
        effect: mean credit of a reader, clicks for the variant less those for the control.
        ci: 95% interval of it (Student's t over readers); None with fewer than two readers or no variance.
        p_value: two-sided, of an even chance to win among readers who are no tie (exact binomial test);
            None where there is none.
    """

    control: str
    variant: str
    readers: int
    control_clicks: int
    variant_clicks: int
    control_wins: int
    variant_wins: int
    ties: int
    effect: float | None
    ci: tuple[float, float] | None
    p_value: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def preference(control: str, variant: str, ours: Floats, theirs: Floats) -> Preference:
    """What readers prefer, from their clicks.

    Args:
        control, variant: names of the sides.
        ours: (n) clicks of each reader on articles that the control picked.
        theirs: (n) on those that the variant picked.

    Example:
        >>> found = preference("a", "b", np.array([0.0, 1.0, 0.0]), np.array([2.0, 1.0, 0.0]))
        >>> found.variant_wins, found.ties, round(found.effect, 3)
        (1, 1, 0.667)
    """
    credit = theirs - ours
    wins, losses = int((credit > 0).sum()), int((credit < 0).sum())
    ties = int(((credit == 0) & (ours > 0)).sum())
    effect = float(credit.mean()) if len(credit) else None
    interval: tuple[float, float] | None = None
    error = float(credit.std(ddof=1)) / math.sqrt(len(credit)) if len(credit) > 1 else 0.0
    if effect is not None and error > 0.0:
        half = float(stats.t.ppf(0.975, len(credit) - 1)) * error
        interval = (effect - half, effect + half)
    decided = wins + losses
    p_value = float(stats.binomtest(wins, decided).pvalue) if decided else None
    return Preference(
        control,
        variant,
        len(credit),
        int(ours.sum()),
        int(theirs.sum()),
        losses,
        wins,
        ties,
        effect,
        interval,
        p_value,
    )


def credits_of(duck: Duck, log: Log, experiment: Experiment, frame: Frame) -> tuple[Floats, Floats]:
    """(n) clicks of every reader on articles that the control picked, and that the variant picked.

    A click counts within 30 minutes of its list (and 5 minutes before, for clocks that are behind), once an
    article and list.

    Args:
        duck: where the log was opened.
        log: of ``read_log``.
        experiment: that interleaves.
        frame: its times.
    """
    rows = log.exposures
    rows = rows.filter(
        rows.experiment_id == experiment.id,
        rows.surface.isin(experiment.surfaces),
        rows.us >= frame.start,
        rows.us < frame.until,
    )
    lists = rows.select(
        "us",
        request=key_of(rows.request_id),
        unit=unit_of(rows, experiment.unit),
        item=rows["items"].unnest(),
    )
    picked = lists.select(
        "us", "request", "unit", article=key_of(lists.item.article_id), team=lists.item.source
    )
    events = log.events.filter(log.events.type == "click", log.events.request_id.notnull())
    clicks = events.select(
        clicked=events.us, request=key_of(events.request_id), article=key_of(events.article_id)
    )
    joined = picked.inner_join(clicks, ["request", "article"])
    late = joined.clicked - joined.us
    counted = joined.filter(late >= -EARLY_US, late <= WITHIN_US).select("unit", "request", "article", "team")
    counted = counted.distinct()
    sums = counted.group_by("unit").agg(
        **{
            name: (counted.team == f"{TEAM}{variant.name}").fill_null(False).cast("int64").sum()
            for name, variant in zip("ab", experiment.variants, strict=True)
        }
    )
    units = duck.keep("drafted", picked.select("unit").distinct())
    table = duck.arrow(units.left_join(sums, "unit").select("a", "b"))
    ours, theirs = (
        np.nan_to_num(table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)) for name in "ab"
    )
    return ours, theirs


def report(duck: Duck, log: Log, experiment: Experiment, frame: Frame) -> dict[str, Any]:
    """The report of an interleaving experiment as JSON values, with the keys of every other report.

    Args:
        duck: where the log was opened.
        log: of ``read_log``.
        experiment: that interleaves.
        frame: its times; the verdict falls at the planned end alone, as no interval here may be read early.
    """
    names = [variant.name for variant in experiment.variants]
    found = preference(names[0], names[1], *credits_of(duck, log, experiment, frame))
    ended = frame.until >= round(experiment.end.timestamp() * 1e6)
    verdict, reasons = _verdict(found, ended)
    mean = None if found.readers == 0 else found.readers
    row = {
        "name": "interleaved_clicks",
        "role": "primary",
        "control": found.control,
        "variant": found.variant,
        "control_mean": None if mean is None else found.control_clicks / mean,
        "variant_mean": None if mean is None else found.variant_clicks / mean,
        "effect": found.effect,
        "ci": found.ci,
        "relative_effect": None,
        "relative_ci": None,
        "p_value": found.p_value,
        "sequential_ci": None,
    }
    return {
        "experiment": experiment.id,
        "kind": experiment.kind,
        "verdict": verdict,
        "reasons": reasons,
        "rule": "interleaving",
        "srm": {"p_value": None, "counts": {"interleaved": found.readers}, "failed": False},
        "metrics": [row],
        "slices": [],
        "preference": found.to_json(),
        "ended": ended,
        "definition": experiment.to_json(),
        "config_hash": experiment.config_hash(),
    }


def _verdict(found: Preference, ended: bool) -> tuple[str, list[str]]:
    told = _told(found)
    decided = found.control_wins + found.variant_wins
    if not found.readers:
        return "keep_running", ["No drafted list was served yet: check that the experiment runs."]
    if not ended:
        early = "The planned end is not reached, and these figures may not decide early."
        return "keep_running", [f"{early} {told}"]
    if decided < MINIMUM_WINS:
        few = f"Only {decided} readers chose between the sides; {MINIMUM_WINS} are needed."
        return "dont_ship", [f"{few} {told}"]
    if found.p_value is None or found.p_value >= 0.05:
        return "dont_ship", [f"Readers prefer neither side. {told}"]
    if found.variant_wins > found.control_wins:
        return "ship", [f"Readers prefer {found.variant}. {told}"]
    return "dont_ship", [f"Readers prefer {found.control}. {told}"]


def _told(found: Preference) -> str:
    chance = "" if found.p_value is None else f" (p = {found.p_value:.2g})"
    return (
        f"Of {found.readers:,} readers {found.variant_wins:,} clicked more of what {found.variant} picked, "
        f"{found.control_wins:,} more of what {found.control} picked, {found.ties:,} as much of both{chance}."
    )


def page(values: Mapping[str, Any]) -> str:
    """The report as one HTML file without references to others.

    Args:
        values: of ``report``.
    """
    from training.experiment import words
    from training.pages import environment

    template = environment().get_template("interleaving.html")
    return template.render(v=values, verdict=words.VERDICTS[values["verdict"]])
