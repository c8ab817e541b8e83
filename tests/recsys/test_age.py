"""Learned appeal by age: what a list reads of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.age import AgeCurves, SectionAge
from recsys.config import Config, load_config
from recsys.errors import BundleError
from recsys.examination import Examination
from recsys.learned import Learned
from recsys.recency import freshness
from recsys.state import State
from tests.builders import NOW, article, world

KNOTS = (0.0, 2.0, 24.0, 720.0)
CURVES = AgeCurves(
    KNOTS,
    SectionAge("", (0.5, 1.0, 0.5, 0.1), 22.0),
    (SectionAge("Sport", (0.5, 1.0, 0.05, 0.0), 8.0), SectionAge("Food", (0.9, 1.0, 0.98, 0.7), 1440.0)),
)


def taught(config: Config | None = None) -> State:
    """Day-old articles of two sections, of one that the log lacked, and one without a date."""
    old = [article(name, hours_old=24.0, section=name) for name in ("Sport", "Food", "Garden")]
    state = world([*old, article("undated", section="Sport", published_at=None)], config=config)
    nothing = Learned.nothing(state.config)
    state.learned = Learned(
        nothing.sections, nothing.subsections, nothing.covisitation, nothing.topics, {}, age=CURVES
    )
    return state


def test_freshness_follows_the_sections_own_curve_and_the_whole_logs_for_new_sections() -> None:
    state = taught()
    found = freshness(state, np.arange(4, dtype=np.int32), NOW.timestamp())
    np.testing.assert_allclose(found, [0.05, 0.98, 0.5, state.config.age_curve.unknown], atol=1e-9)


def test_the_configured_curve_can_be_kept() -> None:
    state = taught(load_config(None, ["age_curve.learned=false"]))
    found = freshness(state, np.arange(3, dtype=np.int32), NOW.timestamp())
    np.testing.assert_allclose(found, 0.75)


@given(st.lists(st.floats(0.0, 1e5), min_size=1, max_size=20), st.integers(-1, 5))
def test_appeal_stays_between_its_lowest_and_highest_knot(hours: list[float], section: int) -> None:
    found = CURVES.appeal(np.array(hours), np.full(len(hours), section), 0.4)
    assert np.all((found >= 0.0) & (found <= 1.0))


def test_curves_and_propensities_survive_the_bundle() -> None:
    assert AgeCurves.from_json(CURVES.to_json()) == CURVES
    assert not AgeCurves.from_json(AgeCurves().to_json())
    looked = Examination({"related": (1.0, 0.5)})
    assert Examination.from_json(looked.to_json()) == looked
    assert looked.of("for_you", [1, 2]).tolist() == [1.0, 1.0]


def test_a_damaged_curve_is_refused() -> None:
    values = CURVES.to_json()
    values["whole"]["values"] = (1.0,)
    with pytest.raises(BundleError, match="another length than the 4 knots"):
        AgeCurves.from_json(values)
