"""Latency and memory from ten thousand articles to a million, and from ten thousand readers to a million.

Neighbours are those within each topic: an exact search for all of a million articles takes hours. Bundles are
made, and services measured, each in a process of its own.

python -m tests.benchmarks.run --only growth
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import open_loop
from tests.benchmarks.common import Figure
from tests.benchmarks.live import streams_of
from tests.benchmarks.worlds import NOW, registry_of
from tests.serving.server import Server

ROOT = Path(__file__).parents[2]
_ARTICLES = (10_000, 100_000, 1_000_000)
_READERS = (10_000, 100_000, 1_000_000)
_AT_READERS, _AT_ARTICLES = 5_000, 43_000
_OVER_HTTP, _READS, _SECONDS = 100_000, 25, 20.0


def step(*call: object) -> dict[str, Any]:
    """Run a step of ``tests.benchmarks.growth_step`` alone; what it printed."""
    command = [sys.executable, "-m", "tests.benchmarks.growth_step", *map(str, call)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(folder: Path, embedder_for: Callable[[Path], str]) -> list[Figure]:
    """Rows for every size."""
    found = []
    for articles in _ARTICLES:
        found += at_size(folder, embedder_for, articles, _AT_READERS)
    for readers in _READERS:
        found += at_size(folder, embedder_for, _AT_ARTICLES, readers)
    return [*found, *over_http(folder)]


def at_size(folder: Path, embedder_for: Callable[[Path], str], articles: int, readers: int) -> list[Figure]:
    """Start, memory, and milliseconds of each kind of request in process."""
    models = registry_of(folder, articles, readers)
    model_id = embedder_for(models)
    step("build", folder, articles, readers, model_id)
    told = step("measure", models, articles)
    size = f"{articles:,} articles, {readers:,} readers"
    found = [Figure(f"{size}: {name}", value, unit) for name, (value, unit) in told["figures"].items()]
    for name, (cpu, p50, p99) in told["lists"].items():
        label = f"{size}: {name}, in process (time p50 {p50:.2f}, p99 {p99:.2f} ms)"
        found.append(Figure(label, cpu, "CPU ms p50"))
    return found


def over_http(folder: Path) -> list[Figure]:
    """The same lists from the real server, at a low constant rate."""
    store = folder / f"growth-{time.monotonic_ns()}.db"
    server = Server(registry_of(folder, _OVER_HTTP), store, NOW)
    try:
        streams = streams_of(_OVER_HTTP, _READS)[:-1]
        met = open_loop.run(server.port, _SECONDS, streams)
    finally:
        server.stop()
    return [
        Figure(
            f"{_OVER_HTTP:,} articles: {name} over HTTP at {_READS}/s each (p50 {one.at(0.5):.2f} ms,"
            f" {one.bad} failed)",
            one.at(0.99),
            "ms p99",
        )
        for name, one in met.items()
    ]
