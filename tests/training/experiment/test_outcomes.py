"""What is counted of each reader, on logs whose right answer is known."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.schemas import Article
from tests.training.experiment.logs import END, START, at, did, experiment, outcomes, shown

ARTICLES = [
    Article(article_id="a1", title="t", section="World", published_at=at(0.5)),
    Article(article_id="a2", title="t", section="World", published_at=at(-9)),
    Article(article_id="a3", title="t", section="Sport", published_at=at(0.9)),
    Article(article_id="a4", title="t"),
]


def one(folder: Path, exposures: list[Any], events: list[Any] = (), **more: Any) -> dict[str, Any]:  # type: ignore[assignment]
    """The row of the only reader."""
    (row,), _ = outcomes(folder, exposures, events, **more)
    return dict(row)


def ratio(row: dict[str, Any], name: str, prefix: str = "") -> tuple[float, float]:
    return row[f"{prefix}{name}__num"], row[f"{prefix}{name}__den"]


def test_clicks_count_once_an_article_of_the_readers_own_list_within_half_an_hour(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new"), shown("q2", "other", at(1, 1), variant="control")]
    clicks = [
        did("e1", "click", "r", at(1, 30), request_id="q1", surface="related"),
        did("e2", "click", "r", at(1, 3), request_id="q1"),
        did("e3", "click", "r", at(1, 31), "a2", request_id="q1"),
        did("e4", "click", "r", at(1, 2), "a9", request_id="q1"),
        did("e5", "click", "r", at(1, 2), "a2", request_id="q1", surface="popular"),
        did("e6", "click", "other", at(1, 2), "a2", request_id="q1"),
        did("e7", "click", "r", at(1, 2), "a2"),
        did("e8", "click", "r", at(1, 2), "a2", request_id="q1", trust=0.0),
    ]
    (row, other), found = outcomes(tmp_path, lists, clicks)
    assert ratio(row, "ctr") == (1.0, 2.0)
    assert row["clicks_per_reader__num"] == 1.0
    assert ratio(other, "ctr") == (0.0, 2.0)
    assert found.facts.late == 1


def test_seen_articles_are_the_denominator_once_anybody_logs_impressions(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new"), shown("q2", "quiet", at(1, 1), variant="control")]
    seen = [did(f"e{i}", "impression", "r", at(1, i), request_id="q1") for i in range(3)]
    (row, quiet), found = outcomes(tmp_path, lists, seen)
    assert found.facts.impressions
    assert ratio(row, "ctr") == (0.0, 1.0)
    assert ratio(quiet, "ctr") == (0.0, 0.0)


def test_a_click_from_a_clock_that_is_behind_counts_up_to_five_minutes(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new")]
    clicks = [
        did("e1", "click", "r", at(1, -4), request_id="q1"),
        did("e2", "click", "r", at(1, -6), "a2", request_id="q1"),
    ]
    (row,), found = outcomes(tmp_path, lists, clicks)
    assert row["clicks_per_reader__num"] == 1.0
    assert (found.facts.skewed, found.facts.early) == (1, 1)


def test_pages_and_sessions_of_the_whole_site_from_the_first_exposure_on(tmp_path: Path) -> None:
    views = [at(0.5), at(1), at(1, 30), at(1, 61), at(2), at(9)]
    row = one(
        tmp_path,
        [shown("q1", "r", at(1), variant="new")],
        [did(f"e{i}", "view", "r", when, f"x{i}") for i, when in enumerate(views)],
    )
    # a pause of exactly half an hour ends no session; at(0.5) lies before the first exposure
    assert ratio(row, "page_views_per_session") == (5.0, 4.0)
    assert row["sessions_per_reader__num"] == 4.0
    assert ratio(row, "page_views_per_session", "w_") == (4.0, 3.0)
    assert ratio(row, "page_views_per_session", "pre_") == (0.0, 0.0)


def test_the_page_of_the_first_exposure_belongs_to_it_so_that_who_leaves_at_once_has_a_session(
    tmp_path: Path,
) -> None:
    lists = [shown("q1", "r", at(1), variant="new")]
    views = [did("e1", "view", "r", at(1, -0.9)), did("e2", "view", "r", at(1, -1.1))]
    (row,), found = outcomes(tmp_path, lists, views)
    assert ratio(row, "page_views_per_session") == (1.0, 1.0)
    assert found.facts.between == 1


def test_clicks_stand_for_page_views_where_a_log_has_none(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new")]
    row = one(tmp_path, lists, [did("e1", "click", "r", at(1, 1), request_id="q1")])
    assert ratio(row, "page_views_per_session") == (1.0, 1.0)


def test_reading_and_hiding_are_summed_and_no_time_is_negative(tmp_path: Path) -> None:
    events = [
        did("e1", "read", "r", at(1, 5), value=40.0),
        did("e2", "read", "r", at(4), value=2.5),
        did("e3", "read", "r", at(4, 1), value=-7.0),
        did("e4", "read", "r", at(4, 2)),
        did("e5", "hide", "r", at(4, 3)),
        did("e6", "read", "r", at(-1), value=11.0),
    ]
    row = one(tmp_path, [shown("q1", "r", at(1), variant="new")], events)
    assert row["read_seconds_per_reader__num"] == 42.5
    assert row["w_read_seconds_per_reader__num"] == 40.0
    assert row["pre_read_seconds_per_reader__num"] == 11.0
    assert (row["hides_per_reader__num"], row["w_hides_per_reader__num"]) == (1.0, 0.0)


def test_lists_are_told_by_sections_age_time_and_fallback(tmp_path: Path) -> None:
    lists = [
        shown("q1", "r", at(1), ("a1", "a2", "a3", "a4", "gone"), variant="new", took_ms=4.0),
        shown("q2", "r", at(1, 1), ("a3",), variant="new", took_ms=8.0, fallback="stale_log"),
        shown("q3", "r", at(5), ("a3", "a2"), variant="new"),
    ]
    row = one(tmp_path, lists, articles=ARTICLES)
    assert ratio(row, "diversity") == (2.0 + 1.0 + 2.0, 3.0 + 1.0 + 2.0)
    assert ratio(row, "fresh_share") == (2.0 + 1.0 + 0.0, 3.0 + 1.0 + 2.0)
    assert ratio(row, "latency_ms") == (12.0, 2.0)
    assert ratio(row, "fallback_share") == (1.0, 3.0)
    assert ratio(row, "fallback_share", "w_") == (1.0, 2.0)
    assert ratio(row, "ctr") == (0.0, 8.0)


def test_more_sections_than_a_word_has_bits_are_still_told_apart(tmp_path: Path) -> None:
    many = [Article(article_id=f"b{i}", title="t", section=f"s{i % 150}") for i in range(300)]
    names = [item.article_id for item in many]
    row = one(tmp_path, [shown("q1", "r", at(1), names, variant="new")], articles=many)
    assert ratio(row, "diversity") == (150.0, 300.0)


def test_the_time_before_is_as_long_as_the_running_time_and_on_the_same_surfaces(tmp_path: Path) -> None:
    lists = [
        shown("p1", "r", at(-3.9)),
        shown("p2", "r", at(-4.1)),
        shown("p3", "r", at(-1), surface="popular"),
        shown("p4", "somebody", at(-1)),
        shown("q1", "r", at(1), variant="new"),
    ]
    clicks = [
        did("e1", "click", "r", at(-3.9, 1), request_id="p1"),
        did("e2", "click", "r", at(-4.1, 1), request_id="p2"),
        did("e3", "view", "r", at(-3.9, 1)),
        did("e4", "view", "r", at(-3.9, 10), "x"),
    ]
    row = one(tmp_path, lists, clicks, until=at(4))
    assert ratio(row, "ctr", "pre_") == (1.0, 2.0)
    assert ratio(row, "page_views_per_session", "pre_") == (2.0, 1.0)
    assert ratio(row, "ctr") == (0.0, 2.0)


def test_nothing_at_or_after_the_end_is_looked_at(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new"), shown("q2", "r", at(4), variant="new")]
    views = [did("e1", "view", "r", at(3.9)), did("e2", "view", "r", at(4))]
    (row,), found = outcomes(tmp_path, lists, views, until=at(4))
    assert (row["fallback_share__den"], row["page_views_per_session__num"]) == (1.0, 1.0)
    assert found.lists.left_out["were served after the end of what is looked at"] == 1
    over, _ = outcomes(tmp_path, lists, views, until=END + timedelta(days=9))
    assert over[0]["fallback_share__den"] == 2.0


def test_a_window_that_has_not_ended_is_unknown_not_zero(tmp_path: Path) -> None:
    lists = [shown("q1", "early", at(1), variant="new"), shown("q2", "late", at(3), variant="new")]
    (early, late), _ = outcomes(tmp_path, lists, until=at(4))
    assert ratio(early, "ctr", "w_") == (0.0, 2.0)
    assert ratio(late, "ctr", "w_") == (None, None)
    assert ratio(late, "ctr") == (0.0, 2.0)


def test_who_came_before_is_returning_and_the_same_visit_is_not_before(tmp_path: Path) -> None:
    names = ("new", "same-visit", "back", "long-ago")
    lists = [shown(f"q{i}", name, at(1, i), variant="new") for i, name in enumerate(names)]
    views = [
        did("e1", "view", "same-visit", at(1, 1 - 29)),
        did("e2", "view", "back", at(1, 2 - 31)),
        did("e3", "view", "long-ago", at(-29)),
    ]
    rows, _ = outcomes(tmp_path, lists, views)
    assert [row["is_new"] for row in rows] == [True, True, False, True]


def test_device_and_section_are_those_of_the_first_exposure(tmp_path: Path) -> None:
    lists = [
        shown("q2", "r", at(2), variant="new", device="desktop", context_article_id="a3"),
        shown("q1", "r", at(1), variant="new", device="phone", context_article_id="a1"),
        shown("q3", "plain", at(3), variant="control"),
    ]
    (row, plain), _ = outcomes(tmp_path, lists, articles=ARTICLES)
    assert (row["device"], row["section"], row["variant"]) == ("phone", "World", "new")
    assert row["first_at"] == at(1).timestamp()
    assert (plain["device"], plain["section"], plain["variant"]) == (None, None, "control")


def test_the_unit_is_the_browser_or_the_signed_in_user(tmp_path: Path) -> None:
    lists = [
        shown("q1", "s1", at(1), variant="new", user_id="u"),
        shown("q2", "s2", at(2), variant="new", user_id="u"),
    ]
    by_session, _ = outcomes(tmp_path, lists)
    by_user, _ = outcomes(tmp_path, lists, definition=experiment(unit="user"))
    assert (len(by_session), len(by_user)) == (2, 1)
    assert by_user[0]["fallback_share__den"] == 2.0


def test_only_lists_of_this_experiment_in_its_time_on_its_surfaces_count(tmp_path: Path) -> None:
    lists = [
        shown("q1", "r", at(1), variant="new"),
        shown("q2", "r", at(1), variant="new", experiment_id="another"),
        shown("q3", "r", at(1), variant="new", surface="popular"),
        shown("q4", "early", at(-1), variant="new"),
        shown("q5", "nobody", at(1)),
    ]
    (row,), found = outcomes(tmp_path, lists)
    assert row["fallback_share__den"] == 1.0
    assert {why: count for why, count in found.lists.left_out.items() if count} == {
        "stand on another surface": 1,
        "were served before the experiment's start": 1,
    }


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new"), shown("q1", "r", at(1, 1), variant="new")]
    views = [did("e1", "view", "r", at(2)), did("e1", "view", "r", at(2))]
    (row,), found = outcomes(tmp_path, lists, views)
    assert row["fallback_share__den"] == 1.0
    assert row["page_views_per_session__num"] == 1.0
    assert (found.lists.left_out["repeat an earlier list"], found.repeated_events) == (1, 1)


def test_readers_of_two_variants_of_the_house_and_robots_are_left_out_and_counted(tmp_path: Path) -> None:
    lists = [shown("q1", "r", at(1), variant="new"), shown("q2", "twice", at(1), variant="new")]
    lists += [shown("q3", "twice", at(2), variant="control")]
    lists += [shown("q4", "desk", at(2), variant="control", user_id="editor")]
    lists += [shown(f"b{i}", "robot", at(1, i / 60), variant="new") for i in range(40)]
    lists += [shown("c", "opener", at(1), variant="new")]
    views = [did(f"e{i}", "view", "opener", at(1, i / 60), f"x{i}") for i in range(40)]
    (row,), found = outcomes(tmp_path, lists, views, internal=["editor"])
    assert row["first_at"] == at(1).timestamp()
    assert list(found.people.left_out.values()) == [1, 1, 2]
    assert set(found.people.robots) >= {
        "more than 30 moments of asking in a minute",
        "more than 30 moments of opening in a minute",
    }


def test_variants_that_the_definition_does_not_know_are_told(tmp_path: Path) -> None:
    lists = [
        shown("q1", "r", at(1), variant="new"),
        shown("q2", "x", at(1), variant="newer"),
        shown("q3", "y", at(1), variant="newer"),
    ]
    rows, found = outcomes(tmp_path, lists)
    assert len(rows) == 1
    assert found.lists.unknown == {"newer": 2}


def test_what_happened_between_the_start_and_the_first_exposure_belongs_to_no_period(tmp_path: Path) -> None:
    (row,), found = outcomes(
        tmp_path, [shown("q1", "r", at(1), variant="new")], [did("e1", "view", "r", at(0.5))]
    )
    assert ratio(row, "page_views_per_session") == (0.0, 0.0)
    assert ratio(row, "page_views_per_session", "pre_") == (0.0, 0.0)
    assert found.facts.between == 1


def test_no_id_stands_in_the_table(tmp_path: Path) -> None:
    row = one(tmp_path, [shown("q1", "reader-name", START, variant="new")])
    assert "reader-name" not in repr(row)
    assert isinstance(row["unit"], int)


@pytest.mark.parametrize("days", [0, 1])
def test_an_experiment_without_exposures_has_no_rows(tmp_path: Path, days: int) -> None:
    rows, found = outcomes(tmp_path, [shown("q1", "r", at(1))], until=at(days))
    assert rows == []
    assert found.exposures == 0
