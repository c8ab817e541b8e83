"""Orders that follow single changes are those of sorting everything; the next change is never missed."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.catalog import Catalog
from tests.builders import NOW, article

_STEP = st.tuples(
    st.integers(0, 11),
    st.sampled_from(["put", "hide", "remove"]),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])),
)


def hours(number: int | None) -> Any:
    return None if number is None else NOW + timedelta(hours=number)


def apply(catalog: Catalog, step: tuple[int, str, int | None, int | None, float | None]) -> None:
    number, kind, published, expires, priority = step
    if kind == "remove":
        catalog.remove(f"a{number}")
        return
    fields = {"published_at": hours(published), "expires_at": hours(expires), "editor_priority": priority}
    catalog.put(article(f"a{number}", is_hidden=kind == "hide", **fields))


@given(st.lists(_STEP, max_size=40), st.lists(st.booleans(), min_size=40, max_size=40))
def test_an_order_kept_by_changes_is_the_sorted_one(steps: list[Any], looks: list[bool]) -> None:
    catalog = Catalog.of([article(f"b{at}", hours_old=float(at)) for at in range(60)])
    for step, look in zip(steps, looks, strict=False):
        apply(catalog, step)
        if look:
            catalog.newest(), catalog.by_priority()
    anew = Catalog.restore(*catalog.state())
    np.testing.assert_array_equal(catalog.newest(), anew.newest())
    np.testing.assert_array_equal(catalog.by_priority(), anew.by_priority())


@given(st.lists(_STEP, max_size=30), st.lists(st.integers(-8, 8), min_size=30, max_size=30))
def test_the_next_change_is_the_earliest_of_all(steps: list[Any], moments: list[int]) -> None:
    catalog = Catalog()
    for step, moment in zip(steps, moments, strict=False):
        apply(catalog, step)
        now = NOW.timestamp() + 1800.0 * moment
        rows = catalog.newest()
        times = np.concatenate((catalog.published[rows], catalog.expires[rows]))
        assert catalog.next_change(now) == min(times[times > now], default=np.inf)


def test_without_anything_ahead_nothing_changes_by_itself() -> None:
    catalog = Catalog.of([article("a"), article("hidden", hours_old=-1.0, is_hidden=True)])
    assert catalog.next_change(NOW.timestamp()) == float("inf")
    catalog.put(article("hidden", hours_old=-1.0))
    assert catalog.next_change(NOW.timestamp()) == pytest.approx(NOW.timestamp() + 3600)
