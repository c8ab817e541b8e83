"""The times of the stages of a request beside the whole of it, in process."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.common import Figure
from tests.benchmarks.in_process import InProcess, running
from tests.benchmarks.world_readers import reader_name

LISTS = ("for_you", "page", "related", "popular", "latest", "must_reads")
_TIMES = 400
_MOST_LEFT = 0.10


def path_of(name: str, at: int) -> str:
    """A request of one kind; the ``at``-th article and reader."""
    who = f"session_id={reader_name(at)}"
    if name == "page":
        return f"/v1/page?article_id=article-{at}&{who}"
    if name == "for_you":
        return f"/v1/page?lists=for_you&{who}"
    if name == "related":
        return f"/v1/articles/article-{at}/related?{who}"
    return f"/v1/page?lists={name}&{who}"


@dataclass(frozen=True)
class Told:
    """Median microseconds of one kind of request.

    Attributes:
        stages: by stage, in order; of a page the sums over its lists.
        whole: of the request.
        rest: of the whole, request by request, what no stage explains.
        p99: of the whole.
        cpu: processor time of the whole.
    """

    stages: dict[str, float]
    whole: float
    rest: float
    p99: float
    cpu: float


def stages_of(service: InProcess, name: str, times: int = _TIMES, readers: int = 200) -> Told:
    """Ask again and again, each time another article and reader."""
    for at in range(50):
        service.ask(path_of(name, at % readers))
    by_stage: dict[str, list[float]] = {}
    wholes, rests, cpus = [], [], []
    for at in range(times):
        service.costs.taken()
        whole = service.ask(path_of(name, at % readers))
        sums: dict[str, float] = {}
        for stage, seconds in service.costs.taken():
            sums[stage] = sums.get(stage, 0.0) + seconds
        for stage, seconds in sums.items():
            by_stage.setdefault(stage, [0.0] * at).append(seconds)
        for kept in by_stage.values():
            kept.extend([0.0] * (at + 1 - len(kept)))
        wholes.append(whole)
        cpus.append(service.cpu)
        rests.append(whole - sum(sums.values()))
    us: Callable[[list[float]], float] = lambda values: statistics.median(values) * 1e6  # noqa: E731
    p99 = sorted(wholes)[int(len(wholes) * 0.99)] * 1e6
    return Told({stage: us(kept) for stage, kept in by_stage.items()}, us(wholes), us(rests), p99, us(cpus))


def measure(folder: Path, models: Path) -> list[Figure]:
    """A row for each stage of the full funnel, the whole, and what no stage explains."""
    found = []
    with running(models, folder / "stages.db") as service:
        for name in ("for_you", "page"):
            told = stages_of(service, name)
            for stage, spent in told.stages.items():
                found.append(Figure(f"{name} in process: {stage}", spent, "us p50"))
            share = told.rest / told.whole
            label = f"{name} in process: the whole request (p99 {told.p99:,.0f}, CPU {told.cpu:,.0f} us)"
            label += "; ratio: not in any stage"
            bar = f"<= {_MOST_LEFT:.2f}"
            found.append(Figure(label, told.whole, "us p50", share, None, bar, share <= _MOST_LEFT))
    return found
