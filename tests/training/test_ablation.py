"""Ablation on scores whose parts are known by construction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.candidates import Candidates
from recsys.config import Weights
from recsys.features import FEATURE_NAMES
from training.ablation import Ablation, group_of
from training.metrics import impression_metrics
from training.paired import paired_metrics

RNG = np.random.default_rng(0)
LENGTH = 12
Bools = NDArray[np.bool_]


def scored(**parts: np.ndarray) -> Candidates:
    """Candidates with these parts."""
    rows = np.arange(len(next(iter(parts.values()))), dtype=np.int32)
    plain = Candidates.of(rows, np.zeros(len(rows), np.uint8))
    return plain.with_parts(np.column_stack(list(parts.values())), tuple(parts))


def clicks(place: int) -> Bools:
    """One click."""
    return np.arange(LENGTH) == place


def planted(lists: int, seed: int) -> Ablation:
    """Clicks follow ``useful``; ``useless`` is noise; ``nothing`` is 0 everywhere."""
    rng, found = np.random.default_rng(seed), Ablation()
    for reader in range(lists):
        useful, useless = rng.normal(size=(2, LENGTH))
        chance = np.exp(1.5 * useful)
        labels = clicks(int(rng.choice(LENGTH, p=chance / chance.sum())))
        parts = scored(useful=useful, nothing=np.zeros(LENGTH), useless=0.1 * useless)
        found.take(parts, 1, np.ones(LENGTH, bool), labels, reader)
    return found


def row(found: Ablation, part: str) -> dict[str, object]:
    (match,) = [row for row in found.rows() if row["part"] == part]
    return match


def test_a_planted_useful_part_earns_and_a_useless_one_does_not() -> None:
    found = planted(300, seed=1)
    useful, useless = row(found, "useful"), row(found, "useless")
    assert useful["auc_ci"][1] < -0.2  # type: ignore[index]
    assert useful["ndcg_ci"][1] < -0.2  # type: ignore[index]
    assert useless["auc_ci"][0] <= 0.0 <= useless["auc_ci"][1]  # type: ignore[index]
    assert abs(useless["auc_change"]) < 0.01  # type: ignore[arg-type]
    assert (useful["of"], useless["of"]) == ("blend", "curve")


def test_a_part_that_is_zero_everywhere_changes_exactly_nothing() -> None:
    nothing = row(planted(50, seed=2), "nothing")
    assert (nothing["auc_change"], nothing["ndcg_change"]) == (0.0, 0.0)
    assert (nothing["auc_ci"], nothing["ndcg_ci"], nothing["lists"]) == ([0.0, 0.0], [0.0, 0.0], 0)


@given(st.integers(0, 10_000))
def test_leaving_out_a_part_that_does_not_vary_in_a_list_is_exactly_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = Ablation(seed)
    parts = scored(a=rng.normal(size=LENGTH), same=np.full(LENGTH, 0.1), b=rng.integers(0, 2, LENGTH) * 0.3)
    found.take(parts, 0, np.ones(LENGTH, bool), clicks(3), 1)
    assert row(found, "same")["auc_change"] == 0.0


def test_the_parts_add_up() -> None:
    # without some parts, the metrics are those of the sum of the others
    rng, found = np.random.default_rng(3), Ablation()
    left: dict[str, list[float]] = {"ctr": [], "counts of clicks and readers": []}
    for reader in range(40):
        freshness, popularity, ctr = rng.normal(size=(3, LENGTH))
        labels = clicks(int(rng.integers(LENGTH)))
        parts = scored(freshness=freshness, popularity=popularity, ctr=ctr)
        found.take(parts, 1, np.ones(LENGTH, bool), labels, reader)
        sums = (freshness + popularity + ctr, freshness + popularity, freshness)
        whole, *without = (impression_metrics(values, labels, RNG)[0] for values in sums)
        for name, value in zip(left, without, strict=True):
            left[name].append(value - whole)
    for name, changes in left.items():
        assert row(found, name)["auc_change"] == pytest.approx(np.mean(changes), abs=1e-12)
    # a group of one part is told once, as that part
    assert {r["part"] for r in found.rows()} == {*left, "freshness", "popularity"}


def test_a_feature_goes_with_its_places_within_the_list() -> None:
    found = Ablation()
    own, other = np.arange(float(LENGTH)), np.zeros(LENGTH)
    parts = scored(**{"interests": other, "ctr_4h": own, "ctr_4h.rank": own, "ctr_4h.gap": own})
    found.take(parts, 3, np.ones(LENGTH, bool), clicks(LENGTH - 1), 1)
    assert {(r["of"], r["part"], r["auc_change"]) for r in found.rows()} == {
        ("blend", "interests", 0.0),
        ("curve", "ctr_4h", -0.5),
        ("group", "counts of clicks and readers", -0.5),
        ("group", "all learned curves", -0.5),
    }


def test_leaving_out_everything_leaves_chance() -> None:
    found = Ablation()
    found.take(scored(ctr=np.arange(float(LENGTH))), 1, np.ones(LENGTH, bool), clicks(LENGTH - 1), 1)
    assert row(found, "ctr")["auc_change"] == -0.5


def test_what_cannot_be_scored_ranks_last_with_and_without_a_part() -> None:
    found = Ablation()
    known = np.arange(LENGTH) < 6
    found.take(scored(ctr=np.arange(6.0), age=RNG.normal(size=6)), 1, known, clicks(8), 1)
    # the click lies among what ranks last, half of the 6 others there stand above it
    assert {r["auc_change"] for r in found.rows()} == {0.0}


def test_lists_of_other_surfaces_count_as_unchanged() -> None:
    found = Ablation()
    found.take(scored(ctr=np.arange(float(LENGTH))), 1, np.ones(LENGTH, bool), clicks(LENGTH - 1), 1)
    found.take(scored(freshness=np.arange(float(LENGTH))), 0, np.ones(LENGTH, bool), clicks(0), 2)
    assert row(found, "ctr")["auc_change"] == -0.25
    assert (row(found, "ctr")["lists"], row(found, "freshness")["auc_change"]) == (1, 0.25)


@given(st.integers(0, 10_000), st.booleans())
def test_paired_metrics_are_those_of_the_tables(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (3, LENGTH)).astype(float) if ties else rng.normal(size=(3, LENGTH))
    scores[0, 0] = np.nan
    labels = np.zeros(LENGTH, bool)
    labels[rng.permutation(LENGTH)[: int(rng.integers(1, LENGTH))]] = True
    found = paired_metrics(scores, labels, rng.random(LENGTH))
    for values, (area, gain) in zip(scores, found, strict=True):
        expected = impression_metrics(values, labels, rng)
        assert area == pytest.approx(expected[0], abs=1e-12)
        if not ties:
            assert gain == pytest.approx(expected[3], abs=1e-12)


@pytest.mark.parametrize("name", [*Weights.model_fields, *FEATURE_NAMES])
def test_every_feature_and_weight_belongs_to_a_group(name: str) -> None:
    assert group_of(name) is not None or name == "priority"
