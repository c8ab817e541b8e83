"""Articles that a simulation makes up, for newsrooms larger than the demo's own."""

from datetime import datetime, timedelta

import numpy as np

from recsys.schemas import Article

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


def synthetic_articles(rng: np.random.Generator, count: int, days: float, end: datetime) -> list[Article]:
    """Plausible articles, published evenly over the last ``days`` before ``end``, oldest first."""
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
