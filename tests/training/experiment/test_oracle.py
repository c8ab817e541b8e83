"""Means, ratios, CUPED and the always-valid interval against gbstats, which shares no code with ours.

gbstats needs an older numpy, so it lives in a venv of its own: ``~/.cache/recsys-oracles``, or where
``RECSYS_ORACLES`` says.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.experiment.tables import clicks, experiment, table
from training.experiment.estimates import estimates

PINNED = ("gbstats==0.8.0", "numpy<2")
SCRIPT = Path(__file__).with_name("gbstats_oracle.py")
PLANNED = 20_000


@pytest.fixture(scope="module")
def oracle():
    """The Python of a venv that has gbstats."""
    folder = (
        Path(os.environ.get("RECSYS_ORACLES", Path.home() / ".cache" / "recsys-oracles")) / "gbstats-0.8.0"
    )
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", folder], capture_output=True, text=True
        )
        if made.returncode == 0:
            made = subprocess.run(
                [python, "-m", "pip", "install", "-q", *PINNED], capture_output=True, text=True
            )
        if made.returncode:
            pytest.skip(f"gbstats cannot be installed here: {made.stderr[-300:]}")
        (folder / "ready").touch()
    return python


def sums(values):
    """A side's sums as the oracle takes them."""
    found = {"n": len(values["num"])}
    for name, column in values.items():
        found |= {name: float(column.sum()), f"{name}_squares": float((column**2).sum())}
        if name != "num":
            found[f"num_{name}"] = float((values["num"] * column).sum())
    return found


def case(columns, own, covariate=None, cut=False):
    """Two sides of a metric; ``cut`` at the quantile of all."""
    parts = {"num": columns[f"{own}__num"]}
    if f"{own}__den" in columns:
        parts["den"] = columns[f"{own}__den"]
    if covariate:
        parts["pre"] = columns[covariate]
    if cut:
        parts = {name: np.minimum(values, np.quantile(values, 0.999)) for name, values in parts.items()}
    sides = [columns["variant"] == side for side in ("old", "new")]
    return {"planned": PLANNED, "sides": [sums({k: v[side] for k, v in parts.items()}) for side in sides]}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_gbstats_agrees(oracle, seed):
    columns = clicks(seed, 3000, lift=0.1)
    columns |= {
        f"w_{k}": v for k, v in columns.items() if k in ("ctr__num", "ctr__den", "clicks_per_reader__num")
    }
    plain = {name: values for name, values in columns.items() if "pre_" not in name}
    found = {
        (result.name, adjusted): result
        for adjusted, own in ((False, plain), (True, columns))
        for result in estimates(table(own), experiment(), planned_readers=PLANNED)
    }
    cases = {
        ("ctr", False): case(columns, "ctr"),
        ("clicks_per_reader", False): case(columns, "clicks_per_reader", cut=True),
        ("clicks_per_reader", True): case(
            columns, "clicks_per_reader", "pre_clicks_per_reader__num", cut=True
        ),
    }
    answer = subprocess.run(
        [oracle, SCRIPT], input=json.dumps(list(cases.values())), capture_output=True, text=True, check=True
    )
    for key, theirs in zip(cases, json.loads(answer.stdout), strict=True):
        ours = found[key]
        assert ours.effect == pytest.approx(theirs["effect"], rel=1e-9)
        assert ours.ci == pytest.approx(theirs["ci"], rel=1e-9)
        assert ours.p_value == pytest.approx(theirs["p_value"], rel=1e-8)
        assert ours.sequential_ci == pytest.approx(theirs["sequential_ci"], rel=1e-9)
