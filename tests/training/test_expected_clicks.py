"""What a click says of the list it was made in: clicks over expected clicks."""

from datetime import timedelta

import numpy as np
import pytest

from recsys.config import Config
from recsys.examination import Examination
from recsys.profile import reader_key
from recsys.schemas import EVENT_TYPES, Exposure, ExposureItem
from recsys.state import State
from tests.builders import NOW, article, row, world
from training.attribution import Labels
from training.moments import Moments, as_counted, with_impressions
from training.readers import EventLog

PER_CLICK = Config().popularity.impressions_per_click
CLICK, IMPRESSION, VIEW = (EVENT_TYPES.index(name) for name in ("click", "impression", "view"))


def served(name: str, items: str, reader: str = "r", minutes_ago: float = 60.0) -> Exposure:
    return Exposure(
        request_id=name,
        surface="for_you",
        ts=NOW - timedelta(minutes=minutes_ago),
        session_id=reader,
        items=[ExposureItem(article_id=item, position=at) for at, item in enumerate(items, 1)],
    )


def log_of(*events: tuple[int, str, str, float]) -> EventLog:
    """Events (type, article, reader, minutes ago), in time order."""
    ordered = sorted(events, key=lambda made: -made[3])
    names = sorted({made[1] for made in events})
    return EventLog(
        np.array([NOW.timestamp() - 60.0 * made[3] for made in ordered]),
        np.array([made[0] for made in ordered], np.uint8),
        np.array([names.index(made[1]) for made in ordered], np.int32),
        np.array([reader_key(f"s:{made[2]}") for made in ordered], np.uint64),
        np.full(len(ordered), np.nan),
        names,
    )


def expected(log: EventLog) -> dict[str, float]:
    """Expected clicks by article."""
    inside = log.types == IMPRESSION
    sums = np.bincount(log.articles[inside], log.values[inside], minlength=len(log.article_ids)) / PER_CLICK
    return dict(zip(log.article_ids, sums.tolist(), strict=True))


def test_the_articles_of_a_clicked_list_share_one_expected_click() -> None:
    log = log_of((CLICK, "a", "r", 50.0))
    found = with_impressions(log, [served("q", "abcd")], Labels({("q", "for_you"): {"a": 1.0}}), PER_CLICK)
    assert expected(found) == pytest.approx(dict.fromkeys("abcd", 0.25))


def test_two_clicks_are_two_and_a_list_without_a_click_says_nothing() -> None:
    log = log_of((CLICK, "a", "r", 50.0), (CLICK, "b", "r", 40.0))
    lists = [served("q", "abcd"), served("silent", "xyz", "other")]
    found = with_impressions(log, lists, Labels({("q", "for_you"): {"a": 1.0, "b": 1.0}}), PER_CLICK)
    assert expected(found) == pytest.approx(dict.fromkeys("abcd", 0.5))
    times = found.ts[found.types == IMPRESSION].tolist()
    assert times == pytest.approx([NOW.timestamp() - 3000.0] * 4 + [NOW.timestamp() - 2400.0] * 4)


def test_places_share_it_by_the_chance_that_they_are_looked_at() -> None:
    log = log_of((CLICK, "a", "r", 50.0))
    looked = Examination({"for_you": (1.0, 0.5, 0.25, 0.25)})
    clicks = Labels({("q", "for_you"): {"a": 1.0}})
    found = with_impressions(log, [served("q", "abcd")], clicks, PER_CLICK, looked)
    assert expected(found) == pytest.approx({"a": 0.5, "b": 0.25, "c": 0.125, "d": 0.125})


def test_impressions_of_the_clients_own_are_taken_as_they_are() -> None:
    log = log_of((IMPRESSION, "a", "r", 55.0), (IMPRESSION, "b", "r", 55.0), (CLICK, "a", "r", 50.0))
    found = with_impressions(log, [served("q", "ab")], Labels({("q", "for_you"): {"a": 1.0}}), PER_CLICK)
    assert len(found) == 3
    assert np.isnan(found.values).all()


def test_nothing_is_expected_before_the_click_is_known() -> None:
    """The list was served an hour ago, its click came ten minutes ago."""
    log, lists = log_of((CLICK, "a", "r", 10.0)), [served("q", "ab")]
    state = world([article("a"), article("b")])
    moments = Moments(state, as_counted(state, log, lists, Labels({("q", "for_you"): {"a": 1.0}})))
    column = state.popularity.rate_column(24.0)
    rows = np.array([row(state, "a"), row(state, "b")])
    before = moments.until(NOW.timestamp() - 660.0)
    assert before.popularity.impressions.read(NOW.timestamp(), column, rows).tolist() == [0.0, 0.0]
    after = moments.until(NOW.timestamp())
    assert (after.popularity.impressions.read(NOW.timestamp(), column, rows) > 0).all()


def rate(state: State, name: str) -> float:
    return float(state.popularity.ctr(NOW.timestamp(), np.array([row(state, name)]), 24.0)[0])


def test_a_long_list_does_not_make_its_articles_look_unloved() -> None:
    """Both are clicked as often as chance would have it; the plain rate would differ thirtyfold."""
    names = [f"{side}{at}" for side in "sl" for at in range(60)]
    state = world([article(name) for name in names])
    events, lists, clicks = [], [], {}
    for at in range(60):
        for side, shown in (("s", 2), ("l", 60)):
            items = [f"{side}{(at + step) % shown}" for step in range(shown)]
            lists.append(
                Exposure(
                    request_id=f"{side}{at}", surface="for_you", ts=NOW - timedelta(minutes=70 - at),
                    session_id=f"{side}{at}",
                    items=[ExposureItem(article_id=one, position=k) for k, one in enumerate(items, 1)],
                )
            )  # fmt: skip
            clicks[f"{side}{at}", "for_you"] = {items[0]: 1.0}
            events.append((CLICK, items[0], f"{side}{at}", 69.0 - at))
    log = as_counted(state, log_of(*events), lists, Labels(clicks))
    Moments(state, log).until(np.inf)
    assert rate(state, "s0") == pytest.approx(rate(state, "l0"), rel=0.05)
