"""Who is on which side: even, stable, the same everywhere, and sticky where weights grow."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scipy.stats import chisquare

from recsys.experiments.assignment import Sides
from recsys.experiments.definition import Experiment

START = datetime(2026, 3, 1, tzinfo=UTC)
READERS = [f"reader-{number}" for number in range(20_000)]


def made(weights: dict[str, float], **more: Any) -> Experiment:
    fields = {
        "id": "e",
        "unit": "session",
        "surfaces": ["related"],
        "start": START,
        "end": START + timedelta(days=14),
        "primary_metric": "ctr",
        "variant": [{"name": name, "weight": weight} for name, weight in weights.items()],
    }
    return Experiment.model_validate(fields | more)


def names(experiment: Experiment, low: float = 0.0) -> list[str | None]:
    sides = Sides(experiment, low)
    return [None if side is None else side.name for side in map(sides.of, READERS)]


@pytest.mark.parametrize(
    "weights", [{"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}, {"a": 0.5, "b": 0.3, "c": 0.2}]
)
def test_sides_are_as_large_as_their_weights(weights: dict[str, float]) -> None:
    counted = Counter(names(made(weights)))
    expected = [len(READERS) * weight for weight in weights.values()]
    assert chisquare([counted[name] for name in weights], expected).pvalue > 1e-3


@pytest.mark.slow
def test_a_million_readers_are_divided_evenly_whatever_their_ids_look_like() -> None:
    sides = Sides(made({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}))
    for form in ("{}", "user-{:08d}", "{:x}", "é{}@example.org"):
        counted = Counter(sides.of(form.format(number)).name for number in range(1_000_000))  # type: ignore[union-attr]
        assert chisquare(list(counted.values())).pvalue > 1e-3


def test_a_reader_stays_on_a_side_and_the_sides_of_two_experiments_are_unrelated() -> None:
    one, same, other = (
        names(made({"a": 0.5, "b": 0.5}, **more))
        for more in ({}, {"primary_metric": "latency_ms"}, {"id": "f"})
    )
    assert one == same
    both = Counter(zip(one, other, strict=True))
    assert chisquare(list(both.values())).pvalue > 1e-3
    assert names(made({"a": 0.5, "b": 0.5}, id="f", salt="e")) == one


@pytest.mark.parametrize(
    ("before", "after", "grows"),
    [
        ({"a": 0.9, "b": 0.1}, {"a": 0.5, "b": 0.5}, {"b"}),
        ({"a": 0.8, "b": 0.1, "c": 0.1}, {"a": 0.2, "b": 0.4, "c": 0.4}, {"b", "c"}),
    ],
)
def test_whoever_is_on_a_side_that_grows_stays_there(
    before: dict[str, float], after: dict[str, float], grows: set[str]
) -> None:
    moved = Counter(
        (was, is_) for was, is_ in zip(names(made(before)), names(made(after)), strict=True) if was != is_
    )
    assert moved
    assert {was for was, _ in moved} == {"a"}
    assert {is_ for _, is_ in moved} <= grows


def test_a_renamed_side_is_another_one() -> None:
    assert names(made({"a": 0.5, "b": 0.5}))[:50] != [
        {"x": "a", "y": "b"}[str(name)] for name in names(made({"x": 0.5, "y": 0.5}))[:50]
    ]


def test_those_held_out_of_one_experiment_are_held_out_of_every_larger_holdout() -> None:
    held = {
        (name, share): {
            reader
            for reader, side in zip(
                READERS, names(made({"a": 0.5, "b": 0.5}, id=name, holdout=share)), strict=True
            )
            if side is None
        }
        for name in ("e", "f")
        for share in (0.05, 0.2)
    }
    assert held["e", 0.05] == held["f", 0.05] < held["e", 0.2] == held["f", 0.2]
    assert len(held["e", 0.05]) / len(READERS) == pytest.approx(0.05, abs=0.006)


def test_experiments_in_places_of_one_layer_share_nobody_and_leave_nobody_out() -> None:
    first = made({"a": 0.5, "b": 0.5}, id="one", layer="lists", traffic=0.3)
    second = made({"a": 0.5, "b": 0.5}, id="two", layer="lists", traffic=0.7)
    inside = [
        (one is not None) + (two is not None)
        for one, two in zip(names(first), names(second, low=0.3), strict=True)
    ]
    assert set(inside) == {1}
    assert sum(side is not None for side in names(first)) / len(READERS) == pytest.approx(0.3, abs=0.012)
