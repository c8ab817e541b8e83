"""Lists over HTTP: processor time and throughput beside the reference app, in turns; latency at half load."""

import statistics
import threading
from dataclasses import dataclass, field

from tests.benchmarks import open_loop, tool
from tests.benchmarks.clients import Connection, Reference, cpu_seconds, get
from tests.benchmarks.common import Figure, ratio_of
from tests.benchmarks.world_readers import reader_name
from tests.serving.server import Server

_CONNECTIONS = 16
# processor seconds of a round: a clock tick of 10 ms is then less than a hundredth
_ROUND_SECONDS = 1.3
_IN_ROTATION = 200
_COLD = 8_000
_OPEN_SECONDS = 20.0


@dataclass
class Kind:
    """One kind of request.

    Attributes:
        name: what is told.
        paths: asked in rotation.
        bar: share of the reference's throughput.
    """

    name: str
    paths: list[str]
    bar: float | None
    costs: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def kinds_of(count: int) -> list[Kind]:
    """Warm public lists, the full funnel and a page, each over two hundred articles or readers."""
    articles = [f"article-{at}" for at in range(0, count, count // _IN_ROTATION)][:_IN_ROTATION]
    readers = [reader_name(at) for at in range(_IN_ROTATION)]
    pages = [
        f"/v1/page?article_id={one}&session_id={who}" for one, who in zip(articles, readers, strict=True)
    ]
    return [
        Kind("related, warm cache", [f"/v1/articles/{one}/related" for one in articles], 0.70),
        Kind("popular, warm cache", ["/v1/popular"], 0.70),
        Kind("latest, warm cache", ["/v1/latest"], 0.70),
        Kind("for_you, full funnel", [f"/v1/page?lists=for_you&session_id={who}" for who in readers], 0.25),
        Kind("page of four lists for a reader", pages, None),
    ]


def measure(server: Server, count: int, rounds: int) -> list[Figure]:
    """Every kind beside the reference, the page beside one list, cold answers, latency."""
    kinds, found = kinds_of(count), []
    for kind in kinds:
        found += beside_reference(server, kind, rounds)
    full, page = kinds[-2:]
    ratios = [a / b for a, b in zip(page.costs, full.costs, strict=True)]
    share = statistics.median(ratios)
    spread = (min(ratios), max(ratios))
    found.append(
        Figure("page of four / one full list, CPU", share, "x", None, spread, "<= 2.0", share <= 2.0)
    )
    found += latencies(server, full, statistics.median(full.rates) / 2)
    found.append(cold(server, count))
    return found


def beside_reference(server: Server, kind: Kind, rounds: int) -> list[Figure]:
    """A B A B: ours, the reference with as many bytes."""
    connection = Connection(server.port)
    sizes = [len(connection.ask(get(path))) for path in kind.paths]
    reference = Reference(round(statistics.mean(sizes)))
    asks = ((server.port, server.process.pid, kind.paths),
            (reference.port, reference.process.pid, ["/?limit=10&session_id=s&explain=false"]))  # fmt: skip
    amounts = [enough(*ask) for ask in asks]
    theirs: list[float] = []
    their_rates: list[float] = []
    for _ in range(rounds):
        for ask, amount, costs, rates in zip(
            asks, amounts, (kind.costs, theirs), (kind.rates, their_rates), strict=True
        ):
            cost, rate = one_round(*ask, amount)
            costs.append(cost)
            rates.append(rate)
    reference.stop()
    ratio, spread = ratio_of(theirs, kind.costs)
    faster, fast_spread = ratio_of(kind.rates, their_rates)
    bar, good = ("", None) if kind.bar is None else (f">= {kind.bar:.2f}", ratio >= kind.bar)
    cost, rate = statistics.median(kind.costs), statistics.median(kind.rates)
    return [
        Figure(f"{kind.name}: CPU of the reference / ours", cost, "CPU us", ratio, spread, bar, good),
        Figure(f"{kind.name}: throughput, ours / the reference", rate, "a second", faster, fast_spread),
    ]


def enough(port: int, pid: int, paths: list[str]) -> int:
    """Requests that take the server a round's processor time."""
    amount = _CONNECTIONS * 60
    cost = one_round(port, pid, paths, amount)[0]
    return max(int(_ROUND_SECONDS * 1e6 / cost / _CONNECTIONS), 10) * _CONNECTIONS


def one_round(port: int, pid: int, paths: list[str], amount: int) -> tuple[float, float]:
    """Processor microseconds of the server a request, and requests a second."""
    before = cpu_seconds(pid)
    driven = tool.drive(port, [{"path": path} for path in paths], amount, _CONNECTIONS)
    return (cpu_seconds(pid) - before) / amount * 1e6, driven.rate


def latencies(server: Server, kind: Kind, rate: float) -> list[Figure]:
    """Open loop at half of the largest rate: even arrivals, and arrivals by chance."""
    found = []
    for poisson, how in ((False, "even"), (True, "Poisson")):
        stream = {"name": "full", "rate": rate, "paths": kind.paths}
        met = open_loop.run(server.port, _OPEN_SECONDS, [stream], poisson)["full"]
        late = open_loop.quantile(met.lateness, 0.99)
        name = f"{kind.name}: open loop, {how} arrivals at {rate:,.0f}/s (p50 {met.at(0.5):.1f}, p95"
        name += f" {met.at(0.95):.1f} ms; {met.bad} failed; driver late p99 {late:.2f} ms)"
        p99 = met.at(0.99)
        bar, good = ("", None) if poisson else ("<= 10", p99 <= 10 and not met.bad)
        found.append(Figure(name, p99, "ms p99", bar=bar, good=good))
    return found


def cold(server: Server, count: int) -> Figure:
    """``related`` of articles that nobody asked for yet, spread over all of them."""
    step = max(count // _COLD, 1)
    paths = [f"/v1/articles/article-{at}/related?limit=9" for at in range(0, count, step)][:_COLD]
    before = cpu_seconds(server.process.pid)

    def run(part: list[str]) -> None:
        connection = Connection(server.port)
        for path in part:
            connection.ask(get(path))
        connection.close()

    threads = [threading.Thread(target=run, args=(paths[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cost = (cpu_seconds(server.process.pid) - before) / len(paths) * 1e6
    name = f"related, cold cache, {len(paths):,} articles: {1e6 / cost:,.0f} answers a CPU second"
    return Figure(name, cost, "CPU us")
