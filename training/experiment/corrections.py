"""Corrections for looking at several variants and metrics at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tea_tasting.experiment import ExperimentResult
from tea_tasting.multiplicity import adjust_fdr, adjust_fwer

from training.experiment.results import MetricResult, Role


class _Tested(NamedTuple):
    pvalue: float


def corrected(results: Sequence[MetricResult]) -> list[MetricResult]:
    """The results with ``adjusted_p_value``, in their order.

    The primary metric decides: over its variants the chance of one false finding is held (Holm). Secondary
    ones are read together: the share of false findings among them is held (Benjamini and Hochberg).
    Guardrails stay as they are, since a correction would let harm pass.
    """
    adjusted: dict[int, float] = {}
    roles: tuple[Role, ...] = ("primary", "guardrail", "secondary")
    for role in roles:
        tested = {
            at: result.p_value
            for at, result in enumerate(results)
            if result.role == role and result.p_value is not None
        }
        adjusted |= _adjusted(role, tested)
    return [replace(result, adjusted_p_value=adjusted.get(at)) for at, result in enumerate(results)]


def _adjusted(role: Role, tested: dict[int, float]) -> dict[int, float]:
    if role == "guardrail" or not tested:
        return tested
    table = ExperimentResult({str(at): _Tested(p_value) for at, p_value in tested.items()})
    if role == "primary":
        found = adjust_fwer(table, arbitrary_dependence=True, method="bonferroni")
    else:
        found = adjust_fdr(table)
    return {int(row["metric"]): float(row["pvalue_adj"]) for row in found.to_dicts()}
