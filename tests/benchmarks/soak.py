"""A long run of everything at once: what must never happen is looked for, memory is told by the minute.

python -m tests.benchmarks.soak [--minutes 15] [--articles 43000] [--workers 2] [--json F]

Reads of all lists by known and new readers, events with the request ids of real answers, new, changed and
removed articles, one promote, one rollback, one worker killed. The client repeats what a killed worker's
connection lost, with the same event ids; an HTTP answer other than 2xx is a failure, and is not repeated.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from recsys.bundle import Registry, open_bundle
from recsys.snapshot import read_articles
from recsys.store import open_store
from tests.benchmarks.clients import resident_mb, workers_of
from tests.benchmarks.common import add_folder, work_folder
from tests.benchmarks.live import article_of, title_of
from tests.benchmarks.world_readers import reader_name
from tests.benchmarks.worlds import NOW
from tests.serving.bundles import SECOND, second_bundle
from tests.serving.server import SECRET, Server

_EVENTS_A_SECOND, _A_CALL, _READERS = 200, 5, 3
_REPEATS = 40
_ASKED = 20_000
_SETTLED = 0.25
Sample = tuple[float, dict[int, float]]


@dataclass
class Tally:
    """What the clients met; each client has its own.

    Attributes:
        answers: by route.
        failures: what was no good answer, in words.
        reset: connections that a killed worker lost; each request was repeated.
        acknowledged: event ids that were answered with 202 and counted as accepted or duplicate.
        milliseconds: of reads.
    """

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    reset: int = 0
    acknowledged: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


class Client:
    """One caller with a connection of its own.

    Args:
        base: URL of the service.
        tally: of this caller.
    """

    def __init__(self, base: str, tally: Tally) -> None:
        self._http, self._tally = httpx.Client(base_url=base, timeout=30), tally

    def call(self, kind: str, method: str, path: str, **more: Any) -> httpx.Response | None:
        """The answer; a lost connection is tried again, another status than 2xx is a failure."""
        for _ in range(_REPEATS):
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError:
                self._tally.reset += 1
                time.sleep(0.05)
                continue
            self._tally.answers[kind] += 1
            if answer.status_code // 100 != 2:
                self._tally.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
                return None
            return answer
        self._tally.failures.append(f"{method} {path}: no connection after {_REPEATS} attempts")
        return None

    def close(self) -> None:
        """End its connection."""
        self._http.close()


@dataclass
class Soak:
    """Everything that runs against one service.

    Attributes:
        server: the service.
        articles: ids of its bundle that are asked for.
        seconds: for how long.
        second: version of the other bundle.
    """

    server: Server
    articles: Sequence[str]
    seconds: float
    second: str
    tallies: list[Tally] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> None:
        """All at once, until the time is over."""
        self.started = time.monotonic()
        work = [*[lambda at=at: self._read(at) for at in range(_READERS)], self._publish, self._steer]
        threads = [threading.Thread(target=one) for one in work]
        for thread in threads:
            thread.start()
        while self._going():
            self._sample()
            time.sleep(min(self.seconds / 15, 15.0))
        for thread in threads:
            thread.join()
        self._sample()
        for client in self.clients:
            client.close()

    def _going(self) -> bool:
        return time.monotonic() - self.started < self.seconds

    def _client(self) -> tuple[Client, Tally]:
        tally = Tally()
        client = Client(self.server.base, tally)
        self.tallies.append(tally)
        self.clients.append(client)
        return client, tally

    def _sample(self) -> None:
        sizes = {}
        for pid in workers_of(self.server.process.pid):
            with suppress(FileNotFoundError, ProcessLookupError):
                sizes[pid] = resident_mb(pid)
        self.samples.append((time.monotonic() - self.started, sizes))

    def _read(self, which: int) -> None:
        """A list for a reader, now and then a public one, then events that name what was answered."""
        client, tally = self._client()
        rng, number, pause = random.Random(which), 0, _A_CALL * _READERS / _EVENTS_A_SECOND
        due = time.monotonic()
        while self._going():
            path, who = self._asked(rng, which, number)
            begun = time.perf_counter()
            answer = client.call(path.split("?")[0].replace(str(number), ""), "GET", path)
            tally.milliseconds.append((time.perf_counter() - begun) * 1e3)
            if answer is not None:
                rows = events_of(answer.json(), who, f"{which}-{number}", rng)
                self._tell(client, tally, rows)
            number += 1
            due += pause
            time.sleep(max(due - time.monotonic(), 0.0))

    def _asked(self, rng: random.Random, which: int, number: int) -> tuple[str, str]:
        who = reader_name(rng.randrange(5_000)) if rng.random() < 0.7 else f"new-{which}-{number}"
        article = rng.choice(self.articles)
        return rng.choice([
            f"/v1/page?article_id={article}&session_id={who}",
            f"/v1/page?lists=for_you,must_reads&session_id={who}",
            f"/v1/articles/{article}/related",
            "/v1/popular",
            "/v1/latest",
            "/v1/must-reads",
        ]), who  # fmt: skip

    def _tell(self, client: Client, tally: Tally, rows: list[dict[str, Any]]) -> None:
        answer = client.call("/v1/events", "POST", "/v1/events", json=rows)
        if answer is None:
            return
        told = answer.json()
        if told["rejected"]:
            tally.failures.append(f"events rejected: {told['rejected'][:2]}")
        tally.acknowledged.extend(row["event_id"] for row in rows)

    def _publish(self) -> None:
        """An article a second; every third is changed later, every fourth removed."""
        client, _ = self._client()
        secret, number = {"X-API-Key": SECRET}, 0
        while self._going():
            title = f"{title_of(0, number)}, says number {number}"
            body = {"title": title, "section": f"Section {number % 20}"}
            client.call("put", "PUT", f"/v1/articles/{article_of(0, number)}", json=body, headers=secret)
            if number % 3 == 2:
                path = f"/v1/articles/{article_of(0, number - 1)}"
                client.call("patch", "PATCH", path, json={"title": f"{title}, changed"}, headers=secret)
            if number % 4 == 3:
                client.call("delete", "DELETE", f"/v1/articles/{article_of(0, number - 3)}", headers=secret)
            number += 1
            time.sleep(max(self.started + number - time.monotonic(), 0.0))

    def _steer(self) -> None:
        """Promote at a quarter, roll back at a half, kill a worker at three quarters."""
        client, _ = self._client()
        secret = {"X-API-Key": SECRET}
        self._at(0.25)
        client.call("promote", "POST", f"/v1/models/{self.second}:promote", headers=secret)
        self._at(0.5)
        client.call("rollback", "POST", "/v1/models:rollback", headers=secret)
        self._at(0.75)
        before = workers_of(self.server.process.pid)
        os.kill(before[0], signal.SIGKILL)
        begun = time.monotonic()
        while self._going():
            now = workers_of(self.server.process.pid)
            if before[0] not in now and len(now) == len(before):
                self.notes.append(
                    f"a worker was killed; another was started after {time.monotonic() - begun:.1f} s"
                )
                return
            time.sleep(0.2)
        self.notes.append("NO worker took the place of the one that was killed")

    def _at(self, share: float) -> None:
        time.sleep(max(self.started + share * self.seconds - time.monotonic(), 0.0))


def events_of(answer: dict[str, Any], who: str, prefix: str, rng: random.Random) -> list[dict[str, Any]]:
    """Impressions of what was answered, and a click on it that opens an article."""
    lists = answer.get("lists") or {answer["surface"]: answer}
    named = {name: answer[name] for name in ("request_id", "list_id") if name in answer}
    shown = [(surface, item) for surface, one in lists.items() for item in one["items"]]
    rng.shuffle(shown)
    rows = []
    for at, (surface, item) in enumerate(shown[:_A_CALL]):
        kind = "click" if at == 0 else "impression"
        row = {"event_id": f"{prefix}-{at}", "type": kind, "ts": NOW.isoformat(), "surface": surface, **named}
        rows.append(
            {**row, "session_id": who, "article_id": item["article_id"], "position": item["position"]}
        )
    return rows


@dataclass(frozen=True)
class Outcome:
    """What a soak showed.

    Attributes:
        figures: by name, for people and ``--json``.
        wrong: what must not be, in words; empty where all is well.
        samples: seconds, megabytes by worker.
    """

    figures: dict[str, Any]
    wrong: list[str]
    samples: list[Sample]


def soak(models: Path, folder: Path, seconds: float, workers: int = 2) -> Outcome:
    """Run and judge; ``models`` gets a second bundle."""
    registry = Registry(models)
    bundle = open_bundle(registry.path(registry.require_current()))
    articles = [article.article_id for article in islice(read_articles(bundle), _ASKED)]
    if (models / SECOND).is_dir():
        shutil.rmtree(models / SECOND)
    second = second_bundle(models)
    store = folder / f"soak-{time.monotonic_ns()}.db"
    server = Server(models, store, NOW, "--workers", str(workers))
    try:
        running = Soak(server, articles, seconds, second)
        running.run()
    finally:
        server.stop()
    return judged(running, store)


def judged(done: Soak, store_path: Path) -> Outcome:
    """What the clients met beside what the store holds."""
    store = open_store(f"sqlite:///{store_path}")
    stored = Counter(event.event_id for event in store.iter_events(None))
    store.close()
    acknowledged = [name for tally in done.tallies for name in tally.acknowledged]
    lost = set(acknowledged) - set(stored)
    doubled = [name for name, times in stored.items() if times > 1]
    failures = [one for tally in done.tallies for one in tally.failures]
    unasked = set(stored) - set(acknowledged)
    times = sorted(value for tally in done.tallies for value in tally.milliseconds)
    answers = sum((tally.answers for tally in done.tallies), Counter())
    grown, levels = growth_of(done.samples)
    figures = {
        "seconds": round(done.seconds),
        "answers": sum(answers.values()),
        "reads p50 / p99 / highest, ms": [round(times[int(len(times) * q)], 1) for q in (0.5, 0.99)]
        + [round(times[-1], 1)],
        "events acknowledged": len(acknowledged),
        "events stored": sum(stored.values()),
        "lost": len(lost),
        "doubled": len(doubled),
        "stored without an answer": len(unasked),
        "failed": len(failures),
        "connections lost with the killed worker, repeated": sum(tally.reset for tally in done.tallies),
        "puts, patches, deletes, promotes, rollbacks": [
            answers[k] for k in ("put", "patch", "delete", "promote", "rollback")
        ],
        "memory growth of a worker while its bundle stays, MB an hour": grown,
        "MB of a worker at the end of each quarter (promote, rollback, kill between them)": levels,
        "notes": done.notes,
    }
    wrong = failures[:10] + [note for note in done.notes if note.startswith("NO")]
    wrong += [f"lost: {name}" for name in sorted(lost)[:5]] + [f"doubled: {name}" for name in doubled[:5]]
    return Outcome(figures, wrong, done.samples)


def growth_of(samples: list[Sample]) -> tuple[float | None, list[float]]:
    """How memory grows while bundles stay, and what it is at the end of each part of the run.

    Returns:
        Megabytes an hour of one worker, least squares with a level of its own for each worker and part;
        None with too few samples. And megabytes of one worker at the end of each quarter of the run.
    """
    whole = samples[-1][0] or 1.0
    parts: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for at, sizes in samples:
        quarter = min(int(at / whole * 4), 3)
        for pid, size in sizes.items():
            # after a change a bundle is loaded and the old one let go
            if at / whole * 4 - quarter > _SETTLED:
                parts.setdefault((pid, quarter), []).append((at, size))
    over = under = 0.0
    for kept in parts.values():
        middle, level = (statistics.mean(values) for values in zip(*kept, strict=True))
        over += sum((at - middle) * (size - level) for at, size in kept)
        under += sum((at - middle) ** 2 for at, _ in kept)
    first = next(iter(samples[0][1]), None)
    levels = [round(kept[-1][1], 1) for (pid, _), kept in sorted(parts.items()) if pid == first]
    return (round(over / under * 3600, 1) if under else None), levels


def main() -> None:
    """Read the call, run, print; exit code 1 if anything was wrong."""
    from tests.benchmarks.run import embedder_for
    from tests.benchmarks.worlds import published, registry_of

    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--minutes", type=float, default=15.0)
    call.add_argument("--articles", type=int, default=43_000)
    call.add_argument("--workers", type=int, default=2)
    call.add_argument("--json", type=Path)
    add_folder(call)
    asked = call.parse_args()
    with work_folder(asked.folder) as folder:
        model_id = embedder_for(registry_of(folder, asked.articles))
        models = published(folder, asked.articles, model_id)
        outcome = soak(models, folder, asked.minutes * 60, asked.workers)
    for name, value in outcome.figures.items():
        print(f"{name}: {value}")
    print("minute: megabytes of each worker")
    for at, sizes in outcome.samples:
        print(f"{at / 60:6.1f}: {'  '.join(f'{size:.0f}' for size in sizes.values())}")
    if asked.json is not None:
        asked.json.write_text(
            json.dumps({**outcome.figures, "samples": outcome.samples}, indent=1), encoding="utf-8"
        )
    for line in outcome.wrong:
        print(f"WRONG: {line}")
    raise SystemExit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
