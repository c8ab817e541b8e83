"""What may come in, and what the refusal says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.schemas import Article, Event, Exposure, check_id, parse_time

GOOD: dict[str, Any] = {
    "event_id": "e",
    "type": "view",
    "ts": "2026-01-01T00:00:00Z",
    "article_id": "a",
    "session_id": "s",
}


def refusal(model: type, values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return str(caught.value)


@given(st.text(min_size=1, max_size=128, alphabet=st.characters(exclude_categories=["C", "Z"])))
def test_ids_without_control_and_space_pass(name: str) -> None:
    assert check_id(name) == name


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a\nb", "a\u200bb", "a\u00a0b", "\ud800"])
def test_other_ids_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="character"):
        check_id(name)


def test_an_id_of_ten_thousand_characters_is_refused_with_its_length() -> None:
    assert "10000" in refusal(Event, {**GOOD, "article_id": "x" * 10_000})


def test_a_time_without_zone_is_refused_with_what_to_add() -> None:
    assert "no zone; add Z" in refusal(Event, {**GOOD, "ts": "2026-01-01T00:00:00"})


def test_times_become_utc() -> None:
    assert parse_time("2026-01-01T01:00:00+01:00") == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yesterday", 5, None, "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(value)


def test_a_title_of_fifty_megabytes_is_refused_before_it_is_cleaned() -> None:
    assert "at most 2000 characters" in refusal(Article, {"article_id": "a", "title": "x" * 50_000_000})


def test_a_title_of_markup_only_is_no_title() -> None:
    assert "title" in refusal(Article, {"article_id": "a", "title": "<p>&nbsp;</p>"})


def test_an_unknown_field_is_named() -> None:
    assert "headline" in refusal(Article, {"article_id": "a", "title": "T", "headline": "H"})


def test_an_event_needs_a_reader() -> None:
    assert "user_id or session_id" in refusal(Event, {k: v for k, v in GOOD.items() if k != "session_id"})


@pytest.mark.parametrize("priority", [-0.1, 1.1, float("nan")])
def test_priority_lies_between_zero_and_one(priority: float) -> None:
    refusal(Article, {"article_id": "a", "title": "T", "editor_priority": priority})


def test_a_propensity_is_a_probability() -> None:
    item = {"article_id": "a", "position": 1, "propensity": 1.5}
    values = {"request_id": "r", "surface": "related", "ts": GOOD["ts"], "session_id": "s", "items": [item]}
    assert "propensity" in refusal(Exposure, values)
