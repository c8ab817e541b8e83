"""A report on 10^7 served lists of 10^6 readers: wall time and peak memory of the command, alone.

python -m tests.benchmarks.experiment_report [--readers 1200000] [--impressions] [--folder F]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from recsys.experiments.definition import Experiment
from tests.benchmarks.common import Figure, add_folder, work_folder
from tests.benchmarks.run import table_of
from training.simulation.experiments import Lift, Traffic, write_experiment

ROOT = Path(__file__).parents[2]
# of so many who could come, a million do while the experiment runs
_READERS = 1_200_000
_SECONDS, _GIGABYTES = 60.0, 4.0
_TOML = """
[[experiment]]
id = "large"
unit = "user"
surfaces = ["related"]
start = 2026-02-05T00:00:00Z
end = 2026-02-19T00:00:00Z
primary_metric = "ctr"
variant = [{name = "control", weight = 0.5}, {name = "new", weight = 0.5}]
"""


def measure(folder: Path, readers: int = _READERS, impressions: bool = False) -> list[Figure]:
    """Time and memory of one report.

    Args:
        folder: takes the log; one that lies there is used again.
        readers: who could come.
        impressions: whether every article that was seen is an event of its own.
    """
    data, config = folder / f"experiment-{readers}-{int(impressions)}", folder / "experiment.toml"
    config.write_text(_TOML)
    if not data.exists():
        _write(data, config, readers, impressions)
    figures = folder / "report.json"
    call = ["experiment", "report", "large", "--config", config, "--data", data, "--json", figures]
    seconds, gigabytes = _cost([*map(str, call), "--html", str(folder / "report.html")])
    told = json.loads(figures.read_text())
    lists, people = (sum(side[name] for side in told["sides"]) for name in ("lists", "readers"))
    rows = json.loads((data / "import.json").read_text())
    name = (
        f"experiment report, {rows['exposures']:,} lists ({lists:,} while it runs), "
        f"{people:,} readers, {rows['events']:,} events"
    )
    return [
        Figure(name, seconds, "s", bar=f"<= {_SECONDS:g}", good=seconds <= _SECONDS),
        Figure(f"{name}: peak", gigabytes, "GB", bar=f"<= {_GIGABYTES:g}", good=gigabytes <= _GIGABYTES),
    ]


def _write(data: Path, config: Path, readers: int, impressions: bool) -> None:
    from recsys.config import find_experiment

    experiment: Experiment = find_experiment(config, "large")
    traffic = Traffic(readers=readers, sessions_per_week=1.3, before_days=7.0, impressions=impressions)
    write_experiment(data, experiment, traffic, {"new": Lift(clicks=0.02)}, seed=11)


def _cost(call: list[str]) -> tuple[float, float]:
    """Wall seconds and gigabytes at most of one command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "training.cli", *call], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"recsys {' '.join(call)} ended with {child.returncode}")
    return time.perf_counter() - started, used.ru_maxrss / 1e6


def main() -> None:
    """Read the call, measure, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--readers", type=int, default=_READERS)
    call.add_argument("--impressions", action="store_true")
    add_folder(call)
    asked = call.parse_args()
    with work_folder(asked.folder) as folder:
        Console(width=170).print(table_of(measure(folder, asked.readers, asked.impressions)))


if __name__ == "__main__":
    main()
