"""The store suite on every store, and red on a broken one."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.errors import StoreError, UsageError
from recsys.store import Store, open_store
from tests.broken import ForgetfulStore
from tests.builders import event
from tests.contracts.stores import CHECKS

OPENERS: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: open_store(f"sqlite:///{folder}/s.db")
}
CAUGHT = {
    "an_event_counts_once",
    "articles_replace_and_deletions_leave_a_mark",
    "an_undated_article_keeps_its_first_receipt",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", OPENERS)
def test_store(kind: str, check: Callable[[Store], None], tmp_path: Path) -> None:
    store = OPENERS[kind](tmp_path)
    try:
        check(store)
    finally:
        store.close()


@pytest.mark.parametrize(
    "check", [c for c in CHECKS if c.__name__ in CAUGHT], ids=lambda check: check.__name__
)
def test_the_suite_sees_a_broken_store(check: Callable[[Store], None], tmp_path: Path) -> None:
    store = ForgetfulStore(f"{tmp_path}/s.db")
    try:
        with pytest.raises(AssertionError):
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
