"""Half-lives and age curves are recovered from logs whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.catalog import Catalog
from recsys.config import AgeCurveConfig
from recsys.examination import Examination
from recsys.schemas import SURFACES
from tests.builders import HOUR, NOW, article
from training.fit_age import KNOTS, Cells, fit_curve, fit_half_life, pooled, prior_curve, prior_half_life
from training.learn_age import Openings, learn_age
from training.popularity_half_life import decayed_before, popularity_half_lives
from training.shown import Shown

END = NOW.timestamp()


def appeal(hours: NDArray[np.float64], half_life: float) -> NDArray[np.float64]:
    """Rises to its peak at 2.5 hours, then halves every ``half_life`` hours."""
    rise = 0.55 + 0.45 * np.minimum(hours / 2.5, 1.0)
    return np.asarray(rise * np.exp2(-np.maximum(hours - 2.5, 0.0) / half_life))


def cells(half_life: float, articles: int, seed: int = 0, chances: float = 25.0) -> Cells:
    """Articles of unequal quality, each seen at ten ages."""
    rng = np.random.default_rng(seed)
    ages = np.expm1(rng.uniform(0.0, np.log1p(6.0 * half_life), (articles, 10)))
    level = np.exp(rng.normal(0.0, 0.8, (articles, 1)))
    openings = rng.poisson(chances * 0.2 * level * appeal(ages, half_life))
    count = ages.size
    return Cells(
        np.repeat(np.arange(articles), 10), ages.ravel(), np.full(count, chances),
        openings.ravel().astype(np.float64), np.zeros(count), np.zeros(articles, dtype=np.int32),
    )  # fmt: skip


@pytest.mark.parametrize("half_life", [8.0, 24.0, 240.0, 1440.0])
def test_half_lives_of_hours_and_of_months_are_within_a_tenth(half_life: float) -> None:
    found = fit_half_life(cells(half_life, 1500))
    assert found.hours == pytest.approx(half_life, rel=0.10)
    assert abs(np.log(found.hours / half_life)) < 4.0 * found.error


def test_the_curve_has_the_shape_of_the_truth() -> None:
    found = np.exp(fit_curve(cells(24.0, 800), prior_curve(AgeCurveConfig()), 0.7))
    inside = np.array(KNOTS) <= 96.0
    truth = appeal(np.array(KNOTS), 24.0)
    np.testing.assert_allclose(found[inside], (truth / truth.max())[inside], atol=0.12)


def test_without_data_the_prior_stays() -> None:
    prior = prior_curve(AgeCurveConfig())
    nothing = cells(24.0, 5, chances=0.0)
    np.testing.assert_allclose(fit_curve(nothing, prior, 0.7), prior, atol=1e-6)
    assert fit_half_life(nothing).error == np.inf
    assert 24.0 < prior_half_life(AgeCurveConfig()) < 72.0


def test_a_thin_section_is_drawn_to_the_whole_log_and_a_rich_one_is_not() -> None:
    rich, thin = fit_half_life(cells(8.0, 800)), fit_half_life(cells(8.0, 3, seed=3, chances=8.0))
    near, far = pooled([rich, thin], 48.0)
    assert near == pytest.approx(rich.hours, rel=0.05)
    assert abs(np.log(far / 48.0)) < abs(np.log(thin.hours / 48.0))


def test_lists_with_dates_teach_each_section_and_undated_ones_nothing() -> None:
    rng = np.random.default_rng(1)
    lives = {"Sport": 8.0, "Food": 200.0}
    articles = [
        article(f"{name}-{n}", section=name, hours_old=float(rng.uniform(1.0, 300.0)))
        for name in lives
        for n in range(250)
    ]
    catalog = Catalog.of(articles)
    lists, rows = 30_000, rng.integers(0, 500, 30_000)
    lag = rng.uniform(0.2, 1.0, lists) ** 3 * (END - catalog.published[rows]) / HOUR
    half_life = np.array(list(lives.values()))[catalog.section[rows]]
    shown = Shown(
        np.arange(lists), np.full(lists, SURFACES.index("related")), rows, np.full(lists, -1),
        np.ones(lists, dtype=np.intp), np.ones(lists, dtype=np.intp), lag, np.full(lists, np.nan),
        rng.random(lists) < 0.4 * appeal(lag, half_life),
    )  # fmt: skip
    nobody = Openings(np.zeros(0, np.int32), np.zeros(0))
    found = learn_age(catalog, shown, Examination(), nobody, AgeCurveConfig())
    for part in found.curves.sections:
        assert part.half_life_hours == pytest.approx(lives[part.name], rel=0.15)
    assert "by section: Sport" in found.notes[0]
    first = np.full(len(catalog), np.inf)
    np.minimum.at(first, rows, lag)
    imputed = replace(shown, ages=lag - first[rows])
    kept = learn_age(catalog, imputed, Examination(), nobody, AgeCurveConfig())
    assert not kept.curves
    assert "nothing can be learned" in kept.notes[0]


def test_a_log_of_views_alone_teaches_by_the_openings_of_everything_else() -> None:
    rng = np.random.default_rng(2)
    hours_old = rng.uniform(0.0, 400.0, 400)
    catalog = Catalog.of([article(f"a{n}", section="News", hours_old=h) for n, h in enumerate(hours_old)])
    minutes = np.linspace(400.0, 0.0, 12_000)
    rows = np.empty(len(minutes), dtype=np.int32)
    quality = np.exp(rng.normal(0.0, 0.7, 400))
    for place, ago in enumerate(minutes.tolist()):
        wanted = np.where(hours_old >= ago, quality * appeal(np.maximum(hours_old - ago, 0.0), 18.0), 0.0)
        rows[place] = rng.choice(400, p=wanted / wanted.sum()) if wanted.any() else int(np.argmax(hours_old))
    openings = Openings(rows, END - minutes * HOUR)
    shown = Shown(*(np.zeros(0, dtype=np.intp),) * 6, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
    found = learn_age(catalog, shown, Examination(), openings, AgeCurveConfig())
    assert found.curves.whole is not None
    assert found.curves.whole.half_life_hours == pytest.approx(18.0, rel=0.2)


def test_decayed_counts_before_each_opening_are_those_of_the_plain_sum() -> None:
    rng = np.random.default_rng(3)
    ts = np.sort(rng.uniform(0.0, 1e6, 300))
    rows = rng.integers(0, 20, 300)
    for hours in (0.5, 24.0):
        plain = [
            (np.exp2(-(ts[j] - ts[:j]) / (hours * HOUR)) * (rows[:j] == rows[j])).sum() for j in range(300)
        ]
        np.testing.assert_allclose(decayed_before(rows, ts, hours), plain, rtol=1e-6, atol=1e-12)


def test_what_is_read_changes_faster_where_the_half_life_of_popularity_is_shorter() -> None:
    found = {}
    for name, hours in (("fast", 6.0), ("slow", 300.0)):
        rng = np.random.default_rng(4)
        ts = np.arange(20_000) * 600.0
        era = (ts // (hours * HOUR)).astype(np.int64)
        rows = era * 7 + rng.choice(7, 20_000, p=(0.5, 0.2, 0.1, 0.05, 0.05, 0.05, 0.05))
        learned = popularity_half_lives(rows, ts, np.zeros(20_000, np.int32), 1)
        assert learned is not None
        found[name] = learned.whole
    assert 2.0 * found["fast"] < found["slow"]


def test_one_opening_has_no_half_life() -> None:
    assert popularity_half_lives(np.array([1]), np.array([1.0]), np.array([0]), 1) is None
