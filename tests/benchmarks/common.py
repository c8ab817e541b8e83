"""Taking turns, and what is printed: every figure is a ratio to a baseline of the same run."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured thing.

    Attributes:
        name: what was measured.
        value: median, already in ``unit``.
        unit: of ``value``.
        ratio: value relative to the baseline; None where there is none.
        spread: lowest and highest ratio (or value) over the rounds.
        bar: what should be reached, as text; empty where there is none.
        good: whether the bar is reached.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    bar: str = ""
    good: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def in_turns(
    ours: Callable[[], float], baseline: Callable[[], float], rounds: int
) -> tuple[list[float], list[float]]:
    """Measure A B A B; both return what one round cost (or gave)."""
    a, b = [], []
    for _ in range(rounds):
        a.append(ours())
        b.append(baseline())
    return a, b


def ratio_of(a: list[float], b: list[float]) -> tuple[float, tuple[float, float]]:
    """Median of the paired ratios, with the lowest and the highest."""
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    return statistics.median(ratios), (min(ratios), max(ratios))


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def processor_seconds(work: Callable[[], Any]) -> float:
    """Processor time of one call in this process: what others do on the machine counts less."""
    started = time.process_time()
    work()
    return time.process_time() - started


def milliseconds_each(work: Callable[[int], Any], times: int) -> list[float]:
    """Sorted milliseconds of single calls."""
    return sorted(seconds(lambda at=at: work(at)) * 1e3 for at in range(times))


def add_folder(call: argparse.ArgumentParser) -> None:
    """The option that ``work_folder`` takes."""
    call.add_argument("--folder", type=Path, help="keeps made bundles for the next call")


@contextmanager
def work_folder(kept: Path | None) -> Iterator[Path]:
    """Where bundles and stores are put: a folder that stays, or one that is removed."""
    if kept is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    kept.mkdir(parents=True, exist_ok=True)
    yield kept
