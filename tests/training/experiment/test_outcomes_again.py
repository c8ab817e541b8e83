"""The same table computed once more in plain Python, from the definitions in words, on random logs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.schemas import Article, Event, Exposure
from tests.training.experiment.logs import END, START, at, did, outcomes, shown
from training.experiment.metrics import METRICS, columns_of

UNTIL = at(9)
WINDOW = timedelta(days=2)
MINUTE = timedelta(minutes=1)


def random_log(seed: int) -> tuple[list[Exposure], list[Event], list[Article]]:
    """Readers before and within an experiment, some in both variants, with clicks near and far."""
    rng = np.random.default_rng(seed)
    names = [f"a{i}" for i in range(12)]
    sections = [None, "World", "Sport", "Food"]
    articles = [
        Article(
            article_id=name,
            title="t",
            section=sections[int(rng.integers(4))],
            published_at=None if rng.random() < 0.2 else at(float(rng.uniform(-9, 9))),
        )
        for name in names[:10]
    ]
    lists: list[Exposure] = []
    events: list[Event] = []
    for reader in (f"r{i}" for i in range(25)):
        side = str(rng.choice(["control", "new"]))
        for _ in range(int(rng.integers(1, 12))):
            when, request = at(float(rng.uniform(-10, 10))), f"q{len(lists)}"
            items = [str(name) for name in rng.choice(names, int(rng.integers(0, 6)), replace=False)]
            fields: dict[str, Any] = {"took_ms": float(rng.integers(1, 9)) if rng.random() < 0.7 else None}
            fields["fallback"] = "cold" if rng.random() < 0.2 else None
            if when >= START:
                fields["variant"] = side if rng.random() < 0.98 else "control"
            lists.append(shown(request, reader, when, items, **fields))
            for kind in rng.choice(["view", "click", "impression", "read", "hide"], 6):
                later = when + float(rng.uniform(-12, 45)) * MINUTE
                named = {"request_id": request} if rng.random() < 0.8 else {}
                value = {"value": float(rng.uniform(0, 90))} if kind == "read" else {}
                name = str(rng.choice(names))
                events.append(did(f"e{len(events)}", str(kind), reader, later, name, **named, **value))
    return lists, events, articles


def again(
    lists: list[Exposure], events: list[Event], articles: list[Article]
) -> dict[float, dict[str, float | str | bool | None]]:
    """Rows of readers by their first exposure."""
    before = START - min(UNTIL - START, timedelta(days=28))
    known = {article.article_id: article for article in articles}
    of_reader: dict[str, list[Exposure]] = defaultdict(list)
    for each in lists:
        of_reader[each.reader].append(each)
    seen_by_anyone = False
    rows: dict[float, dict[str, Any]] = {}
    counted: dict[float, Mapping[str, Counter[str]]] = {}
    for reader, theirs in of_reader.items():
        inside = [each for each in theirs if each.variant and START <= each.ts < UNTIL]
        if len({each.variant for each in inside}) != 1:
            continue
        first = min(each.ts for each in inside)
        own = [event for event in events if event.reader == reader and event.ts < UNTIL]
        past = [each for each in theirs if before <= each.ts < START]
        spans = {
            "": (inside, [event for event in own if event.ts >= max(first - MINUTE, START)]),
            "w_": (
                [each for each in inside if each.ts < first + WINDOW],
                [event for event in own if max(first - MINUTE, START) <= event.ts < first + WINDOW],
            ),
            "pre_": (past, [event for event in own if before <= event.ts < START]),
        }
        counts = {prefix: count(shown, did, own, known) for prefix, (shown, did) in spans.items()}
        seen_by_anyone |= counts[""]["seen"] > 0
        rows[first.timestamp()] = {
            "variant": inside[0].variant,
            "is_new": not any(event.ts < first - 30 * MINUTE for event in own),
            "ended": first + WINDOW <= UNTIL,
        }
        counted[first.timestamp()] = counts
    for first_at, counts in counted.items():
        for prefix, found in counts.items():
            for metric, (top, below) in measures("seen" if seen_by_anyone else "items").items():
                ends = {"num": top, "den": below} if below else {"num": top}
                for end, name in ends.items():
                    ended = rows[first_at]["ended"] or prefix != "w_"
                    rows[first_at][f"{prefix}{metric}__{end}"] = float(found[name]) if ended else None
    return rows


def measures(seen: str) -> dict[str, tuple[str, str | None]]:
    return {
        "ctr": ("clicks", seen),
        "clicks_per_reader": ("clicks", None),
        "read_seconds_per_reader": ("seconds", None),
        "page_views_per_session": ("views", "sessions"),
        "sessions_per_reader": ("sessions", None),
        "diversity": ("sections", "sectioned"),
        "fresh_share": ("fresh", "dated"),
        "latency_ms": ("took", "timed"),
        "fallback_share": ("fallbacks", "lists"),
        "hides_per_reader": ("hides", None),
    }


def count(
    lists: list[Exposure], events: list[Event], own: list[Event], known: Mapping[str, Article]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in lists:
        names = [item.article_id for item in each.items]
        cards = [known[name] for name in names if name in known]
        ages = [each.ts - card.published_at for card in cards if card.published_at is not None]
        ages = [age for age in ages if age >= timedelta(0)]
        sections = [card.section for card in cards if card.section]
        found.update(
            lists=1,
            items=len(names),
            fallbacks=each.fallback is not None,
            timed=each.took_ms is not None,
            took=each.took_ms or 0.0,
            sectioned=len(sections),
            sections=len(set(sections)),
            dated=len(ages),
            fresh=sum(age < timedelta(days=1) for age in ages),
        )
        for kind, latest, name in (("click", 30, "clicks"), ("impression", 10**6, "seen")):
            met = {
                event.article_id
                for event in own
                if event.type == kind
                and event.request_id == each.request_id
                and event.article_id in names
                and -5 * MINUTE <= event.ts - each.ts <= latest * MINUTE
            }
            found[name] += len(met)
    opened = sorted(event.ts for event in events if event.type in ("view", "click"))
    found["views"] = sum(event.type == "view" for event in events)
    found["sessions"] = sum(starts(opened))
    found["seconds"] = sum(event.value or 0.0 for event in events if event.type == "read")  # type: ignore[assignment]
    found["hides"] = sum(event.type == "hide" for event in events)
    return found


def starts(times: list[datetime]) -> Iterable[bool]:
    return (place == 0 or when - times[place - 1] > 30 * MINUTE for place, when in enumerate(times))


@pytest.mark.parametrize("seed", range(6))
def test_every_column_of_every_reader_is_the_same(seed: int, tmp_path: Path) -> None:
    lists, events, articles = random_log(seed)
    rows, _ = outcomes(tmp_path, lists, events, articles, until=UNTIL)
    expected = again(lists, events, articles)
    assert UNTIL < END
    assert len(rows) == len(expected) > 5
    for row in rows:
        told = expected[row["first_at"]]
        for column in ("variant", "is_new", *columns_of(list(METRICS), ("", "w_", "pre_"))):
            assert row[column] == pytest.approx(told[column]), column
