"""The load tool: autocannon (npm) in a process of its own, for throughput with a closed loop.

Its ``overallRate`` sends each second's requests in one burst and corrects the latencies afterwards by
calculation, and ``wrk`` and ``hey`` of Debian only know a closed loop; so latency at a constant rate is
measured by ``tests.benchmarks.open_loop``.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = "autocannon@8.0.0"
FOLDER = Path(os.environ.get("RECSYS_BENCH_TOOLS", Path.home() / ".cache" / "recsys-bench"))
_SCRIPT = Path(__file__).with_name("cannon.js")


class NoToolError(Exception):
    """The load tool cannot be had; says why."""


@dataclass(frozen=True)
class Driven:
    """What a run of the tool found.

    Attributes:
        good: answers of 2xx.
        bad: other answers, errors and time-outs.
        seconds: from the first request to the last answer.
    """

    good: int
    bad: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.good / self.seconds


def install() -> None:
    """Have the tool in a folder outside the repository.

    Raises:
        NoToolError: node or npm is missing, or the package cannot be fetched.
    """
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise NoToolError(f"{' and '.join(missing)} not found; install Node.js 20 or later")
    if (FOLDER / "node_modules" / "autocannon").is_dir():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    call = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(FOLDER), _PACKAGE]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoToolError(f"npm cannot install {_PACKAGE}: {done.stderr.strip()[-200:]}")


def drive(port: int, requests: Sequence[dict[str, Any]], amount: int, connections: int = 16) -> Driven:
    """Send ``amount`` requests as fast as they are answered.

    Args:
        port: of the server.
        requests: each with ``path``, and ``method`` and ``body`` where it is no GET; each connection
            asks its own share of them, again and again until there are enough.
        amount: all in all, a multiple of ``connections``.
        connections: kept alive.

    Raises:
        RuntimeError: an answer was not of 2xx.
    """
    asked = {"port": port, "amount": amount, "connections": connections, "requests": list(requests)}
    environment = {**os.environ, "NODE_PATH": str(FOLDER / "node_modules")}
    done = subprocess.run(
        ["node", str(_SCRIPT)],
        input=json.dumps(asked),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"autocannon failed: {done.stderr[-500:]}")
    told = json.loads(done.stdout)
    if told["bad"] or told["good"] != amount:
        raise RuntimeError(f"of {amount} requests {told['good']} were answered well, {told['bad']} not")
    return Driven(told["good"], told["bad"], told["seconds"])
