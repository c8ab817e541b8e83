"""``recsys store``: export, dump, restore and forget, on a real store that another process writes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from recsys.schemas import Exposure, ExposureItem
from recsys.store import Store, open_store
from tests.builders import NOW, article, event
from tests.training.command import Answer, recsys
from training.dumping import DUMP_MANIFEST, manifest_bytes
from training.storage import days_until_full, storage_of

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
EVENTS, LISTS = 3_000, 1_000


def fill(store: Store) -> None:
    """3,000 events, 1,000 lists, 200 articles of which 20 are deleted; user ``u7`` among them."""
    store.put_articles(
        [article(f"a{i}", body=f"Text {i} \u00fc\n\u2028", tags=["x"]) for i in range(200)], NOW
    )
    for i in range(180, 200):
        store.delete_article(f"a{i}", NOW + timedelta(seconds=i))
    made = [event(f"e{i}", f"a{i % 200}", minutes_ago=(i * 7919 % EVENTS) / 7) for i in range(EVENTS)]
    users = [e.model_copy(update={"user_id": f"u{i % 100}"}) if i % 2 else e for i, e in enumerate(made)]
    store.append_events(users)
    item = ExposureItem(article_id="imported", position=1, score=0.1 + 0.2, propensity=1 / 3)
    store.append_exposures(
        [
            Exposure(
                request_id=f"r{i}", surface="popular", ts=NOW - timedelta(minutes=i % 300),
                user_id=f"u{i % 100}", items=[item],
            )
            for i in range(LISTS)
        ]
    )  # fmt: skip
    store.put_rules([{"id": "one", "hide": ["a1"]}], 0)
    store.put_rules([], 1)
    rows = np.random.default_rng(1).normal(size=(50, 24)).astype(np.float32)
    store.put_vectors({f"d{i}": row for i, row in enumerate(rows)})
    store.forget("u3")


@pytest.fixture
def url(tmp_path: Path) -> str:
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    fill(store)
    store.close()
    return f"sqlite:///{tmp_path}/s.db"


WRITER = """
import sys
from tests.builders import *
from recsys.store import open_store
store, number = open_store(sys.argv[1]), 0
while True:
    store.append_events([event(f"w{number}-{i}", "a1") for i in range(20)])
    store.put_articles([article(f"a{number % 180}", title=f"Changed {number}")], NOW)
    number += 1
    if number == 1:
        print("writing", flush=True)
"""


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Another process that appends events and changes articles all the time."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "writing\n"
            yield
            assert writer.poll() is None
        finally:
            writer.send_signal(signal.SIGKILL)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def told(answer: Answer) -> dict[str, int]:
    assert answer.code == 0, answer.err
    found: dict[str, int] = json.loads(answer.out)
    return found


def test_an_export_is_valid_data_by_time_and_says_what_it_leaves_out(
    url: str, tmp_path: Path, capsys: Capture
) -> None:
    counts = told(recsys(capsys, "store", "export", "--store", url, "--out", tmp_path / "data", "--json"))
    # u3 had every hundredth event and list
    assert counts == {
        "articles": 180, "events": EVENTS - 30, "exposures": LISTS - 10, "tombstones": 20,
        "unknown_articles": 21,
    }  # fmt: skip
    assert recsys(capsys, "validate", tmp_path / "data").code == 0
    for table in ("events", "exposures"):
        times = pq.read_table(tmp_path / "data" / table).column("ts").to_pylist()
        assert (len(times), times) == (counts[table], sorted(times))
    again = recsys(capsys, "store", "export", "--store", url, "--out", tmp_path / "data")
    assert ("180" in again.out, "20 deleted articles are left out" in again.err) == (True, True)
    assert "21 articles are referred to but not in the store" in again.err


def test_an_export_since_a_time_holds_what_came_from_then_on(
    url: str, tmp_path: Path, capsys: Capture
) -> None:
    since = NOW - timedelta(minutes=60)
    counts = told(
        recsys(
            capsys, "store", "export", "--store", url, "--out", tmp_path / "data",
            "--since", since.isoformat(), "--json",
        )
    )  # fmt: skip
    store = open_store(url)
    assert counts["articles"] == 180
    assert 0 < counts["events"] == len(list(store.iter_events(since))) < EVENTS
    assert 0 < counts["exposures"] == len(list(store.iter_exposures(since))) < LISTS
    store.close()


def test_export_and_dump_are_of_one_moment_while_another_process_writes(
    url: str, tmp_path: Path, capsys: Capture
) -> None:
    with writing(url):
        for turn in range(3):
            told(recsys(capsys, "store", "export", "--store", url, "--out", tmp_path / "data", "--json"))
            assert recsys(capsys, "validate", tmp_path / "data").code == 0
            counts = told(recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "d", "--json"))
            target = f"sqlite:///{tmp_path}/restored-{turn}.db"
            assert (
                told(recsys(capsys, "store", "restore", tmp_path / "d", "--store", target, "--json"))
                == counts
            )
            events = [
                orjson.loads(line) for line in (tmp_path / "d" / "events.jsonl").read_bytes().splitlines()
            ]
            written = [row["event"]["event_id"] for row in events if row["event"]["event_id"][0] == "w"]
            # the writer commits twenty events, then one article
            assert len(written) % 20 == 0
            articles = (tmp_path / "d" / "articles.jsonl").read_bytes()
            latest = max([-1, *(int(t.split(b'"')[0]) for t in articles.split(b"Changed ")[1:])])
            assert len(written) // 20 - 1 in (latest, latest + 1)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_dump_restore_dump_gives_the_same_bytes(url: str, tmp_path: Path, capsys: Capture) -> None:
    counts = told(recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "one", "--json"))
    assert counts == {
        "articles": 200,
        "events": 2970,
        "exposures": 990,
        "experiments": 0,
        "rules": 2,
        "vectors": 50,
    }
    target = f"sqlite:///{tmp_path}/new/restored.db"
    assert recsys(capsys, "store", "restore", tmp_path / "one", "--store", target).code == 0
    assert recsys(capsys, "store", "dump", "--store", target, "--out", tmp_path / "two").code == 0
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 7
    assert recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "one").code == 0
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_forget_says_how_many_and_leaves_the_others(url: str, capsys: Capture) -> None:
    forgotten = told(recsys(capsys, "store", "forget", "u7", "--store", url, "--json"))
    assert forgotten == {"events": 30, "exposures": 10}
    answer = recsys(capsys, "store", "forget", "u7", "--store", url)
    assert (answer.code, answer.out) == (0, "0 events and 0 served lists erased\n")
    store = open_store(url)
    with store.snapshot() as snapshot:
        assert snapshot.counts()["events"] == EVENTS - 60
    store.close()


def test_old_events_move_to_days_and_stand_in_every_copy_as_before(
    url: str, tmp_path: Path, capsys: Capture
) -> None:
    # the youngest was seen at NOW, which is long ago for the clock of the command
    assert recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "before").code == 0
    moved = told(recsys(capsys, "store", "age", "--store", url, "--days", "1", "--json"))
    assert moved["events"] in (0, EVENTS - 30)
    store = open_store(url)
    store.age_events(NOW + timedelta(days=2))
    store.close()
    assert recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "after").code == 0
    assert files(tmp_path / "after") == files(tmp_path / "before")
    export = recsys(capsys, "store", "export", "--store", url, "--out", tmp_path / "data", "--json")
    assert told(export)["events"] == EVENTS - 30
    assert told(recsys(capsys, "store", "forget", "u7", "--store", url, "--json"))["events"] == 30


def test_the_doctor_foretells_a_full_disk_from_what_came_lately(url: str, capsys: Capture) -> None:
    store = open_store(url)
    usage = store.usage(NOW - timedelta(days=7))
    assert usage is not None
    assert usage.recent_events == EVENTS - 30
    assert 100 < usage.event_bytes < 1000
    growth = (usage.recent_events * usage.event_bytes + usage.recent_exposure_bytes) / 7
    assert days_until_full(usage, 100 * growth) == pytest.approx(100)
    assert days_until_full(usage._replace(recent_events=0, recent_exposure_bytes=0), 1.0) == float("inf")
    told_of = {name: wrong for name, _, wrong in storage_of(store, NOW)}
    assert told_of.keys() >= {"served lists", "days of disk left"}
    assert set(told_of.values()) == {None}
    store.close()


@pytest.mark.parametrize("command", ["export", "dump", "forget"])
def test_a_store_that_is_not_there_is_not_made(command: str, tmp_path: Path, capsys: Capture) -> None:
    rest = ("u1",) if command == "forget" else ("--out", tmp_path / "out")
    answer = recsys(capsys, "store", command, "--store", f"sqlite:///{tmp_path}/typo.db", *rest)
    assert answer.code == 2
    assert f"there is no store {tmp_path}/typo.db" in answer.err
    other = recsys(capsys, "store", command, "--store", "mysql://x", *rest)
    assert (other.code, "write sqlite:///PATH" in other.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_holds_something_is_not_restored_into(url: str, tmp_path: Path, capsys: Capture) -> None:
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "one")
    answer = recsys(capsys, "store", "restore", tmp_path / "one", "--store", url)
    assert answer.code == 2
    assert "holds 200 articles, 2,970 events" in answer.err
    assert "name a file that is not there yet" in answer.err
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def refused(tmp_path: Path, capsys: Capture, code: int = 1) -> str:
    answer = recsys(capsys, "store", "restore", tmp_path / "d", "--store", f"sqlite:///{tmp_path}/x/new.db")
    assert answer.code == code
    assert not (tmp_path / "x").exists()
    return answer.err


@pytest.mark.parametrize("name", ["articles", "events", "exposures", "rules", "vectors"])
def test_a_flipped_bit_in_a_dump_is_refused(
    name: str, url: str, tmp_path: Path, capsys: Capture, damage: Callable[[Path], None]
) -> None:
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "d")
    damage(tmp_path / "d" / f"{name}.jsonl")
    assert f"{name}.jsonl does not have the size and digest" in refused(tmp_path, capsys)
    (tmp_path / "d" / f"{name}.jsonl").unlink()
    assert f"the dump lacks {tmp_path}/d/{name}.jsonl" in refused(tmp_path, capsys)


def test_any_flipped_byte_in_the_manifest_is_refused(url: str, tmp_path: Path, capsys: Capture) -> None:
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "d")
    manifest = tmp_path / "d" / DUMP_MANIFEST
    whole = manifest.read_bytes()
    for place in range(0, len(whole), 37):
        manifest.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert "nothing was restored" in (err := refused(tmp_path, capsys)) or "newer program" in err
    manifest.write_bytes(manifest_bytes({**orjson.loads(whole), "schema_version": 3}))
    assert "has schema 3, this program reads 2" in refused(tmp_path, capsys)
    manifest.unlink()
    assert f"{tmp_path}/d is no dump" in refused(tmp_path, capsys, code=2)


def test_a_dump_from_before_there_were_experiments_is_restored(
    url: str, tmp_path: Path, capsys: Capture
) -> None:
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "d")
    manifest = orjson.loads((tmp_path / "d" / DUMP_MANIFEST).read_bytes())
    del manifest["tables"]["experiments"]
    (tmp_path / "d" / "experiments.jsonl").unlink()
    (tmp_path / "d" / DUMP_MANIFEST).write_bytes(manifest_bytes({**manifest, "schema_version": 1}))
    target = f"sqlite:///{tmp_path}/new.db"
    assert recsys(capsys, "store", "restore", tmp_path / "d", "--store", target).code == 0


def test_a_dump_that_was_written_by_hand_is_checked_row_by_row(
    url: str, tmp_path: Path, capsys: Capture
) -> None:
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "d")
    lines = (tmp_path / "d" / "events.jsonl").read_bytes().splitlines(keepends=True)
    for line, reason in (
        (lines[8].replace(b'"view"', b'"look"'), "events.jsonl, line 9, event.type"),
        (b"[]\n", "line 9, is no row of a dump"),
        (lines[7], "is there twice"),
        (b"", "has 2,969 rows where"),
    ):
        change_events(tmp_path / "d", b"".join([*lines[:8], line, *lines[9:]]))
        target = f"sqlite:///{tmp_path}/new.db"
        answer = recsys(capsys, "store", "restore", tmp_path / "d", "--store", target)
        assert answer.code == 1
        assert reason.removeprefix("events.jsonl, ").replace("event.type", "type") in answer.err
        store = open_store(target)
        with store.snapshot() as snapshot:
            assert set(snapshot.counts().values()) == {0}
        store.close()


def change_events(folder: Path, content: bytes) -> None:
    """Other events, under digests that fit."""
    import hashlib

    (folder / "events.jsonl").write_bytes(content)
    manifest = orjson.loads((folder / DUMP_MANIFEST).read_bytes())
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    manifest["tables"]["events"].update(bytes=len(content), digest=digest)
    (folder / DUMP_MANIFEST).write_bytes(manifest_bytes(manifest))


def test_a_wrong_call_is_told_what_is_allowed(url: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    export = ("export", "--out", tmp_path / "o")
    for args, reason in (
        ((*export, "--since", "yesterday"), "--since: 'yesterday' is not an RFC 3339 time"),
        ((*export, "--since", "2026-01-01T00:00:00"), "--since: 2026-01-01T00:00:00 has no zone"),
        (("export", "--out", tmp_path / "mine"), "holds something else than an earlier output"),
        (("dump", "--out", tmp_path / "mine"), "holds something else than an earlier dump"),
        (("forget", "two words"), "U+0020"),
    ):  # fmt: skip
        answer = recsys(capsys, "store", *args, "--store", url)
        assert (answer.code, reason in answer.err) == (2, True), answer.err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_export_does_not_take_the_place_of_an_import(url: str, tmp_path: Path, capsys: Capture) -> None:
    recsys(capsys, "simulate", "--articles", 20, "--users", 5, "--days", 1, "--out", tmp_path / "data")
    answer = recsys(capsys, "store", "export", "--store", url, "--out", tmp_path / "data")
    assert (answer.code, (tmp_path / "data" / "truth.json").exists()) == (2, True)


SMALL_DISK = """
import resource, signal, sys
# no file grows beyond this; SQLite needs 32 KB for its shared memory
LIMIT = 33_000
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
sys.argv = ["recsys", *sys.argv[1:]]
from training.cli import main
main()
"""


@pytest.mark.parametrize("command", ["export", "dump"])
def test_a_full_disk_leaves_the_earlier_output(
    command: str, url: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    args = ["store", command, "--store", url, "--out", str(out)]
    assert recsys(capsys, *args).code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = subprocess.run([sys.executable, "-c", SMALL_DISK, *args], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"cannot write {out}" in done.stderr
    assert "free space" in done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_restore_onto_a_full_disk_leaves_nothing(url: str, tmp_path: Path, capsys: Capture) -> None:
    recsys(capsys, "store", "dump", "--store", url, "--out", tmp_path / "d")
    target = f"sqlite:///{tmp_path}/new.db"
    # the empty store is there already: its file fits, what should fill it does not
    open_store(target).close()
    script = SMALL_DISK.replace("33_000", "200_000")
    args = ["store", "restore", str(tmp_path / "d"), "--store", target]
    done = subprocess.run([sys.executable, "-c", script, *args], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "check that the disk has space" in done.stderr
    assert recsys(capsys, *args).code == 0
