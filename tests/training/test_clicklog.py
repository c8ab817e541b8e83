"""What of a log is believed, and which click belongs to which list."""

import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config import ClicklogConfig, Config, load_config
from recsys.errors import DataError
from recsys.profile import reader_key
from recsys.schemas import Event
from tests.builders import NOW, event
from tests.conftest import Newsroom
from tests.training.logs import cleaned, click, served, write
from training.attribution import labels_of, weights_of
from training.clicklog import read_click_log
from training.fit_ranker import Examples, fit_ranker
from training.readers import read_event_log


def test_an_event_that_was_stored_twice_counts_once(tmp_path: Path) -> None:
    once = [event("e1", "a1", minutes_ago=9), event("e2", "a2", minutes_ago=8)]
    found = cleaned(tmp_path, [*once, once[0], once[1], once[0]])
    assert len(found.log) == 2
    assert "3 repeat an event id" in found.notes[0]


def test_a_reload_is_no_second_opening_and_a_later_visit_is(tmp_path: Path) -> None:
    ago = [60.0, 60.0 - 1 / 60, 60.0 - 2 / 60, 30.0]
    found = cleaned(tmp_path, [event(f"e{at}", "a1", minutes_ago=m) for at, m in enumerate(ago)])
    assert len(found.log) == 2
    assert "2 repeat within 3 s" in found.notes[0]


def test_what_is_alike_but_not_the_same_stays(tmp_path: Path) -> None:
    rows = [
        event("e1", "a1", "r1", "view"),
        event("e2", "a1", "r1", "click", request_id="q1", surface="related"),
        event("e3", "a1", "r2", "view"),
        event("e4", "a2", "r1", "view"),
        event("e5", "a1", "r1", "impression", request_id="q1", surface="related"),
        event("e6", "a1", "r1", "impression", request_id="q1", surface="popular"),
    ]
    assert len(cleaned(tmp_path, rows).log) == len(rows)


def robot(name: str, openings: int, seconds_apart: float) -> list[Event]:
    return [
        event(f"{name}{at}", f"a{at % 50}", name, minutes_ago=6_000 - at * seconds_apart / 60)
        for at in range(openings)
    ]


def test_robots_are_left_out_by_stated_rules(tmp_path: Path) -> None:
    people = [event(f"p{at}", "a1", f"person-{at}", minutes_ago=at + 1) for at in range(20)]
    robots = [*robot("minute", 31, 1.5), *robot("hour", 400, 10.0), *robot("day", 3000, 30.0)]
    shown = [served("q1", "a1", "a2", reader="hour"), served("q2", "a1", "a2", reader="person-1")]
    found = cleaned(tmp_path, people + robots, shown)
    assert found.bots == {reader_key(f"s:{name}") for name in ("minute", "hour", "day")}
    assert set(found.log.readers.tolist()) == {reader_key(f"s:person-{at}") for at in range(20)}
    told = "\n".join(found.notes)
    for rule in ("30 moments of opening in a minute", "240 openings in an hour", "1000 openings in a day"):
        assert f"1 readers with more than {rule}" in told
    assert "3,431 come from robots" in told
    assert [exposure.request_id for exposure in found.exposures] == ["q2"]


def test_a_reader_who_is_much_of_a_large_log_is_a_robot(tmp_path: Path) -> None:
    people = [event(f"p{at}", "a1", f"person-{at}", minutes_ago=at + 1) for at in range(100)]
    found = cleaned(tmp_path, people + robot("robot", 1_100, 300.0))
    assert found.bots == {reader_key("s:robot")}
    assert any("more than 10% of all openings" in note for note in found.notes)


def test_a_heavy_reader_is_a_person(tmp_path: Path) -> None:
    rows = [
        event(f"e{day}-{at}", f"a{at}", "fan", minutes_ago=day * 1440 + 10 + at * 0.5)
        for day in range(3)
        for at in range(200)
    ]
    # all clicks of a list may carry the time of the list
    rows += [click(f"c{at}", f"a{at}", "fan", minutes_ago=30_000, request_id="q1") for at in range(60)]
    found = cleaned(tmp_path, rows)
    assert (found.bots, len(found.log)) == (frozenset(), len(rows))


def test_the_latest_lists_are_learned_from(tmp_path: Path) -> None:
    shown = [served(f"q{at}", "a1", "a2", minutes_ago=60 - at) for at in range(9)]
    write(tmp_path, (), [event("e1", "a1")], [*shown[5:], *shown[:5], shown[8]])
    found = read_click_log(tmp_path, load_config(None, ["clicklog.max_lists=4"]), {})
    assert found.exposures == shown[5:]
    assert any("the latest 4 of 9 served lists are learned from" in note for note in found.notes)


def test_what_is_dated_in_the_future_is_left_out(tmp_path: Path) -> None:
    rows = [event("e1", "a1"), event("e2", "a1", "r2", minutes_ago=-60 * 24 * 365)]
    found = cleaned(tmp_path, rows)
    assert len(found.log) == 1
    assert "1 are dated in the future" in found.notes[0]


SHOWN = [
    served("q1", "a1", "a2", surface="related", minutes_ago=50),
    served("q1", "a3", "a2", surface="popular", minutes_ago=50),
    served("q2", "a1", "a2", surface="related", minutes_ago=40),
    served("q3", "a1", "a2", surface="related", minutes_ago=20),
    served("q4", "a1", "a2", surface="related", minutes_ago=3, reader="r2"),
]
CLICKS: list[tuple[Event, set[str]]] = [
    (click("c", "a2", request_id="q1", surface="popular"), {"q1/popular"}),
    (click("c", "a1", request_id="q1", surface="popular"), set()),
    (click("c", "a2", request_id="q1"), {"q1/related", "q1/popular"}),
    (click("c", "a3", request_id="q1"), {"q1/popular"}),
    (click("c", "a1", request_id="q9"), set()),
    (click("c", "a1", minutes_ago=10), {"q3/related"}),
    (click("c", "a1", minutes_ago=21), {"q2/related"}),
    (click("c", "a3", minutes_ago=21), {"q1/popular"}),
    (click("c", "a1", minutes_ago=51), set()),
    (click("c", "a3", minutes_ago=19), set()),
    (click("c", "a2", minutes_ago=45, surface="popular"), {"q1/popular"}),
    (click("c", "a9", minutes_ago=10), set()),
    (click("c", "a1", "r2", minutes_ago=4), set()),
    (click("c", "a1", "r2", minutes_ago=2), {"q4/related"}),
    (click("c", "a1", minutes_ago=10, list_id="cached"), set()),
]


def test_a_click_finds_its_list(tmp_path: Path) -> None:
    events, lists, expected = [], [], {}
    for at, (made, keys) in enumerate(CLICKS):
        # a world of its own for each click
        own = {"event_id": f"c{at}", "session_id": f"{at}-{made.session_id}"}
        if made.request_id is not None:
            own["request_id"] = f"{at}-{made.request_id}"
        events.append(made.model_copy(update=own))
        for shown in SHOWN:
            names = {"request_id": f"{at}-{shown.request_id}", "session_id": f"{at}-{shown.session_id}"}
            lists.append(shown.model_copy(update=names))
        expected |= {f"{at}-{key}": {made.article_id: 1.0} for key in keys}
    found = cleaned(tmp_path, events, lists)
    assert {"/".join(key): dict(chosen) for key, chosen in found.labels.items()} == expected
    assert dict(labels_of(tmp_path, ClicklogConfig())) == dict(found.labels)
    assert any(
        note.endswith("2 by request, 1 by request and surface; 7 belong to no list") for note in found.notes
    ), found.notes


def test_an_article_of_a_list_is_clicked_once(tmp_path: Path) -> None:
    rows = [click(f"c{at}", "a1", minutes_ago=19 - at, request_id="q3", surface="related") for at in range(3)]
    found = cleaned(tmp_path, rows, SHOWN)
    assert {key: dict(chosen) for key, chosen in found.labels.items()} == {("q3", "related"): {"a1": 1.0}}
    mask, weights = found.labels.of(SHOWN[3])
    assert (mask.tolist(), weights.tolist()) == ([True, False], [1.0, 0.0])
    assert found.labels.clicked(SHOWN[2]) == frozenset()


def test_a_long_reading_counts_more_and_an_unknown_one_counts_one(tmp_path: Path) -> None:
    shown = [served(f"q{at}", "a1", "a2", reader=f"r{at}", minutes_ago=60) for at in range(5)]
    clicks = [click(f"c{at}", "a1", f"r{at}", minutes_ago=59, request_id=f"q{at}") for at in range(5)]
    seconds = {0: 1.0, 1: 60.0, 2: 60.0, 3: 10_000.0}
    reads = [event(f"e{at}", "a1", f"r{at}", "read", 40, value=value) for at, value in seconds.items()]
    # of another article, and before the click
    reads += [event("x", "a2", "r4", "read", 40, value=500.0), event("y", "a1", "r4", "read", 70, value=9.0)]
    found = cleaned(tmp_path, clicks + reads, shown)
    weights = [found.labels[(f"q{at}", "related")]["a1"] for at in range(5)]
    assert weights[0] == 0.3
    assert weights[1] == weights[2] == weights[4] == 1.0
    assert weights[3] == pytest.approx(min(2.0, np.log1p(10_000) / np.log1p(60)))
    assert "4 of 5 clicked articles have a reading (median 60 s)" in "\n".join(found.notes)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0.1, 1e5))
def test_weights_rise_with_reading_within_their_bounds(seconds: list[float], median: float) -> None:
    found = weights_of(np.sort(seconds), median, ClicklogConfig())
    assert np.all(np.diff(found) >= 0)
    assert found.min() >= 0.3
    assert found.max() <= 2.0
    assert weights_of(np.array([median]), median, ClicklogConfig())[0] == pytest.approx(1.0)


def test_a_click_that_counts_double_teaches_like_two() -> None:
    matrix = np.random.default_rng(1).normal(size=(5, 1))

    def fitted(twice: bool) -> np.ndarray:
        found = Examples(["f"])
        for at in range(40):
            labels, heavy = np.arange(5) == (0 if at % 3 else at % 5), at % 3 == 0
            for _ in range(2 if twice and heavy else 1):
                weights = labels * (2.0 if heavy and not twice else 1.0)
                found.add(float(at), matrix[:, 0] * 0.5, matrix, labels, weights)
        return fit_ranker(found, Config().ranker).values

    unweighted = Examples(["f"])
    for at in range(40):
        labels = np.arange(5) == (0 if at % 3 else at % 5)
        unweighted.add(float(at), matrix[:, 0] * 0.5, matrix, labels)
    np.testing.assert_allclose(fitted(True), fitted(False), rtol=1e-3, atol=1e-4)
    assert np.abs(fitted(True) - fit_ranker(unweighted, Config().ranker).values).max() > 0.01


def test_nothing_after_the_fit_is_looked_at(tmp_path: Path) -> None:
    early = [click("c1", "a1", minutes_ago=39, request_id="q2"), event("e1", "a1", "robot", minutes_ago=39)]
    late = [click("c2", "a2", minutes_ago=2, request_id="q2")]
    late += [event(f"b{at}", "a1", "robot", minutes_ago=1 + at / 500) for at in range(400)]
    late += [event("r", "a1", "r1", "read", 10, value=900.0)]
    until = (NOW - timedelta(minutes=15)).timestamp()
    write(tmp_path / "whole", (), early + late, SHOWN)
    write(tmp_path / "past", (), early, SHOWN[:-1])
    whole, past = (read_click_log(tmp_path / name, Config(), {}, until=until) for name in ("whole", "past"))
    assert whole.notes == past.notes
    assert dict(whole.labels) == dict(past.labels)
    np.testing.assert_array_equal(whole.log.ts, past.log.ts)
    assert whole.bots == frozenset()


def test_a_clean_log_passes_unchanged(newsroom: Newsroom) -> None:
    told = newsroom.bundle.manifest["notes"]
    assert any("sessions are learned from" in note for note in told)
    assert any("clicks found their list" in note for note in told)
    # two readings of one article within seconds do happen in it
    found = read_click_log(newsroom.data, load_config(None, ["clicklog.repeat_seconds=0"]), {}).log
    before = read_event_log(newsroom.data)
    for name in ("ts", "types", "readers", "values"):
        np.testing.assert_array_equal(getattr(found, name), getattr(before, name), err_msg=name)
    assert [found.article_ids[code] for code in found.articles] == [
        before.article_ids[code] for code in before.articles
    ]


def test_jsonl_and_parquet_are_the_same_log(tmp_path: Path) -> None:
    rows = [click("c1", "a2", minutes_ago=2, request_id="q3"), event("e1", "a1", "r9")]
    parquet = cleaned(tmp_path / "parquet", rows, SHOWN)
    (tmp_path / "jsonl").mkdir()
    for name, items in (("events", rows), ("exposures", SHOWN)):
        lines = "".join(item.model_dump_json(exclude_none=True) + "\n" for item in items)
        (tmp_path / "jsonl" / f"{name}.jsonl").write_text(lines)
    jsonl = read_click_log(tmp_path / "jsonl", Config(), {}, now=NOW.timestamp())
    assert dict(jsonl.labels) == dict(parquet.labels)
    assert jsonl.notes == parquet.notes
    np.testing.assert_array_equal(jsonl.log.readers, parquet.log.readers)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"event_id": ["e"], "ts": [NOW], "article_id": ["a"], "user_id": ["u"]}, "lacks the columns type"),
        (
            {"event_id": ["e"], "ts": [NOW], "article_id": ["a"], "user_id": ["u"], "type": ["viewed"]},
            "the type 'viewed'; allowed are view, impression",
        ),
        (
            {"event_id": ["e"], "ts": [NOW], "article_id": [None], "user_id": ["u"], "type": ["view"]},
            "1 rows of .*events lack event_id, type, ts, article_id or a reader",
        ),
    ],
)
def test_columns_of_other_hands_are_told(tmp_path: Path, columns: dict[str, list[object]], told: str) -> None:
    table = pa.table(columns)
    at = table.schema.get_field_index("article_id")
    table = table.set_column(at, "article_id", table.column("article_id").cast(pa.string()))
    pq.write_table(table, tmp_path / "events.parquet")
    with pytest.raises(DataError, match=told):
        read_click_log(tmp_path, Config(), {})


def test_the_limits_in_the_docs_are_those_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "clicklog.md").read_text(encoding="utf-8")
    told = re.findall(r"`(\w+)`(?: \| | \()([\d.]+)", text)
    assert {key: float(value) for key, value in told} == {
        key: float(value) for key, value in ClicklogConfig().model_dump().items() if key != "repeat_seconds"
    }
    assert f"within {ClicklogConfig().repeat_seconds:g} s" in text
