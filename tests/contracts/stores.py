"""What every store must do. A new store is one line in ``tests/contracts/test_stores.py``."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from recsys.schemas import Exposure, ExposureItem
from recsys.store import ConflictError, Store
from tests.builders import NOW, article, event


def events_keep_their_order_and_every_field(store: Store) -> None:
    made = [event("e2", "a", position=3, surface="popular", value=1.5, request_id="r"), event("e1", "b")]
    seqs = store.append_events(made)
    assert None not in seqs
    assert [found for _, found in store.events_after(0)] == made
    assert store.last_event_seq() == seqs[-1]
    assert store.events_after(store.last_event_seq()) == []


def an_event_counts_once(store: Store) -> None:
    first = event("same", "a")
    assert store.append_events([first, first])[1] is None
    assert store.append_events([event("same", "b"), event("new", "b")])[0] is None
    assert [found.article_id for _, found in store.events_after(0)] == ["a", "b"]


def events_can_be_read_by_time_and_in_pages(store: Store) -> None:
    store.append_events([event(f"e{i}", "a", minutes_ago=float(i)) for i in range(10)])
    window = store.iter_events(NOW - timedelta(minutes=7), NOW - timedelta(minutes=3))
    assert [found.event_id for found in window] == ["e7", "e6", "e5", "e4"]
    assert len(store.events_after(0, limit=4)) == 4


def articles_replace_and_deletions_leave_a_mark(store: Store) -> None:
    store.put_articles([article("a"), article("b")], NOW)
    store.put_articles([article("a", title="Changed", tags=["x"])], NOW)
    found = store.get_article("a")
    assert found is not None
    assert (found.title, found.tags) == ("Changed", ["x"])
    assert [name for _, name, _ in store.articles_after(0)] == ["b", "a"]
    assert store.delete_article("a", NOW)
    assert store.get_article("a") is None
    assert store.is_deleted("a")
    assert not store.is_deleted("b")
    assert not store.delete_article("never", NOW)
    assert {name: found for _, name, found in store.articles_after(0)}["a"] is None
    told = [
        (each.seq, each.article_id, each.article and each.article.title) for each in store.changes_after(0)
    ]
    assert told[-1][1:] == ("a", None) or told[-2][1:] == ("a", None)
    history = [(each.article_id, each.article and each.article.title) for each in store.article_history(0, 4)]
    assert history == [("a", "Title of a"), ("b", "Title of b"), ("a", "Changed"), ("a", None)]
    assert [each.seq for each in store.article_history(1, 3)] == [2, 3]


def an_undated_article_keeps_its_first_receipt(store: Store) -> None:
    undated = article("a", published_at=None)
    assert store.put_articles([undated], NOW)[0].published_at == NOW
    again = store.put_articles([undated], NOW + timedelta(days=1))[0]
    assert again.published_at == NOW


def vectors_come_back_exactly(store: Store) -> None:
    vectors = {f"d{i}": np.random.default_rng(i).normal(size=16).astype(np.float32) for i in range(600)}
    store.put_vectors(vectors)
    found = store.get_vectors([*vectors, "absent"])
    assert found.keys() == vectors.keys()
    for name, vector in vectors.items():
        np.testing.assert_array_equal(found[name], vector)


def rules_change_by_version_and_two_editors_lose_nothing(store: Store) -> None:
    assert store.get_rules() == (0, [])
    assert store.put_rules([{"id": "one"}], 0) == 1
    with pytest.raises(ConflictError, match="version 1"):
        store.put_rules([{"id": "two"}], 0)
    assert store.get_rules() == (1, [{"id": "one"}])
    assert store.put_rules([], None) == 2


def experiments_change_by_version_and_two_people_lose_nothing(store: Store) -> None:
    assert store.get_runs() == (0, [])
    before = store.changes()
    assert store.put_runs([{"number": 0, "experiment": {"id": "é"}}], 0) == [1]
    assert store.changes() != before
    with pytest.raises(ConflictError, match="version 1, not 0"):
        store.put_runs([{"number": 0}], 0)
    assert store.put_runs([{"number": 1, "stopped": True}, {"number": 0, "low": 0.5}], 1) == [1, 2]
    assert store.get_runs() == (2, [{"number": 1, "stopped": True}, {"number": 2, "low": 0.5}])


def exposures_come_back_by_time_once(store: Store) -> None:
    item = ExposureItem(article_id="a", position=1, score=0.5, propensity=0.25, source="similar")
    made = [
        Exposure(
            request_id=f"r{i}", surface="popular", ts=NOW - timedelta(hours=i), user_id="u", items=[item]
        )
        for i in range(3)
    ]
    store.append_exposures([*made, made[0]])
    assert list(store.iter_exposures()) == made[::-1]
    assert list(store.iter_exposures(since=NOW - timedelta(minutes=90))) == made[1::-1]


def a_forgotten_user_leaves_no_row(store: Store) -> None:
    mine = event("mine", "a").model_copy(update={"user_id": "u", "session_id": None})
    store.append_events([mine, event("other", "a", "u")])
    store.append_exposures([Exposure(request_id="r", surface="for_you", ts=NOW, user_id="u", items=[])])
    assert store.forget("u") == (1, 1)
    assert store.forget("u") == (0, 0)
    assert [found.event_id for _, found in store.events_after(0)] == ["other"]
    assert list(store.iter_exposures()) == []


CHECKS: list[Callable[[Store], None]] = [
    events_keep_their_order_and_every_field,
    an_event_counts_once,
    events_can_be_read_by_time_and_in_pages,
    articles_replace_and_deletions_leave_a_mark,
    an_undated_article_keeps_its_first_receipt,
    vectors_come_back_exactly,
    rules_change_by_version_and_two_editors_lose_nothing,
    experiments_change_by_version_and_two_people_lose_nothing,
    exposures_come_back_by_time_once,
    a_forgotten_user_leaves_no_row,
]
