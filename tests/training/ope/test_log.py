"""Which lists of a store a policy is judged by, and what they earned."""

from pathlib import Path

from recsys.exposed import Exposed, Known, Ranked
from recsys.schemas import Event
from recsys.store import open_store
from tests.builders import NOW, event
from training.ope.log import Answer, Log, read_log
from training.ope.policies import Policies

T = NOW.timestamp()


def shown(request_id: str, surface: str = "related", ts: float = T, **more: object) -> Exposed:
    fields = {"model_version": "v1", "known": Known(int(ts - T) + 10, 1, 0), "asked": {"surfaces": [surface]}}
    reader, nothing = ("session_id", f"s{request_id}"), [None] * 2
    return Exposed(request_id, surface, ts, reader, ["a", "b"], nothing, nothing, **{**fields, **more})  # type: ignore[arg-type]


def click(name: str, article_id: str, request_id: str, minutes_after: float, **more: object) -> Event:
    return event(name, article_id, kind="click", minutes_ago=-minutes_after, request_id=request_id, **more)


def test_a_place_earns_its_click_within_half_an_hour(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    store.append_exposures([shown("r1"), shown("r1", "popular"), shown("r2", ts=T + 5)])
    store.append_events(
        [
            click("e1", "a", "r1", 29, surface="related"),
            click("e2", "b", "r1", 31, surface="related"),
            click("e3", "b", "r2", 1),
            click("e4", "b", "r2", 2),
            click("e5", "a", "r2", 1, trust=0.0),
            click("e6", "c", "r2", 1),
            event("e7", "a", kind="view", minutes_ago=-1, request_id="r2"),
        ]
    )
    log = read_log(store, None, None, 100)
    store.close()
    found = {(each.request_id, each.surface): log.rewards(each) for a in log.answers for each in a.lists}
    assert found == {
        ("r1", "related"): [1.0, 0.0],
        ("r1", "popular"): [0.0, 0.0],
        ("r2", "related"): [0.0, 1.0],
    }
    assert [len(answer.lists) for answer in log.answers] == [2, 1]


def test_what_cannot_be_made_again_is_left_out_and_counted(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    own = {"surfaces": ["related"], "own_history": True}
    store.append_exposures([shown("r1", asked=own), shown("r2", known=None), shown("r3")])
    log = read_log(store, None, None, 100)
    store.close()
    assert [answer.first.request_id for answer in log.answers] == ["r3"]
    assert sorted(log.left_out.values()) == [1, 1]


def test_readers_are_taken_as_a_whole(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    lists = [shown(f"r{at}-{number}", ts=T + at) for at in range(300) for number in range(2)]
    for each in lists:
        each.reader = ("session_id", each.request_id.split("-")[0])
    store.append_exposures(lists)
    log = read_log(store, None, None, 200)
    store.close()
    taken = [answer.first.reader[1] for answer in log.answers]
    assert all(taken.count(name) == 2 for name in taken)
    assert 120 < len(taken) < 280


def test_rankings_that_were_kept_come_before_the_answers_they_are_for() -> None:
    late = Answer((shown("r1", ts=T + 5, ranked=Ranked(11, T + 1)),))
    between = Answer((shown("r2", ts=T + 3),))
    steps = Log([between, late], {}).steps()
    assert [(answer.first.request_id, ranked is None) for answer, ranked in steps] == [
        ("r1", False), ("r2", True), ("r1", True),
    ]  # fmt: skip


def test_a_bundle_that_knows_what_came_after_judges_nothing() -> None:
    policies = Policies(None, None, "v2", T + 1)  # type: ignore[arg-type]
    assert policies.compare(Answer((shown("r1"),)), {}) == []
    assert policies.left_out == {"the judged bundle has learned from what came after": 1}
