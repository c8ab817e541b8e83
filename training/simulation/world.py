"""The world of a simulation: articles with their quality, readers with their interests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR
from recsys.schemas import Article
from training.simulation.scenario import Floats, Scenario

_AGES = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 24.0, 48.0, 72.0, 168.0, 336.0, 720.0, 1440.0)
_MOST = 1.0
KINDS = ("cold", "one_interest", "two_interests")


@dataclass(frozen=True)
class World:
    """The truth of a simulation.

    Attributes:
        scenario: what was asked for.
        articles: n articles.
        published: (n,) unix seconds.
        names: of the s sections.
        sections: (n,) section codes.
        half_lives: (s,) hours.
        quality: (n,) multiplies the click rate; the author's factor is part of it.
        author_quality: (a,) factor of each author.
        prominence: (n,) multiplies the policy's weight; few articles take most clicks.
        priority: (n,) 0-1.
        interests: (u, s) multiplies it by section; mean about 1.
        kinds: (u,) codes into ``KINDS``.
        activity: (u,) sessions a day.
    """

    scenario: Scenario
    articles: Sequence[Article]
    published: Floats
    names: list[str]
    sections: NDArray[np.intp]
    half_lives: Floats
    quality: Floats
    author_quality: Floats
    prominence: Floats
    priority: Floats
    interests: Floats
    kinds: NDArray[np.intp]
    activity: Floats

    def appeal(self, rows: NDArray[np.integer], ts: Floats | float) -> Floats:
        """Appeal of articles at times (unix seconds) without quality and interest; 1 at the peak."""
        age = (ts - self.published[rows]) / HOUR
        return self.scenario.appeal(age, self.half_lives[self.sections[rows]])

    def attractiveness(
        self, users: NDArray[np.integer], rows: NDArray[np.integer], ts: Floats | float
    ) -> Floats:
        """Chance that a reader who looks at an article opens it; arrays that broadcast."""
        interest = self.interests[users, self.sections[rows]]
        chance = self.scenario.click_rate * self.appeal(rows, ts) * self.quality[rows] * interest
        return np.asarray(np.minimum(chance, _MOST))

    def truth(self, seed: int) -> dict[str, Any]:
        """Everything that an estimate can be compared with, as JSON values."""
        ages = np.array(_AGES)
        return {
            "seed": seed,
            "scenario": self.scenario.model_dump(mode="json"),
            "sections": self.names,
            "half_life_hours": dict(zip(self.names, self.half_lives.tolist(), strict=True)),
            "age_hours": list(_AGES),
            "appeal_by_age": {
                name: np.round(self.scenario.appeal(ages, half_life), 6).tolist()
                for name, half_life in zip(self.names, self.half_lives, strict=True)
            },
            "examination_by_position": self.scenario.examined().tolist(),
            "quality": {
                article.article_id: round(value, 6)
                for article, value in zip(self.articles, self.quality.tolist(), strict=True)
            },
            "author_quality": {
                author_name(author): round(value, 6)
                for author, value in enumerate(self.author_quality.tolist())
            },
            "readers": {
                reader_name(user): {
                    "kind": KINDS[int(self.kinds[user])],
                    "likes": [self.names[s] for s in np.flatnonzero(self.interests[user] >= 1.0).tolist()],
                    "sessions_per_day": round(float(self.activity[user]), 4),
                }
                for user in range(len(self.kinds))
            },
        }


def reader_name(user: int) -> str:
    """User id of a simulated reader."""
    return f"reader-{user:06d}"


def author_name(author: int) -> str:
    """Name of a simulated author."""
    return f"Author {author + 1}"


def make_world(
    rng: np.random.Generator, articles: Sequence[Article], users: int, scenario: Scenario
) -> World:
    """Draw the truth: cold readers, readers of one interest, readers of two, heavy ones among them."""
    names = sorted({article.section or "" for article in articles})
    sections = np.array([names.index(article.section or "") for article in articles], dtype=np.intp)
    interests = np.full((users, len(names)), scenario.disliked)
    cold = max(1.0 - scenario.one_interest - scenario.two_interests, 0.0)
    shares = np.array((cold, scenario.one_interest, scenario.two_interests))
    kinds = rng.choice(3, size=users, p=shares / shares.sum())
    order = np.argsort(rng.random((users, len(names))), axis=1)
    for place in range(min(2, len(names))):
        fans = np.flatnonzero(np.maximum(kinds, 1) > place)
        interests[fans, order[fans, place]] = scenario.liked
    usual = rng.gamma(2.0, scenario.sessions_per_day / 2.0, size=users)
    heavy = np.where(rng.random(users) < scenario.heavy_share, scenario.heavy_factor, 1.0)
    activity = np.where(kinds == 0, scenario.sessions_per_day / 8.0, usual * heavy)
    sigma = scenario.quality_sigma
    quality = np.exp(rng.normal(0.0, 1.0, size=len(articles)) * sigma - sigma**2 / 2.0)
    prominence = np.exp(rng.normal(0.0, 1.0, size=len(articles)) * scenario.prominence_sigma)
    published = [a.published_at.timestamp() if a.published_at else 0.0 for a in articles]
    # of its own, so that authors change nothing else that is drawn
    articles, authors, factors = _signed(rng.spawn(1)[0], articles, scenario)
    if len(factors):
        quality *= factors[authors]
    return World(
        scenario,
        articles,
        np.array(published, dtype=np.float64),
        names,
        sections,
        np.array([scenario.half_life(name) for name in names]),
        quality,
        factors,
        prominence,
        np.array([a.editor_priority or 0.0 for a in articles]),
        interests,
        kinds,
        activity,
    )


def _signed(
    rng: np.random.Generator, articles: Sequence[Article], scenario: Scenario
) -> tuple[Sequence[Article], NDArray[np.intp], Floats]:
    """Articles with their authors, the author of each, and the factor of each author; a few write most."""
    count, sigma = scenario.author_count, scenario.author_sigma
    if count == 0:
        return articles, np.zeros(0, np.intp), np.zeros(0)
    shares = 1.0 / np.arange(1.0, count + 1.0) ** 0.5
    authors = rng.choice(count, size=len(articles), p=shares / shares.sum())
    factors = np.exp(rng.normal(0.0, 1.0, size=count) * sigma - sigma**2 / 2.0)
    signed = [
        article.model_copy(update={"authors": [author_name(author)]})
        for article, author in zip(articles, authors.tolist(), strict=True)
    ]
    return signed, authors, factors
