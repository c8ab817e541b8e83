"""Counting millions of clicks, and how training grows: processor time and peak memory, each process alone.

python -m tests.benchmarks.run --only training [--rounds 6] [--clicks 20000000] [--events 1000000]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.common import Figure
from tests.benchmarks.logs import write_clicks, write_log

ROOT = Path(__file__).parents[2]
_GROWTH = (100, 10, 1)


@dataclass(frozen=True)
class Cost:
    """What one process took.

    Attributes:
        cpu: seconds of all its threads.
        peak: megabytes of memory at most.
        told: what it printed, a JSON object.
    """

    cpu: float
    peak: float
    told: dict[str, float]


def cost(*call: object) -> Cost:
    """Run a step of ``tests.benchmarks.training_steps`` alone and look at what the system says of it."""
    command = [sys.executable, "-m", "tests.benchmarks.training_steps", *map(str, call)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
        out.seek(0)
        told = json.loads(out.read().splitlines()[-1])
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, told)


def measure(rounds: int, clicks: int, events: int) -> list[Figure]:
    """All figures of training."""
    with tempfile.TemporaryDirectory() as folder:
        return counting(Path(folder), rounds, clicks) + growth(Path(folder), events)


def counting(folder: Path, rounds: int, clicks: int) -> list[Figure]:
    """Decayed counts and co-visited pairs: ibis beside hand-written SQL and beside pandas."""
    source = folder / "clicks.parquet"
    write_clicks(source, clicks)
    found: dict[str, list[Cost]] = {"ibis": [], "sql": [], "pandas": []}
    for turn in range(max(1, rounds // 2)):
        found["ibis"].append(cost("ibis", source))
        found["sql"].append(cost("sql", source))
        if turn < max(1, rounds // 3):
            found["pandas"].append(cost("pandas", source))
    _agree(found)
    figures = []
    for other, name, bars in (
        ("sql", "hand-written SQL", (1.5, 1.3)),
        ("pandas", "pandas", (1.0, 0.5)),
    ):
        for what, unit, bar in (("cpu", "s CPU", bars[0]), ("peak", "MB peak", bars[1])):
            pairs = zip(found["ibis"], found[other], strict=False)
            ratios = [getattr(ours, what) / getattr(theirs, what) for ours, theirs in pairs]
            ratio = statistics.median(ratios)
            label = f"{clicks:,} clicks: decayed counts, pairs; ibis against {name}"
            value = statistics.median(getattr(one, what) for one in found["ibis"])
            spread = (min(ratios), max(ratios))
            figures.append(Figure(label, value, unit, ratio, spread, f"<= {bar}", ratio <= bar))
    return figures


def _agree(found: dict[str, list[Cost]]) -> None:
    """All ways must have counted the same."""
    expected = found["sql"][0].told
    for costs in found.values():
        for one in costs:
            for name, value in expected.items():
                if not np.isclose(one.told[name], value, rtol=1e-9):
                    raise RuntimeError(f"{name} is {one.told[name]}, hand-written SQL counts {value}")


def growth(folder: Path, events: int) -> list[Figure]:
    """Cleaning, replay, counting and learning from a hundredth of the events to all of them."""
    sizes, costs = [events // share for share in _GROWTH], []
    for size in sizes:
        data = folder / f"log-{size}"
        write_log(data, size)
        costs.append(cost("train", data))
    seconds = [one.told["seconds"] for one in costs]
    logs = np.log(np.array(sizes)), np.log(np.array(seconds))
    slope = float(np.polyfit(*logs, 1)[0])
    figures = [
        Figure(f"training without embedding, {size:,} events (peak {one.peak:,.0f} MB)", spent, "s CPU")
        for size, one, spent in zip(sizes, costs, seconds, strict=True)
    ]
    label = f"growth from {sizes[0]:,} to {sizes[-1]:,} events, log-log slope"
    return [*figures, Figure(label, slope, "", bar="<= 1.2", good=slope <= 1.2)]
