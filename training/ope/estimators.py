"""Estimates of what another policy would earn by list, with intervals that know of readers.

What a place earns may rest on its own article alone (``item``), on those above as well (``cascade``), or on
the whole list (``list``); the fewer places, the smaller the weights. Each is estimated in three ways:

- ``ips``: rewards weighted by how much more probable the judged policy makes what was shown;
- ``snips``: the same over the sum of the weights, place by place (Swaminathan and Joachims, NeurIPS 2015);
- ``dr``: a model of clicks, corrected by the weighted errors that it makes.

Sources: Li et al., "Offline evaluation of ranking policies with click models", KDD 2018 (item); McInerney et
al., "Counterfactual evaluation of slate recommendations with sequential reward interactions", KDD 2020, and
Kiyohara et al., "Doubly robust off-policy evaluation for ranking policies under the cascade behavior model",
WSDM 2022 (cascade); Dudik, Langford and Li, ICML 2011 (dr); Ionides, "Truncated importance sampling", JCGS
2008 (the cap).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.ope.lists import Codes, Floats, LoggedLists, Predicted

KINDS = ("item", "cascade", "list")
FORMS = ("ips", "snips", "dr")
ESTIMATORS = tuple(f"{kind}-{form}" for kind in KINDS for form in FORMS)


@dataclass(frozen=True)
class Estimate:
    """What a list of the judged policy earns.

    Attributes:
        value: reward of a list.
        error: standard error; readers are independent, lists of one are not.
        low, high: of the 95% interval.
        values: (n,) what each list adds, their mean is ``value`` (to first order for ``snips``).
    """

    value: float
    error: float
    low: float
    high: float
    values: Floats


def default_cap(lists: int) -> float:
    """Highest weight that is taken at its word: it grows with the log, so that its bias vanishes."""
    return max(float(np.sqrt(lists)), 1.0)


def weights_of(lists: LoggedLists, kind: str, cap: float = np.inf) -> Floats:
    """(n, k) how much more probable the judged policy makes what each place's reward rests on.

    Args:
        lists: logged.
        kind: of ``KINDS``.
        cap: higher weights are cut to it.

    Raises:
        ValueError: ``item`` without chances at places.
    """
    if kind == "item":
        if lists.logged_at is None or lists.target_at is None:
            raise ValueError("the log does not tell the chances of articles at their places")
        return np.asarray(np.minimum(lists.target_at / lists.logged_at, cap))
    whole = np.cumprod(lists.target / lists.logged, axis=1)
    if kind == "list":
        whole = np.repeat(whole[:, -1:], whole.shape[1], axis=1)
    return np.asarray(np.minimum(whole, cap))


def estimate(
    lists: LoggedLists, name: str, predicted: Predicted | None = None, cap: float = np.inf
) -> Estimate:
    """What a list of the judged policy earns.

    Args:
        lists: logged, at least two readers.
        name: of ``ESTIMATORS``.
        predicted: for ``dr``.
        cap: higher weights are cut to it.
    """
    kind, form = name.split("-")
    weights = np.where(lists.shown, weights_of(lists, kind, cap), 0.0)
    if form == "snips":
        value, values = _self_normalised(weights, lists)
        return _with_interval(value, values, lists.readers)
    values = (weights * lists.rewards).sum(axis=1)
    if form == "dr":
        if predicted is None:
            raise ValueError(f"{name} needs what a model says")
        values = values + _correction(kind, weights, lists, predicted)
    return _with_interval(float(values.mean()), values, lists.readers)


def _correction(kind: str, weights: Floats, lists: LoggedLists, predicted: Predicted) -> Floats:
    """(n,) what the model says of the judged policy, less the weighted same of what was shown."""
    shown = lists.shown
    if kind != "cascade":
        # of the whole list there is one weight, so the places need no order
        return np.asarray((predicted.at - weights * predicted.shown).sum(axis=1))
    before = np.concatenate((np.ones((len(lists), 1)), weights[:, :-1]), axis=1)
    said = before * (predicted.next + predicted.later) - weights * (predicted.shown + predicted.later)
    return np.asarray(np.where(shown, said, 0.0).sum(axis=1))


def _self_normalised(weights: Floats, lists: LoggedLists) -> tuple[float, Floats]:
    """The value, and (n,) values whose mean it is to first order (delta method)."""
    sums, shown = weights.sum(axis=0), lists.shown.sum(axis=0)
    known = sums > 0.0
    means = np.zeros(len(sums))
    means[known] = (weights * lists.rewards).sum(axis=0)[known] / sums[known]
    share = shown / len(lists)
    scale = np.divide(shown, sums, out=np.zeros(len(sums)), where=known)
    value = float((share * means).sum())
    return value, value + (weights * (lists.rewards - means) * scale).sum(axis=1)


def _with_interval(value: float, values: Floats, readers: Codes) -> Estimate:
    error, freedom = clustered_error(values, readers)
    reach = float(stats.t.ppf(0.975, max(freedom, 1))) * error
    return Estimate(value, error, value - reach, value + reach, values)


def clustered_error(values: Floats, readers: Codes) -> tuple[float, int]:
    """Standard error of a mean over lists where only readers are independent, and its degrees of freedom.

    Args:
        values: (n,) of lists.
        readers: (n,) whose.
    """
    codes = np.unique(readers, return_inverse=True)[1]
    sums = np.bincount(codes, values - values.mean())
    count = len(sums)
    if count < 2:
        return float("inf"), 0
    return float(np.sqrt(count / (count - 1) * (sums**2).sum())) / len(values), count - 1


def difference(one: Estimate, other: Estimate, readers: Codes) -> Estimate:
    """What the first earns more than the second, from the same lists."""
    return _with_interval(one.value - other.value, one.values - other.values, readers)


def served(lists: LoggedLists) -> Estimate:
    """What the logged lists earned."""
    values = lists.rewards.sum(axis=1)
    return _with_interval(float(values.mean()), values, lists.readers)


def relative(one: Estimate, other: Estimate, readers: Codes) -> Estimate | None:
    """By what share the first earns more than the second; None where that earns nothing."""
    if other.value <= 0.0:
        return None
    ratio = one.value / other.value
    values = (one.values - ratio * other.values) / other.value
    return _with_interval(ratio - 1.0, values + ratio - 1.0, readers)
