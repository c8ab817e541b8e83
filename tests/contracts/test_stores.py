"""The store suite on every store, and red on a broken one."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from recsys.errors import StoreError, UsageError
from recsys.store import Store, open_store
from recsys.store.sqlite import SqliteStore
from tests.broken import ForgetfulStore, HastyStore
from tests.builders import event
from tests.contracts.contents import CONTENTS_CHECKS
from tests.contracts.stores import CHECKS

OPENERS: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: open_store(f"sqlite:///{folder}/s.db")
}
ALL_CHECKS = CHECKS + CONTENTS_CHECKS
CAUGHT: dict[type[SqliteStore], set[str]] = {
    ForgetfulStore: {
        "an_event_counts_once",
        "articles_replace_and_deletions_leave_a_mark",
        "an_undated_article_keeps_its_first_receipt",
        "a_restored_store_answers_like_the_one_it_came_from",
    },
    HastyStore: {
        "a_forgotten_user_leaves_no_row",
        *(check.__name__ for check in CONTENTS_CHECKS),
    }
    - {"an_empty_store_is_a_snapshot_of_nothing"},
}


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", OPENERS)
def test_store(kind: str, check: Callable[[Store], None], tmp_path: Path) -> None:
    store = OPENERS[kind](tmp_path)
    try:
        check(store)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("double", "check"),
    [(double, c) for double, names in CAUGHT.items() for c in ALL_CHECKS if c.__name__ in names],
    ids=lambda value: value.__name__,
)
def test_the_suite_sees_a_broken_store(
    double: type[SqliteStore], check: Callable[[Store], None], tmp_path: Path
) -> None:
    store = double(f"{tmp_path}/s.db")
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(store)
    finally:
        store.close()


@pytest.mark.parametrize("kind", OPENERS)
def test_what_was_stored_is_there_after_opening_again(kind: str, tmp_path: Path) -> None:
    store = OPENERS[kind](tmp_path)
    store.append_events([event("e", "a")])
    store.close()
    again = OPENERS[kind](tmp_path)
    assert [found.event_id for _, found in again.events_after(0)] == ["e"]
    again.close()


@pytest.mark.parametrize("kind", OPENERS)
def test_two_openers_see_each_other_and_notice_it(kind: str, tmp_path: Path) -> None:
    one, other = OPENERS[kind](tmp_path), OPENERS[kind](tmp_path)
    before = other.data_version()
    one.append_events([event("e", "a")])
    assert other.data_version() != before
    assert len(other.events_after(0)) == 1
    one.close()
    other.close()


@pytest.mark.parametrize("kind", OPENERS)
def test_threads_lose_and_double_nothing(kind: str, tmp_path: Path) -> None:
    store = OPENERS[kind](tmp_path)
    fresh: list[int] = []

    def work(thread: int) -> None:
        for number in range(40):
            seqs = store.append_events([event(f"e{number}", "a"), event(f"t{thread}-{number}", "a")])
            fresh.extend(seq for seq in seqs if seq is not None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.events_after(0)) == 5 * 40 == len(set(fresh))
    store.close()


def test_an_unknown_url_is_told_what_is_known() -> None:
    with pytest.raises(UsageError, match="sqlite:///PATH"):
        open_store("mysql://x")


def test_a_file_that_is_no_database_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="recsys doctor"):
        open_store(f"sqlite:///{tmp_path}/s.db")


def test_a_path_without_store_makes_none_where_one_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no store .*s\.db; check the path"):
        open_store(f"sqlite:///{tmp_path}/deep/s.db", create=False)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = other.read_bytes()
    with pytest.raises(UsageError, match=r"other\.db holds no store"):
        open_store(f"sqlite:///{other}", create=False)
    assert other.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_a_forgotten_user_cannot_be_read_from_the_file(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    mine = [event(f"e{i}", "a").model_copy(update={"user_id": "zo\u00eb-1999"}) for i in range(500)]
    store.append_events([*mine, event("other", "a")])
    store.close()
    assert "zo\u00eb-1999".encode() in (tmp_path / "s.db").read_bytes()
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    # some builds of SQLite overwrite without being asked
    store._writer.execute("PRAGMA secure_delete=OFF")  # type: ignore[attr-defined]
    assert store.forget("zo\u00eb-1999").events == 500
    store.close()
    assert "zo\u00eb-1999".encode() not in (tmp_path / "s.db").read_bytes()
