"""A newsroom and its readers with known truth, for demos, tests and measurements.

A reader's chance to click an examined article is base rate by age x quality x interest in its
section; the chance to examine a place falls with its position. Lists are sampled by a Plackett-Luce
policy, so each propensity is exact: the weight of the item over the weights still left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.schemas import Article, Event, Exposure, ExposureItem
from training.newsroom import load_newsroom
from training.writing import DatasetWriter

SECTIONS: dict[str, tuple[str, ...]] = {
    "World": ("border", "summit", "treaty", "embassy", "ceasefire", "envoy", "sanctions", "convoy"),
    "Politics": ("minister", "budget", "vote", "coalition", "parliament", "reform", "campaign", "mayor"),
    "Business": ("shares", "merger", "factory", "wages", "exports", "loan", "start-up", "inflation"),
    "Science": ("telescope", "fossil", "genome", "glacier", "particle", "enzyme", "orbit", "reef"),
    "Health": ("vaccine", "sleep", "clinic", "diet", "nurse", "therapy", "allergy", "heart"),
    "Sport": ("final", "penalty", "sprint", "coach", "transfer", "marathon", "derby", "set point"),
    "Culture": ("novel", "orchestra", "gallery", "premiere", "sculpture", "festival", "script", "choir"),
    "Travel": ("night train", "island", "hiking trail", "hostel", "ferry", "old town", "visa", "valley"),
    "Food": ("sourdough", "market", "broth", "harvest", "spices", "bakery", "orchard", "recipe"),
    "Technology": ("chip", "browser", "encryption", "robot", "battery", "sensor", "update", "outage"),
}
_OPENINGS = (
    "What the {a} means for the {b}",
    "After the {a}, a new {b}",
    "The {a} that changed a {b}",
    "{A} and {b}: five things to know",
    "Why the {a} needs a better {b}",
    "Inside the {a} behind the {b}",
)
AGE_HOURS = (0.0, 0.5, 2.0, 4.0, 8.0, 24.0, 72.0, 168.0, 1000.0)
AGE_RATE = (0.06, 0.07, 0.12, 0.12, 0.10, 0.08, 0.035, 0.012, 0.004)
EXAMINATION = tuple(round(0.93**k, 4) for k in range(10))
LIST_LENGTH = 10
_RHYTHM = np.array([1, 1, 1, 1, 1, 2, 4, 7, 8, 6, 5, 5, 7, 6, 5, 5, 5, 6, 7, 8, 8, 7, 5, 3], dtype=np.float64)


@dataclass(frozen=True)
class World:
    """The truth of a simulation.

    Attributes:
        articles: n articles.
        published: (n,) unix seconds.
        sections: (n,) section codes.
        quality: (n,) multiplies the click rate; log-normal, so few articles take most clicks.
        interests: (u, s) multiplies it by section; mean about 1.
        activity: (u,) sessions a day.
    """

    articles: Sequence[Article]
    published: NDArray[np.float64]
    sections: NDArray[np.intp]
    quality: NDArray[np.float64]
    interests: NDArray[np.float64]
    activity: NDArray[np.float64]


def base_rate(age_hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Click rate of an examined article of average quality by age; 0 before publication."""
    rate = np.interp(np.log1p(np.maximum(age_hours, 0.0)), np.log1p(AGE_HOURS), AGE_RATE)
    return np.where(age_hours < 0, 0.0, rate)


def synthetic_articles(rng: np.random.Generator, count: int, days: int, end: datetime) -> list[Article]:
    """Plausible articles, published over the days with a daily rhythm."""
    hours = np.sort(rng.random(count)) * days * 24
    names = list(SECTIONS)
    found = []
    for number, hour in enumerate(hours.tolist()):
        section = names[int(rng.integers(len(names)))]
        a, b, c, d = rng.choice(SECTIONS[section], 4, replace=False).tolist()
        opening = _OPENINGS[int(rng.integers(len(_OPENINGS)))]
        found.append(
            Article(
                article_id=f"sim-{number:07d}",
                title=opening.format(a=a, b=b, A=a.capitalize()),
                abstract=f"A report on {a}, {b} and {c}. Those who know the {d} were not surprised.",
                section=section,
                published_at=(end - timedelta(days=days) + timedelta(hours=hour)).replace(microsecond=0),
                editor_priority=round(float(rng.beta(1.2, 4.0)), 2),
                language="en",
            )
        )
    return found


def make_world(rng: np.random.Generator, articles: Sequence[Article], users: int) -> World:
    """Draw the truth: cold readers, readers of one interest, readers of two."""
    names = sorted({article.section or "" for article in articles})
    sections = np.array([names.index(article.section or "") for article in articles])
    interests = np.full((users, len(names)), 0.35)
    kinds = rng.choice(3, size=users, p=(0.3, 0.35, 0.35))
    for user in range(users):
        liked = rng.choice(len(names), size=min(max(int(kinds[user]), 1), len(names)), replace=False)
        interests[user, liked] = 3.0
    activity = np.where(kinds == 0, 0.15, rng.gamma(2.0, 0.6, size=users))
    quality = np.exp(rng.normal(0.0, 0.9, size=len(articles)) - 0.4)
    published = np.array(
        [article.published_at.timestamp() if article.published_at else 0.0 for article in articles]
    )
    return World(articles, published, sections, quality, interests, activity)


class _Log:
    """Writes what happens, with ids that follow from the order."""

    def __init__(self, writer: DatasetWriter) -> None:
        self._tables = writer.tables
        self.events = 0

    def event(self, kind: str, ts: float, user: int, article_id: str, **more: Any) -> None:
        self.events += 1
        self._tables["events"].add(
            Event.model_construct(
                event_id=f"sim-e{self.events:09d}",
                type=kind,  # type: ignore[arg-type]
                ts=datetime.fromtimestamp(round(ts, 3), UTC),
                article_id=article_id,
                user_id=f"reader-{user:06d}",
                **more,
            )
        )

    def exposure(self, **fields: Any) -> None:
        self._tables["exposures"].add(Exposure.model_construct(**fields))


def simulate(
    out: Path, *, seed: int, articles: int, users: int, days: int, end: datetime, newsroom: bool = False
) -> dict[str, int]:
    """Write canonical data and ``truth.json``; the same arguments give the same rows.

    Args:
        out: folder.
        seed: of everything.
        articles: synthetic articles; with ``newsroom`` the demo's own are used instead.
        users: readers.
        days: simulated days before ``end``.
        end: the last moment.
        newsroom: readers of the demo newsroom.
    """
    rng = np.random.default_rng(seed)
    written = load_newsroom(end) if newsroom else synthetic_articles(rng, articles, days, end)
    world = make_world(rng, written, users)
    with DatasetWriter(out) as writer:
        for article in written:
            writer.tables["articles"].add(article)
        log = _Log(writer)
        for ts, user in _sessions(rng, world, days, end):
            _session(rng, world, log, ts, user, end.timestamp())
        counts = {name: table.count for name, table in writer.tables.items()}
        writer.write_json("truth.json", _truth(world, seed))
        writer.finish({"simulated": True, "seed": seed, **counts})
    return counts


def _sessions(rng: np.random.Generator, world: World, days: int, end: datetime) -> list[tuple[float, int]]:
    """Starts of sessions in time order: (unix seconds, user)."""
    begin = end.timestamp() - days * 86_400.0
    counts = rng.poisson(world.activity * days)
    users = np.repeat(np.arange(len(counts)), counts)
    day = rng.integers(0, days, size=len(users))
    hour = rng.choice(24, size=len(users), p=_RHYTHM / _RHYTHM.sum())
    ts = begin + day * 86_400.0 + (hour + rng.random(len(users))) * 3600.0
    order = np.argsort(ts, kind="stable")
    return list(zip(ts[order].tolist(), users[order].tolist(), strict=True))


def _session(rng: np.random.Generator, world: World, log: _Log, ts: float, user: int, end: float) -> None:
    """A visit: an article opened from outside, then lists and what is clicked in them."""
    appeal = _appeal(world, user, ts)
    if appeal.sum() <= 0:
        return
    current = int(rng.choice(len(appeal), p=appeal / appeal.sum()))
    for step in range(1 + int(rng.poisson(1.5))):
        if ts > end:
            return
        log.event("view", ts, user, world.articles[current].article_id)
        _read(rng, world, log, ts, user, current)
        clicked = _browse(rng, world, log, ts, user, current, f"{log.events}-{step}")
        ts += float(rng.exponential(90.0)) + 10.0
        if clicked is None:
            return
        current = clicked


def _appeal(world: World, user: int, ts: float) -> NDArray[np.float64]:
    rate = base_rate((ts - world.published) / 3600.0)
    return np.asarray(rate * world.quality * world.interests[user, world.sections])


def _read(rng: np.random.Generator, world: World, log: _Log, ts: float, user: int, row: int) -> None:
    article_id = world.articles[row].article_id
    seconds = float(rng.gamma(1.5, 40.0 * min(world.quality[row], 3.0)))
    log.event("read", ts + seconds, user, article_id, value=round(seconds, 1))
    if rng.random() < 0.03 * min(world.quality[row], 3.0):
        log.event(str(rng.choice(("share", "save", "comment"))), ts + seconds, user, article_id)


def _browse(
    rng: np.random.Generator, world: World, log: _Log, ts: float, user: int, context: int, name: str
) -> int | None:
    """One list beside an article; the row that is clicked, if any."""
    age = (ts - world.published) / 3600.0
    same = world.sections == world.sections[context]
    weights = np.where(age >= 0, base_rate(age) * np.where(same, 4.0, 1.0), 0.0)
    weights[context] = 0.0
    rows, propensities = plackett_luce(rng, weights, LIST_LENGTH)
    if len(rows) == 0:
        return None
    who, request_id = f"reader-{user:06d}", f"sim-r{name}"
    context_id = world.articles[context].article_id
    log.exposure(
        request_id=request_id,
        surface="related",
        ts=datetime.fromtimestamp(round(ts, 3), UTC),
        user_id=who,
        context_article_id=context_id,
        items=[
            ExposureItem.model_construct(
                article_id=world.articles[row].article_id, position=at, propensity=chance
            )
            for at, (row, chance) in enumerate(zip(rows.tolist(), propensities.tolist(), strict=True), 1)
        ],
    )
    seen = rng.random(len(rows)) < np.array(EXAMINATION[: len(rows)])
    liked = rng.random(len(rows)) < np.minimum(_appeal(world, user, ts)[rows], 0.9)
    chosen = None
    for at, row in enumerate(rows.tolist()):
        if not seen[at]:
            continue
        place = {
            "request_id": request_id,
            "surface": "related",
            "position": at + 1,
            "context_article_id": context_id,
        }
        log.event("impression", ts + 2.0 + at, user, world.articles[row].article_id, **place)
        if liked[at] and chosen is None:
            chosen = row
            log.event("click", ts + 5.0 + at, user, world.articles[row].article_id, **place)
    return chosen


def plackett_luce(
    rng: np.random.Generator, weights: NDArray[np.float64], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """``n`` rows drawn without replacement, and each one's chance given those above it.

    Source: Plackett, "The Analysis of Permutations", Applied Statistics 1975; drawn by adding Gumbel
    noise to log weights.
    """
    open_rows = np.flatnonzero(weights > 0)
    noise = np.log(weights[open_rows]) + rng.gumbel(size=len(open_rows))
    chosen = open_rows[np.argsort(-noise)[:n]]
    taken = weights[chosen]
    left = weights.sum() - np.concatenate(([0.0], np.cumsum(taken)[:-1]))
    return chosen, np.minimum(taken / left, 1.0)


def _truth(world: World, seed: int) -> dict[str, Any]:
    names = sorted({article.section or "" for article in world.articles})
    return {
        "seed": seed,
        "age_hours": AGE_HOURS,
        "click_rate_by_age": AGE_RATE,
        "examination_by_position": EXAMINATION,
        "sections": names,
        "quality": {
            a.article_id: round(q, 6) for a, q in zip(world.articles, world.quality.tolist(), strict=True)
        },
        "interests": {f"reader-{u:06d}": row for u, row in enumerate(world.interests.tolist())},
    }
