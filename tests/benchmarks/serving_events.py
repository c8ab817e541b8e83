"""Durable events over 64 connections, beside the same endpoint storing nothing."""

import json
import statistics

from tests.benchmarks import tool
from tests.benchmarks.clients import Reference, cpu_seconds
from tests.benchmarks.common import Figure, ratio_of
from tests.benchmarks.world_readers import reader_name
from tests.benchmarks.worlds import NOW
from tests.serving.server import Server

_CONNECTIONS, _AMOUNT = 64, 6_400


def requests_to(path: str, turn: int) -> list[dict[str, str]]:
    """One view in a call, as a browser sends it; no event id comes twice."""
    found = []
    for at in range(_AMOUNT):
        row = {"event_id": f"{turn}-{at}", "type": "view", "ts": NOW.isoformat()}
        row |= {"article_id": f"article-{at % 997}", "session_id": reader_name(at * 7 % 5_000)}
        found.append({"path": path, "method": "POST", "body": json.dumps(row)})
    return found


def measure(server: Server, rounds: int) -> list[Figure]:
    """Rates in turns, processor time beside them; every acknowledged event must be stored, once."""
    reference = Reference(100)
    asks = ((server.port, server.process.pid, "/v1/events"),
            (reference.port, reference.process.pid, "/events"))  # fmt: skip
    rates: tuple[list[float], list[float]] = ([], [])
    costs: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for at, (port, pid, path) in enumerate(asks):
            requests = requests_to(path, turn)
            before = cpu_seconds(pid)
            driven = tool.drive(port, requests, _AMOUNT, _CONNECTIONS)
            if turn:  # the first turn warms up
                rates[at].append(driven.rate)
                costs[at].append((cpu_seconds(pid) - before) / _AMOUNT * 1e6)
    reference.stop()
    stored = stored_events(server)
    if stored != _AMOUNT * (rounds + 1):
        raise RuntimeError(f"{_AMOUNT * (rounds + 1)} events were acknowledged, {stored} are stored")
    ratio, spread = ratio_of(rates[0], rates[1])
    by_cost, cost_spread = ratio_of(costs[1], costs[0])
    name = "durable events, one a call, 64 connections"
    rate, cost = statistics.median(rates[0]), statistics.median(costs[0])
    faster = f"{name}: rate against storing nothing"
    cheaper = f"{name}: CPU of storing nothing / ours"
    return [
        Figure(faster, rate, "a second", ratio, spread, ">= 0.50", ratio >= 0.5),
        Figure(cheaper, cost, "CPU us", by_cost, cost_spread),
    ]


def stored_events(server: Server) -> int:
    """How many events the store of a service holds."""
    from recsys.store import open_store

    store = open_store(f"sqlite:///{server.store}")
    try:
        return sum(1 for _ in store.iter_events(None))
    finally:
        store.close()
