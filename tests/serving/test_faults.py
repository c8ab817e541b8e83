"""What goes wrong around a store: lists go on from what is known, and nothing acknowledged is lost."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recsys.errors import StoreError
from recsys.store import open_store
from recsys.store.sqlite import SqliteStore
from tests.builders import event
from tests.conftest import Newsroom, copy_models
from tests.serving.faults import (
    eventually,
    full_disk,
    kill_worker,
    lists_go_on,
    refused,
    some,
    write_lock,
)
from tests.serving.server import Server, ids
from tests.serving.test_events import Storm

ROOT = Path(__file__).parents[2]
CONTEXT = "sport-cup-final"


@pytest.fixture
def service(newsroom: Newsroom, tmp_path: Path) -> Iterator[Server]:
    running = Server(copy_models(newsroom.models, tmp_path / "models"), tmp_path / "s.db", newsroom.now)
    yield running
    running.stop()


def kept(path: Path) -> list[str]:
    store = open_store(f"sqlite:///{path}", create=False)
    try:
        return [found.event_id for found in store.iter_events()]
    finally:
        store.close()


def is_logged(path: Path, request_id: str) -> bool:
    store = open_store(f"sqlite:///{path}", create=False)
    try:
        return bool(store.find_exposures(request_id))
    finally:
        store.close()


def named(rows: list[dict[str, str]]) -> set[str]:
    return {row["event_id"] for row in rows}


def lost(service: Server) -> float:
    found = re.search(r"^recsys_exposures_lost_total ([\d.e+]+)", service.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_locked_store_holds_up_no_list_and_loses_nothing(newsroom: Newsroom, service: Server) -> None:
    first, second = some(newsroom), some(newsroom)
    service.send(*first)
    with write_lock(service.store):
        lists_go_on(service, CONTEXT)
        refused(service, second)
        lists_go_on(service, CONTEXT)
    assert service.send(*first, *second) == {"accepted": 20, "duplicates": 20, "rejected": []}
    service.kill()
    assert sorted(kept(service.store)) == sorted(named(first) | named(second))


def test_a_full_disk_refuses_events_and_counts_lists_that_are_lost(
    newsroom: Newsroom, service: Server
) -> None:
    first, second = some(newsroom), some(newsroom, 900)
    service.send(*first)
    with full_disk(service.process.pid, 64):
        refused(service, second)
        lists_go_on(service, CONTEXT)
        service.get("/v1/page", session_id="s", article_id=CONTEXT)
        eventually(lambda: lost(service) > 0)
        lists_go_on(service, CONTEXT)
    assert service.send(*second)["accepted"] == 900
    service.get("/v1/page", session_id="later", article_id=CONTEXT)
    service.stop()
    assert sorted(kept(service.store)) == sorted(named(first) | named(second))
    store = open_store(f"sqlite:///{service.store}")
    assert "later" in {found.session_id for found in store.iter_exposures()}
    store.close()


def test_a_store_that_breaks_while_it_is_used_stops_no_list(newsroom: Newsroom, service: Server) -> None:
    service.send(*some(newsroom))
    size = service.store.stat().st_size
    with service.store.open("r+b") as file:
        file.write(os.urandom(size))
    service.store.with_name("s.db-wal").write_bytes(b"")
    lists_go_on(service, CONTEXT)
    # what SQLite still has in memory may hide it for a while
    assert service.http.post("/v1/events", json=some(newsroom, 300)).status_code in (202, 503)
    lists_go_on(service, CONTEXT)


def test_a_store_that_is_broken_at_the_start_is_refused_with_the_next_step(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    (tmp_path / "s.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(RuntimeError, match=r"file is not a database[\s\S]*recsys doctor"):
        Server(newsroom.models, tmp_path / "s.db", newsroom.now)


def test_a_place_that_may_not_be_written_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir()
    SqliteStore(str(tmp_path / "shut" / "s.db")).close()
    for path in ((tmp_path / "shut").iterdir(), [tmp_path / "shut"]):
        for each in path:
            each.chmod(0o555 if each.is_dir() else 0o444)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            SqliteStore(str(tmp_path / "shut" / "s.db"))
        except StoreError as error:
            code = 0 if "may be written" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_two_services_on_one_file_see_each_other(newsroom: Newsroom, service: Server) -> None:
    other = Server(service.models, service.store, newsroom.now)
    try:
        service.secret("PUT", f"/v1/articles/{CONTEXT}", json={"title": "The cup final", "section": "Sport"})
        one, two = some(newsroom, 400), some(newsroom, 400)
        service.send(*one)
        other.send(*two)
        for each in (service, other):
            eventually(
                lambda each=each: ids(each.get("/v1/popular", limit=1).json()["items"]) == [CONTEXT]  # type: ignore[misc]
            )
        assert other.send(*one)["duplicates"] == 400
        for each in (service, other):
            each.get("/v1/page", session_id=f"of {each.port}".replace(" ", "-"))
    finally:
        other.stop()
    service.stop()
    assert sorted(kept(service.store)) == sorted(named(one) | named(two))
    store = open_store(f"sqlite:///{service.store}")
    readers = {found.session_id for found in store.iter_exposures()}
    store.close()
    assert readers == {f"of-{service.port}", f"of-{other.port}"}


def killed_again_and_again(newsroom: Newsroom, folder: Path, times: int) -> None:
    """Workers and parents die in turn, under events and lists."""
    service = Server(newsroom.models, folder / "s.db", newsroom.now, "--workers", "2")
    chance, promised, shown = random.Random(5), set[str](), list[str]()
    for turn in range(times):
        storm = Storm(service.base, newsroom.now.isoformat(), f"w{turn}")
        while len(storm.acknowledged) < 20:
            time.sleep(0.01)
        answer = httpx.get(f"{service.base}/v1/page", params={"session_id": f"s{turn}"}).json()
        if turn % 10 == 0:
            # the log of lists is written once a second; what stands in it stays
            eventually(lambda request_id=answer["request_id"]: is_logged(folder / "s.db", request_id))  # type: ignore[misc]
            shown.append(answer["request_id"])
        else:
            time.sleep(chance.random() * 0.3)
        if turn % 2:
            kill_worker(service, turn)
            time.sleep(chance.random() * 0.1)
        service.kill()
        storm.join()
        promised |= storm.acknowledged
        service.start()
    service.stop()
    found = kept(folder / "s.db")
    assert len(promised) >= 20 * times
    assert promised <= set(found)
    assert len(found) == len(set(found))
    store = open_store(f"sqlite:///{folder / 's.db'}")
    keys = [(each.request_id, each.surface) for each in store.iter_exposures()]
    store.close()
    assert len(keys) == len(set(keys))
    assert set(shown) <= {request_id for request_id, _ in keys}


def test_killed_workers_and_parents_lose_and_double_nothing(newsroom: Newsroom, tmp_path: Path) -> None:
    killed_again_and_again(newsroom, tmp_path, 2)


@pytest.mark.slow
def test_a_hundred_killed_workers_and_parents_lose_and_double_nothing(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    killed_again_and_again(newsroom, tmp_path, 100)


def test_a_killed_worker_is_replaced_and_lists_go_on(newsroom: Newsroom, tmp_path: Path) -> None:
    service = Server(newsroom.models, tmp_path / "s.db", newsroom.now, "--workers", "2")
    try:
        rows = some(newsroom)
        service.send(*rows)
        kill_worker(service, 0)
        answered = 0
        for _ in range(40):
            try:
                answered += httpx.get(f"{service.base}/v1/popular").status_code == 200
            except httpx.TransportError:
                time.sleep(0.05)
        assert answered >= 35
        with httpx.Client(base_url=service.base) as http:
            assert http.post("/v1/events", json=rows).json()["duplicates"] == 20
    finally:
        service.stop()


ACKNOWLEDGING = """
import sys, time
from recsys.store.sqlite import SqliteStore
from tests.builders import event
store, number = SqliteStore(sys.argv[1]), 0
while True:
    batch = [event(f"e{number + at}", "a") for at in range(20)]
    number += 20
    if sys.argv[2] == "first":
        print(*[each.event_id for each in batch], flush=True)
        time.sleep(0.02)
    store.append_events(batch)
    if sys.argv[2] == "last":
        print(*[each.event_id for each in batch], flush=True)
"""


def lost_by(order: str, folder: Path) -> int:
    """How many acknowledged events five kills lose, if they are acknowledged first or last."""
    gone = 0
    for turn in range(5):
        path = folder / f"{order}{turn}.db"
        command = [sys.executable, "-c", ACKNOWLEDGING, str(path), order]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            seen = [writer.stdout.readline() for _ in range(3)]
            writer.send_signal(signal.SIGKILL)
            seen += writer.stdout.readlines()
        acknowledged = {name for line in seen if line.endswith("\n") for name in line.split()}
        gone += len(acknowledged - set(kept(path)))
    return gone


def test_acknowledging_before_the_commit_would_lose_events(tmp_path: Path) -> None:
    assert lost_by("first", tmp_path) > 0
    assert lost_by("last", tmp_path) == 0


@pytest.mark.slow
def test_a_tail_that_memory_would_not_hold_is_read_in_parts(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "s.db"))
    for start in range(0, 200_000, 1000):
        store.append_events([event(f"e{start + at}", "a", minutes_ago=float(start)) for at in range(1000)])
    tracemalloc.start()
    assert sum(1 for _ in store.iter_events()) == 200_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    store.close()
