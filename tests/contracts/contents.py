"""What every store must do with everything it holds: a snapshot, a restore, an export."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.schemas import Event, Exposure, ExposureItem
from recsys.store import Contents, NotEmptyError, Store, StoredArticle
from recsys.store.contents import TABLES
from tests.builders import NOW, article, event


@dataclass(frozen=True)
class Rows:
    """Contents in lists."""

    article_rows: list[StoredArticle]
    event_rows: list[tuple[int, Event]]
    exposure_rows: list[Exposure]
    rule_rows: list[tuple[int, list[dict[str, Any]]]]
    vector_rows: list[tuple[str, list[float]]]
    run_rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def articles(self) -> Iterator[StoredArticle]:
        return iter(self.article_rows)

    def events(self) -> Iterator[tuple[int, Event]]:
        return iter(self.event_rows)

    def exposures(self) -> Iterator[Exposure]:
        return iter(self.exposure_rows)

    def rules(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        return iter(self.rule_rows)

    def experiments(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return iter(self.run_rows)

    def vectors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        return ((name, np.array(values, np.float32)) for name, values in self.vector_rows)


class Breaking(Rows):
    """Contents whose last table cannot be read to its end."""

    def vectors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        yield from super().vectors()
        raise RuntimeError("the source broke")


def exposure(name: str, hours_ago: float, surface: str = "popular", user: str = "u") -> Exposure:
    item = ExposureItem(article_id="a", position=1, score=0.1 + 0.2, propensity=0.25, source="similar")
    ts = NOW - timedelta(hours=hours_ago)
    return Exposure(request_id=name, surface=surface, ts=ts, user_id=user, items=[item])  # type: ignore[arg-type]


EVERYTHING = Rows(
    [
        StoredArticle(3, "b", NOW, article("b", body="Ünicode 🌧", tags=["x"], editor_priority=0.3)),
        StoredArticle(7, "gone", NOW + timedelta(microseconds=1), None),
    ],
    [(2, event("e9", "a", minutes_ago=1 / 7, value=1.5, kind="read")), (5, event("e1", "b"))],
    [exposure("r2", 2), exposure("B", 1), exposure("a", 1), exposure("a", 1, "related"), exposure("é", 1)],
    [(1, []), (2, [{"id": "one", "boost": [{"filter": {"tag": "é"}, "factor": 1.5}]}])],
    [("d1", [0.1, -0.0, 3e-42]), ("d2", [1.0])],
    [(3, {"number": 1, "experiment": {"id": "é"}}), (2, {"number": 2, "low": 0.1 + 0.2})],
)
NOTHING = Rows([], [], [], [], [])


def rows_of(contents: Contents) -> Rows:
    """All rows in memory, to be compared."""
    return Rows(
        list(contents.articles()),
        list(contents.events()),
        list(contents.exposures()),
        list(contents.rules()),
        [(name, vector.tolist()) for name, vector in contents.vectors()],
        list(contents.experiments()),
    )


def held(store: Store) -> Rows:
    with store.snapshot() as snapshot:
        return rows_of(snapshot)


def float32(rows: Rows) -> Rows:
    return replace(rows, vector_rows=[(name, vector.tolist()) for name, vector in rows.vectors()])


def what_was_restored_comes_back_exactly(store: Store) -> None:
    store.restore(EVERYTHING)
    assert held(store) == float32(EVERYTHING)


def a_restored_store_answers_like_the_one_it_came_from(store: Store) -> None:
    store.restore(EVERYTHING)
    assert (store.get_article("b"), store.is_deleted("gone")) == (EVERYTHING.article_rows[0].article, True)
    assert store.events_after(0) == EVERYTHING.event_rows
    assert store.get_rules() == EVERYTHING.rule_rows[-1]
    assert store.get_runs() == (3, [run for _, run in EVERYTHING.run_rows])
    assert store.get_vectors(["d2"])["d2"].tolist() == [1.0]
    assert store.append_events([event("e9", "a")]) == [None]
    assert store.forget("u").exposures == 5


def a_restored_store_goes_on_counting(store: Store) -> None:
    store.restore(EVERYTHING)
    (seq,) = store.append_events([event("later", "a")])
    store.put_articles([article("later")], NOW)
    assert seq is not None
    assert seq > 5
    assert store.articles_after(7)[0][1] == "later"
    assert store.put_rules([], 2) == 3
    assert store.put_runs([{"number": 0}], 3) == [3]


def only_an_empty_store_is_filled(store: Store) -> None:
    store.delete_article("only a tombstone", NOW)
    before = held(store)
    with pytest.raises(NotEmptyError, match="1 articles"):
        store.restore(EVERYTHING)
    assert held(store) == before


def a_restore_that_breaks_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="the source broke"):
        store.restore(Breaking(**vars(EVERYTHING)))
    assert held(store) == NOTHING
    store.restore(EVERYTHING)


def a_snapshot_holds_its_moment(store: Store) -> None:
    store.restore(EVERYTHING)
    with store.snapshot() as snapshot:
        counts = snapshot.counts()
        store.append_events([event("later", "a")])
        store.put_articles([article("b", title="Changed"), article("c")], NOW)
        store.append_exposures([exposure("later", 0)])
        store.put_rules([], None)
        store.put_vectors({"d0": np.zeros(2, np.float32)})
        store.forget("u")
        assert rows_of(snapshot) == float32(EVERYTHING)
        assert counts == snapshot.counts() == dict(zip(TABLES, (2, 2, 2, 5, 2, 2), strict=True))
    assert len(held(store).event_rows) == 3


def a_snapshot_reads_the_log_by_time(store: Store) -> None:
    store.append_events([event(f"e{i}", "a", minutes_ago=float(abs(5 - i))) for i in range(10)])
    store.append_exposures([exposure(f"r{i}", i) for i in range(5)])
    with store.snapshot() as snapshot:
        since = NOW - timedelta(minutes=2)
        assert [found.event_id for found in snapshot.events_by_time(since)] == ["e3", "e7", "e4", "e6", "e5"]
        assert len(list(snapshot.events_by_time())) == 10
        recent = snapshot.exposures(NOW - timedelta(hours=2))
        assert [found.request_id for found in recent] == ["r2", "r1", "r0"]


def an_empty_store_is_a_snapshot_of_nothing(store: Store) -> None:
    assert held(store) == NOTHING
    store.restore(NOTHING)
    with store.snapshot() as snapshot:
        assert snapshot.counts() == dict.fromkeys(TABLES, 0)


CONTENTS_CHECKS: list[Callable[[Store], None]] = [
    what_was_restored_comes_back_exactly,
    a_restored_store_answers_like_the_one_it_came_from,
    a_restored_store_goes_on_counting,
    only_an_empty_store_is_filled,
    a_restore_that_breaks_leaves_nothing,
    a_snapshot_holds_its_moment,
    a_snapshot_reads_the_log_by_time,
    an_empty_store_is_a_snapshot_of_nothing,
]
