"""Series by day against sums made by hand, and their last day against the whole."""

from pathlib import Path

import numpy as np
import pytest

from recsys.config import Config
from recsys.experiments.definition import Experiment
from recsys.schemas import Article, Event, Exposure
from tests.training.experiment.logs import END, at, experiment, write
from tests.training.experiment.test_outcomes_again import random_log
from training.duck import opened
from training.experiment.estimates import compared, sums_of
from training.experiment.metrics import METRICS
from training.experiment.outcomes import read_log, read_outcomes
from training.experiment.series import Point, by_day_of_reader, so_far


def one_sided(seed: int) -> tuple[list[Exposure], list[Event], list[Article]]:
    """A random log whose readers are on one side each: who is on two is out from the first day on."""
    lists, events, articles = random_log(seed)
    side = {each.reader: each.variant for each in lists if each.variant}
    return [each for each in lists if each.variant in (None, side.get(each.reader))], events, articles


def series(
    folder: Path, definition: Experiment, until_day: float
) -> tuple[list[Point], list[Point], dict[float, tuple[float, float, float, float]]]:
    """By day, so far; and of each day the means and the interval made from the readers' table alone."""
    data = write(folder / "data", *one_sided(1))
    metric = METRICS[definition.primary_metric]
    with opened(500) as duck:
        log = read_log(duck, data)
        again = {}
        for day in range(1, int(until_day) + 1):
            found = read_outcomes(duck, log, definition, at(day), Config().clicklog)
            sums = sums_of(
                found.table.drop([n for n in found.table.columns if n[:4] == "pre_"]), [metric.name]
            )
            row = compared(metric, "primary", sums, "control", "new")
            again[float(day)] = (row.control_mean, row.variant_mean, row.n_control, row.ci)
        found = read_outcomes(duck, log, definition, at(until_day), Config().clicklog)
        return by_day_of_reader(duck, found), so_far(duck, found), again  # type: ignore[return-value]


@pytest.mark.parametrize(
    "metric",
    [
        "page_views_per_session",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("ctr", "sessions_per_reader", "hides_per_reader")
        ),
    ],
)
def test_so_far_is_what_a_report_of_that_day_would_say(metric: str, tmp_path: Path) -> None:
    _, found, again = series(tmp_path, experiment(primary_metric=metric), 9)
    assert [point.day for point in found] == list(range(1, 10))
    for point in found:
        row, (control, variant, readers, interval) = point.result, again[float(point.day)]
        assert row.n_control == readers
        assert row.control_mean == pytest.approx(control)
        assert row.variant_mean == pytest.approx(variant)
        assert row.ci == (None if interval is None else pytest.approx(interval))


def test_a_day_of_the_reader_counts_those_whose_day_has_ended(tmp_path: Path) -> None:
    data = write(tmp_path / "data", *random_log(2))
    definition = experiment(primary_metric="clicks_per_reader")
    with opened(500) as duck:
        outcomes = read_outcomes(duck, read_log(duck, data), definition, at(9), Config().clicklog)
        points = by_day_of_reader(duck, outcomes)
        people = duck.columns(outcomes.people.rows.select("unit", "code", "first"))
        clicks = duck.columns(outcomes.facts.measure("clicks"))
    day = 86_400_000_000
    until = int(at(9).timestamp() * 1e6)
    first = dict(zip(people["unit"].tolist(), people["first"].tolist(), strict=True))
    for point in points:
        for code, told in ((0, point.result.control_mean), (1, point.result.variant_mean)):
            counted = [
                sum(
                    unit == one and not pre and (point.day - 1) * day <= us - first[one] < point.day * day
                    for unit, us, pre in zip(clicks["unit"], clicks["us"], clicks["pre"], strict=True)
                )
                for one, side in zip(people["unit"].tolist(), people["code"].tolist(), strict=True)
                if side == code and first[one] + point.day * day <= until
            ]
            assert told == pytest.approx(np.mean(counted) if counted else None)
    assert points[0].result.n_control + points[0].result.n_variant > 5
    assert at(9) < END
