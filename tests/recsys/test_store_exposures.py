"""Served lists beside a SQLite file, and the number that tells of changes."""

import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from recsys.errors import StoreError
from recsys.exposed import Exposed, Kept, Known
from recsys.store import Store, open_store
from recsys.store.sqlite import SqliteStore
from tests.builders import NOW, article, event
from tests.contracts.contents import exposure

ROOT = Path(__file__).parents[2]
T = NOW.timestamp()


def exposed(name: str, seconds: float = 0.0, user: str = "u", surface: str = "latest") -> Exposed:
    known, asked = Known(3, 2, 1), {"limit": 2, "now": T}
    item: Any = ("a",), (1.0,), ("latest",), (1.0,)
    return Exposed(name, surface, T + seconds, ("user_id", user), *item, known=known, asked=asked)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(str(tmp_path / "s.db"))


def test_lists_come_by_time_however_they_were_written(store: SqliteStore, tmp_path: Path) -> None:
    made = [exposed(f"r{number}", number * 7.0) for number in range(3000)]
    shuffled = Random(1).sample(made, len(made))
    other = SqliteStore(str(tmp_path / "s.db"))
    for start in range(0, len(made), 100):
        (store, other)[start // 100 % 2].append_exposures(shuffled[start : start + 100])
    store.append_exposures(made[:50])
    found = list(store.iter_exposures())
    assert [each.request_id for each in found] == [each.request_id for each in made]
    since, until = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    part = [each.request_id for each in store.iter_exposures(since, until)]
    assert part == [each.request_id for each in made if 3600 <= each.ts - T < 7200]
    first = found[0]
    assert isinstance(first, Kept)
    assert (first.known, first.asked) == (made[0].known, made[0].asked)


def test_a_follower_sees_every_list_of_every_writer_once(store: SqliteStore, tmp_path: Path) -> None:
    other, seen = SqliteStore(str(tmp_path / "s.db")), list[str]()
    store.append_exposures([exposed("before")])
    cursor: str | None = store.exposures_end()
    for turn in range(30):
        (store, other)[turn % 2].append_exposures(
            [exposed(f"{turn}-{number}", turn * 400.0) for number in range(3)]
        )
        if turn == 20:
            other.forget("somebody")
        if turn % 4 == 3:
            lists, cursor = store.exposures_after(cursor)
            seen += [each.request_id for each in lists]
    lists, cursor = store.exposures_after(cursor)
    seen += [each.request_id for each in lists]
    assert sorted(seen) == sorted(f"{turn}-{number}" for turn in range(30) for number in range(3))
    assert store.exposures_after(cursor) == ([], cursor)
    assert len(store.exposures_after(None)[0]) == 91
    with pytest.raises(StoreError, match="no place"):
        store.exposures_after("nonsense")


def test_a_limit_is_kept_and_the_rest_comes_next(store: SqliteStore) -> None:
    store.append_exposures([exposed(f"r{number}") for number in range(2500)])
    first, cursor = store.exposures_after(None, 10)
    rest, _ = store.exposures_after(cursor)
    assert (len(first), len(rest)) == (1000, 1500)


def test_the_lists_of_an_answer_are_found_with_and_without_its_time(store: SqliteStore) -> None:
    for hour in range(5):
        store.append_exposures([exposed(f"r{hour}", hour * 3600.0), exposed("é", 0.0, "u", "popular")])
    for near in (None, NOW + timedelta(hours=3), NOW + timedelta(days=9)):
        (found,) = store.find_exposures("r3", near)
        assert (found, found.asked) == (exposed("r3", 3 * 3600.0), {"limit": 2, "now": T})
    assert [each.surface for each in store.find_exposures("é")] == ["popular"]
    assert store.find_exposures("r") == []


def test_a_forgotten_reader_is_in_no_segment(store: SqliteStore, tmp_path: Path) -> None:
    names = ["zoë", 'quo"te', "other"]
    store.append_exposures([exposed(f"r{at}", at, names[at % 3]) for at in range(30)])
    cursor = store.exposures_end()
    assert [store.forget(name).exposures for name in names[:2]] == [10, 10]
    assert {each.user_id for each in store.iter_exposures()} == {"other"}
    store.append_exposures([exposed("later", 1)])
    assert [each.request_id for each in store.exposures_after(cursor)[0]] == ["later"]
    with store.snapshot() as snapshot:
        assert snapshot.counts()["exposures"] == 11


def test_links_that_a_killed_process_left_keep_nothing(store: SqliteStore, tmp_path: Path) -> None:
    store.append_exposures([exposed("r", 0, "gone")])
    code = (
        "import os, sys\nfrom recsys.store import open_store\n"
        "with open_store(sys.argv[1]).snapshot():\n    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path}/s.db"], cwd=ROOT, check=False)
    held = tmp_path / "s.db.exposures" / ".held"
    assert len(list(held.iterdir())) == 1
    with store.snapshot() as snapshot:
        store.forget("gone")
        assert len(list(held.iterdir())) == 1
        assert len(list(snapshot.exposures())) == 1
    assert list(held.iterdir()) == []


def test_old_lists_are_dropped_by_age_and_size(store: SqliteStore) -> None:
    for hour in range(6):
        store.append_exposures([exposed(f"r{hour}-{number}", hour * 3600.0) for number in range(20)])
    assert store.trim_exposures(NOW + timedelta(hours=2), 10**9) == 40
    assert store.trim_exposures(None, 1) == 80
    assert list(store.iter_exposures()) == []


def test_lists_of_a_file_of_an_older_schema_move_to_the_segments(tmp_path: Path) -> None:
    path, made = tmp_path / "s.db", [exposure(f"r{number}", number) for number in range(5)]
    with closing(SqliteStore(str(path))) as store:
        store.append_events([event("old", "a")])
        store._writer.executescript(
            "CREATE TABLE exposures (request_id TEXT, surface TEXT, ts INTEGER, user_id TEXT, json TEXT);"
            "ALTER TABLE events DROP COLUMN trust; DROP TABLE aged; DROP TABLE article_versions; "
            "DROP TABLE experiments; "
            "PRAGMA user_version=1"
        )
        for each in made:
            row = (each.request_id, each.surface, 0, each.user_id, each.model_dump_json())
            store._writer.execute("INSERT INTO exposures VALUES (?, ?, ?, ?, ?)", row)
    with closing(SqliteStore(str(path))) as store:
        assert list(store.iter_exposures()) == made[::-1]
        assert store._read("SELECT name FROM sqlite_master WHERE name = 'exposures'") == []
        store.append_events([event("new", "a").model_copy(update={"trust": 0.5})])
        assert [found.trust for _, found in store.events_after(0)] == [None, 0.5]


CHANGER = """
import sys
from recsys.store import open_store
from tests.builders import NOW, article
store = open_store(sys.argv[1])
for number in range(100):
    store.put_articles([article(f"{sys.argv[2]}{number}")], NOW)
"""


def test_the_number_of_changes_moves_with_articles_and_rules_of_any_process(
    store: SqliteStore, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    other: Store = open_store(url)
    told = [store.changes()]
    other.append_events([event("e", "a")])
    other.append_exposures([exposed("r")])
    assert store.changes() == told[0]
    other.put_articles([article("a")], NOW)
    told.append(store.changes())
    other.put_rules([], None)
    told.append(store.changes())
    other.delete_article("a", NOW)
    told.append(store.changes())
    assert len(set(told)) == 4
    # no change of two that write at once is swallowed by the other
    writers = [subprocess.Popen([sys.executable, "-c", CHANGER, url, name], cwd=ROOT) for name in "xy"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert store.changes() == told[-1] + 200
    other.close()


def test_a_number_that_cannot_be_kept_is_asked_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "s.db.changes").mkdir()
    one, other = SqliteStore(str(tmp_path / "s.db")), SqliteStore(str(tmp_path / "s.db"))
    before = other.changes()
    one.put_articles([article("a")], NOW)
    assert other.changes() != before
    one.close()
    other.close()


def test_a_number_starts_again_where_its_file_is_new_or_copied(store: SqliteStore, tmp_path: Path) -> None:
    store.put_articles([article("a")], NOW)
    store.close()
    for content in (b"", b"\1", b"\2" * 8, b"\3" * 100):
        (tmp_path / "s.db.changes").write_bytes(content)
        with closing(SqliteStore(str(tmp_path / "s.db"))) as again:
            before = again.changes()
            again.put_articles([article("a")], NOW)
            assert again.changes() == before + 1
