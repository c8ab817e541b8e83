"""The two logs of the Open Bandit Dataset's small sample as lists of one place.

Cite: Saito, Aihara, Matsutani, Narita, "Open Bandit Dataset and Pipeline", arXiv 2008.07146.
"""

import csv
import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.ope.clicks import crossed
from training.ope.estimators import Estimate, default_cap, estimate, served
from training.ope.lists import LoggedLists, Options
from training.ope.support import Support, support_of

_ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("RECSYS_EVAL_DATA", _ROOT.parent / "shared" / "data")) / "open_bandit"
ABSENT = f"no Open Bandit sample at {FOLDER}; set RECSYS_EVAL_DATA"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rounds:
    """One log, a row each time an item was shown.

    Attributes:
        items, places: (n,) codes, places from 0.
        clicks, propensities: (n,).
    """

    items: NDArray[np.int64]
    places: NDArray[np.int64]
    clicks: Floats
    propensities: Floats

    def shares(self, items: int) -> Floats:
        """(places, items) how often each item was shown at each place: the policy, averaged over its time."""
        found = np.zeros((int(self.places.max()) + 1, items))
        np.add.at(found, (self.places, self.items), 1.0)
        return np.asarray(found / found.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Judged:
    """One policy from the log of the other.

    Attributes:
        support: what the propensities tell.
        estimates: by estimator, clicks an item.
        own: what the policy's own log earned.
    """

    support: Support
    estimates: dict[str, Estimate]
    own: Estimate


def read_rounds(name: str) -> Rounds:
    """The log of ``random`` or ``bts``."""
    with gzip.open(FOLDER / f"{name}_men.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))

    def column(key: str) -> Floats:
        return np.array([float(row[key]) for row in rows])

    items, places = column("item_id").astype(np.int64), column("position").astype(np.int64) - 1
    return Rounds(items, places, column("click"), column("propensity_score"))


def as_lists(log: Rounds, target: Floats) -> LoggedLists:
    """Lists of one place under a policy that knows the place and nothing else.

    Args:
        log: logged.
        target: (places, items) chances under the judged policy.
    """
    n, items = len(log.items), target.shape[1]
    options = Options(np.broadcast_to(np.arange(items), (n, 1, items)), target[log.places][:, None, :])
    logged, judged = log.propensities[:, None], target[log.places, log.items][:, None]
    best = target.argmax(axis=1)[log.places][:, None]
    shown, clicks = log.items[:, None], log.clicks[:, None]
    # no reader is told: each row counts as one
    return LoggedLists(np.arange(n), shown, clicks, logged, judged, options, logged, judged, options, best)


def judged(policy: str, from_log: str) -> Judged:
    """One policy from the log of the other, beside its own clicks."""
    log, own = read_rounds(from_log), read_rounds(policy)
    items = int(max(log.items.max(), own.items.max())) + 1
    uniform = np.full((3, items), 1.0 / items)
    target = uniform if policy == "random" else own.shares(items)
    lists = as_lists(log, target)
    cap = default_cap(len(lists))
    names = ("item-ips", "item-snips", "item-dr")
    said = crossed(lists, items)
    found = {name: estimate(lists, name, said, cap) for name in names}
    return Judged(support_of(lists, "item", 0.0, cap), found, served(as_lists(own, target)))
