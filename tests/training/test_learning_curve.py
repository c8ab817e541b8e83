"""What training notes of its own fits, on lists with a planted signal."""

import numpy as np
import pytest

from recsys.config import RankerConfig
from tests.conftest import Newsroom
from training.calibration import ClickMap, Reliability
from training.evaluate import _best_single
from training.fit_metrics import FitMetrics
from training.fit_ranker import Examples, fit_ranker
from training.judging import Judged
from training.learning_curve import every, last, learning_curve, only, refitted
from training.readers import read_event_log

CONFIG = RankerConfig(shrinkage=0.01, curve_shrinkage=0.1)
LENGTH = 10


def lessons(lists: int, seed: int = 0, strength: float = 1.5) -> Examples:
    """Clicks follow ``useful``; ``useless`` and the blend are noise."""
    rng, found = np.random.default_rng(seed), Examples(("useful", "useless"))
    for ts in range(lists):
        matrix = rng.normal(size=(LENGTH, 2))
        chance = np.exp(strength * matrix[:, 0])
        clicked = np.arange(LENGTH) == rng.choice(LENGTH, p=chance / chance.sum())
        found.add(float(ts), rng.normal(size=LENGTH), matrix, clicked)
    return found


@pytest.mark.parametrize("lists", [4, 7, 20, 400])
def test_counts_rise_and_end_with_all_lists(lists: int) -> None:
    earlier, later = lessons(lists).split(0.25)
    whole = fit_ranker(earlier, CONFIG)
    rows = learning_curve(earlier, later, whole, CONFIG, np.inf)
    counts, shares = [row["lists"] for row in rows], [row["share"] for row in rows]
    assert counts == sorted(set(counts))
    assert shares == sorted(set(shares))
    assert (counts[0], counts[-1], shares[-1], rows[0]["gain"]) == (0, len(earlier), 1.0, 0.0)


def test_the_last_point_is_the_ranker_that_was_fitted() -> None:
    earlier, later = lessons(200).split(0.25)
    rows = learning_curve(earlier, later, fit_ranker(earlier, CONFIG), CONFIG, np.inf)
    assert rows[-1]["auc"] > 0.7 > 0.6 > rows[0]["auc"]
    assert rows[-1]["auc_ci"][0] > rows[0]["auc_ci"][1]
    assert rows[-1]["gain"] == pytest.approx(rows[-1]["auc"] - rows[0]["auc"])


def test_each_share_holds_the_smaller_ones_and_the_last_list() -> None:
    examples = lessons(21)
    sets = [set(every(examples, step).ts) for step in (8, 4, 2)]
    assert sets[0] < sets[1] < sets[2]
    assert 20.0 in sets[0]
    assert last(examples, 3).ts == [18.0, 19.0, 20.0]
    assert len(examples) == 21


def test_a_planted_useful_feature_earns_when_refitted_and_a_useless_one_does_not() -> None:
    earlier, later = lessons(400).split(0.25)
    rows = {row["part"]: row for row in refitted(earlier, later, CONFIG, np.inf)}
    assert rows["useful"]["auc_ci"][1] < -0.1
    assert rows["useless"]["auc_ci"][1] > -0.01
    assert abs(rows["useless"]["auc_change"]) < 0.02


def test_without_a_second_feature_nothing_can_be_left_out() -> None:
    earlier, later = only(lessons(40), ["useful"]).split(0.25)
    assert refitted(earlier, later, CONFIG, np.inf) == []


def test_clicks_drawn_from_a_map_are_predicted_by_the_fitted_one() -> None:
    rng, truth = np.random.default_rng(4), ClickMap(-0.5, 1.2, -0.8, 1.0, 0)
    lists = [rng.normal(size=rng.integers(5, 40)) for _ in range(2000)]
    labels = [rng.random(len(scores)) < truth.predict(scores) for scores in lists]
    found = ClickMap.fit(lists[:1000], labels[:1000])
    assert found.slope / found.scale == pytest.approx(1.2, abs=0.1)
    assert found.by_length == pytest.approx(-0.8, abs=0.15)
    good, exact, flat = Reliability(), Reliability(), Reliability()
    for at in range(1000, 2000):
        good.take(found.predict(lists[at]), labels[at], at % 200)
        exact.take(truth.predict(lists[at]), labels[at], at % 200)
        # a map that is sure of twice as much
        flat.take(np.minimum(2.0 * found.predict(lists[at]), 1.0), labels[at], at % 200)
    told, off = good.values(0), flat.values(0)
    assert told["error"] < 0.01 < 0.05 < off["error"]
    assert sum(row["candidates"] for row in told["bins"]) == sum(map(len, lists[1000:]))
    inside = [row["ci"][0] <= row["predicted"] <= row["ci"][1] for row in exact.values(0)["bins"]]
    assert sum(inside) >= 8
    assert ClickMap.from_json(found.to_json()) == found


def test_a_list_that_gives_no_order_is_predicted_by_its_length_alone() -> None:
    lists = [np.zeros(length) for length in (5, 10, 20) for _ in range(50)]
    labels = [np.arange(len(scores)) == 0 for scores in lists]
    found = ClickMap.fit(lists, labels)
    for length in (5, 10, 20):
        assert found.predict(np.zeros(length))[0] == pytest.approx(1 / length, rel=0.1)


def test_the_single_signal_of_the_fitted_lists_is_the_one_judged_against(newsroom: Newsroom) -> None:
    signals = newsroom.bundle.manifest["metrics"]["single_signals"]
    assert len(signals) >= 8
    assert all(0.0 <= value <= 1.0 for value in signals.values())
    best = max(signals, key=signals.__getitem__)
    tables = dict.fromkeys((*signals, "funnel"))
    assert _best_single(newsroom.bundle, Judged(tables, {}, {}, 0)) == best  # type: ignore[arg-type]


def test_a_log_without_lists_has_no_metrics(newsroom: Newsroom) -> None:
    watch = FitMetrics({})
    watch.begins(read_event_log(newsroom.data).between(0.0, 0.0), [])
    found = watch.as_dict()
    assert all(value == {} for value in found.values())
