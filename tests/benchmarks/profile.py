"""Where the time of a request goes.

python -m tests.benchmarks.profile [--list for_you] [--articles 43000] [--top 25] [--sort own|total]

The real application is called in process: its stages, the functions with the most time of their own, and
what the same request costs more over HTTP, which is uvicorn, the parsing of HTTP and the sockets.
"""

import argparse
import cProfile
import pstats
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.clients import Connection, cpu_seconds, get
from tests.benchmarks.common import add_folder, work_folder
from tests.benchmarks.in_process import InProcess, running
from tests.benchmarks.run import embedder_for
from tests.benchmarks.stages import LISTS, Told, path_of, stages_of
from tests.benchmarks.worlds import NOW, published, registry_of
from tests.serving.server import Server

_TIMES, _READERS = 500, 200
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Read the call, measure, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--list", choices=LISTS, default="for_you", dest="name")
    call.add_argument("--articles", type=int, default=43_000)
    call.add_argument("--top", type=int, default=25)
    call.add_argument("--sort", choices=("own", "total"), default="own")
    add_folder(call)
    asked = call.parse_args()
    console = Console(width=130)
    with work_folder(asked.folder) as folder:
        models = published(folder, asked.articles, embedder_for(registry_of(folder, asked.articles)))
        with running(models, folder / f"in-process-{time.monotonic_ns()}.db") as service:
            told = stages_of(service, asked.name)
            cpu = cpu_in_process(service, asked.name)
            functions = functions_of(service, asked.name, asked.top, asked.sort)
        over = cpu_over_http(models, folder / f"http-{time.monotonic_ns()}.db", asked.name)
    console.print(stage_table(asked.name, told))
    console.print(f"processor time a request: {cpu:,.0f} us in process, {over:,.0f} us over HTTP;")
    console.print(f"uvicorn, HTTP and sockets: {over - cpu:,.0f} us ({(over - cpu) / over:.0%})")
    console.print(functions)


def stage_table(name: str, told: Told) -> Table:
    """Stages in their order, their sum, the whole."""
    table = Table(f"{name}: stage", "us p50", "share")
    for stage, spent in told.stages.items():
        table.add_row(stage, f"{spent:,.0f}", f"{spent / told.whole:.0%}")
    table.add_section()
    table.add_row("in no stage", f"{told.rest:,.0f}", f"{told.rest / told.whole:.0%}")
    table.add_row("the whole request", f"{told.whole:,.0f}", "")
    return table


def cpu_in_process(service: InProcess, name: str) -> float:
    """Processor microseconds of the application for a request."""
    begun = time.process_time()
    for at in range(_TIMES):
        service.ask(path_of(name, at % _READERS))
    return (time.process_time() - begun) / _TIMES * 1e6


def cpu_over_http(models: Path, store: Path, name: str) -> float:
    """Processor microseconds of the service for the same request."""
    server = Server(models, store, NOW)
    try:
        connection = Connection(server.port)
        for at in range(_READERS):
            connection.ask(get(path_of(name, at)))
        times = 2 * _TIMES
        before = cpu_seconds(server.process.pid)
        for at in range(times):
            connection.ask(get(path_of(name, at % _READERS)))
        return (cpu_seconds(server.process.pid) - before) / times * 1e6
    finally:
        server.stop()


def functions_of(service: InProcess, name: str, top: int, sort: str) -> Table:
    """The functions that take most; times under the profiler, which makes small functions look dearer."""
    profiler = cProfile.Profile()
    profiler.enable()
    for at in range(_TIMES):
        service.ask(path_of(name, at % _READERS))
    profiler.disable()
    rows = [
        (own / _TIMES * 1e6, total / _TIMES * 1e6, calls / _TIMES, place_of(*where))
        for where, (_, calls, own, total, _) in pstats.Stats(profiler).stats.items()  # type: ignore[attr-defined]
    ]
    rows.sort(key=lambda row: row[0 if sort == "own" else 1], reverse=True)
    table = Table("function", "own us", "with callees us", "calls", title="under the profiler, a request")
    for own, total, calls, place in rows[:top]:
        table.add_row(place, f"{own:,.1f}", f"{total:,.1f}", f"{calls:,.1f}")
    return table


def place_of(file: str, line: int, function: str) -> str:
    """Where a function is, short."""
    path = Path(file)
    if path.is_relative_to(ROOT) and "site-packages" not in file:
        return f"{path.relative_to(ROOT)}:{line} {function}"
    return function if file == "~" else f"{path.name}:{line} {function}"


if __name__ == "__main__":
    main()
