"""What a log cannot support is refused, by propensities alone."""

import numpy as np
import pytest

from tests.training.ope.worlds import World
from training.ope.estimators import estimate
from training.ope.lists import LoggedLists
from training.ope.support import choose, support_of


def supports(lists: LoggedLists, **unsupported: float):  # type: ignore[no-untyped-def]
    kinds = ("cascade", "item", "list")
    return {kind: support_of(lists, kind, unsupported.get(kind, 0.0), 1e9) for kind in kinds}


@pytest.fixture(scope="module")
def wide() -> LoggedLists:
    return World("wide").logged(np.random.default_rng(3), 2000, 3)


def test_the_weakest_assumption_that_is_supported_is_chosen(wide: LoggedLists) -> None:
    found = supports(wide)
    choice = choose(found, None)
    assert (choice.estimator, choice.reasons) == ("cascade-dr", [])
    few = supports(wide.take(np.arange(1500)))
    assert few["cascade"].effective_readers < 100 < few["item"].effective_readers
    choice = choose(few, None)
    assert choice.estimator == "item-dr"
    assert "cascade: the log is worth" in choice.reasons[0]
    none = choose(supports(wide.take(np.arange(60))), None)
    assert none.estimator is None
    assert len(none.reasons) == 2


def test_the_choice_does_not_see_rewards(wide: LoggedLists) -> None:
    other = LoggedLists(**{**vars(wide), "rewards": np.random.default_rng(0).random(wide.rewards.shape)})
    assert supports(wide) == supports(other)


def test_mass_that_was_never_shown_is_refused_also_when_asked_for(wide: LoggedLists) -> None:
    world = World("wide", method="swap")
    lists = world.logged(np.random.default_rng(3), 2000, 3)
    # swaps never bring the fourth article in; the mean weight is what is left
    missing = world.unsupported
    assert missing > 0.3
    assert supports(lists, list=missing)["list"].off < 4.0
    refused = choose(supports(lists, list=missing, cascade=missing), "cascade-dr")
    assert refused.estimator is None
    assert "has a logged propensity of 0" in refused.reasons[0]
    # a plain estimate would be far off, and its interval would not tell
    found = estimate(lists, "list-ips")
    assert found.high < 0.9 * world.truth


def test_propensities_that_are_not_those_of_the_lists_are_noticed(wide: LoggedLists) -> None:
    wrong = LoggedLists(**{**vars(wide), "logged": np.minimum(wide.logged * 1.5, 1.0)})
    choice = choose(supports(wrong), "cascade-dr")
    assert choice.estimator is None
    assert "the propensities are not those of the lists" in choice.reasons[0]


def test_a_kind_that_the_log_does_not_tell_is_passed_over(wide: LoggedLists) -> None:
    found = {kind: each for kind, each in supports(wide).items() if kind != "item"}
    assert choose(found, "item-ips").estimator is None
    assert choose(found, None).estimator == "cascade-dr"
