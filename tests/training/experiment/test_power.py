"""How many readers a design asks for, against formulas."""

import numpy as np
import pytest
from scipy import stats

from tests.training.experiment.tables import clicks, table
from training.experiment.power import readers_needed

READERS = {name: values for name, values in clicks(5, 20_000).items() if name != "variant"}
PLAIN = {name: values for name, values in READERS.items() if not name.startswith("pre_")}
APART = stats.norm.isf(0.025) + stats.norm.isf(0.2)


def test_a_small_effect_needs_what_the_textbook_says():
    values = np.minimum(PLAIN["clicks_per_reader__num"], np.quantile(PLAIN["clicks_per_reader__num"], 0.999))
    textbook = 4 * APART**2 * values.var(ddof=1) / (0.001 * values.mean()) ** 2
    # what is cut does not grow, so a little more is needed
    assert 1.0 < readers_needed(table(PLAIN), "clicks_per_reader", 0.001) / textbook < 1.15


def test_a_ratio_needs_what_its_linear_terms_say():
    clicked, shown = PLAIN["ctr__num"], PLAIN["ctr__den"]
    linear = (clicked - clicked.sum() / shown.sum() * shown) / shown.mean()
    textbook = 4 * APART**2 * linear.var() / (0.001 * clicked.sum() / shown.sum()) ** 2
    assert readers_needed(table(PLAIN), "ctr", 0.001) == pytest.approx(textbook, rel=0.005)


def test_the_time_before_saves_readers_and_an_uneven_split_costs_some():
    plain = readers_needed(table(PLAIN), "ctr", 0.05)
    assert readers_needed(table(READERS), "ctr", 0.05) < 0.7 * plain
    assert readers_needed(table(PLAIN), "ctr", 0.05, share=0.1) == pytest.approx(plain / 0.36, rel=1e-3)
    assert readers_needed(table(PLAIN), "ctr", -0.05) == plain
    assert readers_needed(table(PLAIN), "ctr", 0.05, power=0.95) > 1.5 * plain


@pytest.mark.parametrize("values", [np.zeros(100), np.array([])])
def test_a_past_that_holds_nothing_says_nothing(values):
    assert readers_needed(table({"clicks_per_reader__num": values}), "clicks_per_reader", 0.05) is None


def test_no_lift_is_refused():
    with pytest.raises(ValueError, match="lift is 0"):
        readers_needed(table(PLAIN), "ctr", 0.0)
