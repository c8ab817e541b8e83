"""Tables of readers with known numbers."""

from collections.abc import Mapping
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from recsys.experiments.definition import Experiment


def experiment(**changes: Any) -> Experiment:
    """A definition with two variants, unless ``changes`` say otherwise."""
    values: dict[str, Any] = {
        "id": "list-order",
        "unit": "user",
        "surfaces": ["related"],
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-03-15T00:00:00Z",
        "primary_metric": "ctr",
        "variant": [{"name": "old", "weight": 0.5}, {"name": "new", "weight": 0.5}],
    }
    return Experiment.model_validate(values | changes)


def table(columns: Mapping[str, Any]) -> Any:
    """An ibis table in DuckDB of these columns."""
    return ibis.memtable(pa.table({name: pa.array(values) for name, values in columns.items()}))


def clicks(seed: int, readers: int, lift: float = 0.0) -> dict[str, Any]:
    """Readers whose impressions are log-normal; click rates differ and last into the fixed window."""
    rng = np.random.default_rng(seed)
    side = rng.random(readers) < 0.5
    activity, rate = rng.lognormal(1.0, 1.2, readers), rng.beta(2.0, 38.0, readers)
    before = rng.poisson(10 * activity) * (rng.random(readers) < 0.7)
    shown, window = rng.poisson(10 * activity) + 1, rng.poisson(5 * activity) + 1
    chance = rate * np.where(side, 1 + lift, 1.0)
    clicked, early = rng.binomial(shown, chance), rng.binomial(window, chance)
    pre = rng.binomial(before, rate)
    return {
        "variant": np.where(side, "new", "old"),
        "ctr__num": clicked.astype(float),
        "ctr__den": shown.astype(float),
        "pre_ctr__num": pre.astype(float),
        "pre_ctr__den": before.astype(float),
        "w_ctr__num": early.astype(float),
        "w_ctr__den": window.astype(float),
        "clicks_per_reader__num": clicked.astype(float),
        "pre_clicks_per_reader__num": pre.astype(float),
        "w_clicks_per_reader__num": early.astype(float),
    }
