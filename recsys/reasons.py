"""Why an article stands in a list, in words for its reader."""

from collections.abc import Sequence
from functools import lru_cache

from recsys.in_list import base_of

_REASONS = {
    "similarity": "On the same topic",
    "topic": "On the same topic",
    "interests": "Close to what you read lately",
    "section": "From the same section",
    "popularity": "Read by many right now",
    "ctr": "Often chosen by readers",
    "engagement": "Readers stay with it",
    "freshness": "Just published",
    "newness": "Just published",
    "recency": "Just published",
    "rising": "Rising right now",
    "priority": "Recommended by the editors",
    "interests_soft": "Close to what you read lately",
    "interests_recent": "Close to what you read lately",
    "covisited": "Readers of the same articles read it",
    "author_ctr": "By an author whom readers often choose",
    "ctr_4h": "Often chosen by readers",
    "ctr_24h": "Often chosen by readers",
    "ctr_168h": "Often chosen by readers",
    "openings_1h": "Read by many right now",
    "openings_6h": "Read by many right now",
    "openings_24h": "Read by many right now",
    "rise": "Rising right now",
}


OTHERWISE = "More from the newsroom"


@lru_cache
def _telling(names: tuple[str, ...]) -> list[tuple[int, str]]:
    """Places of the parts that tell a reader something, and what they tell."""
    found = ((place, _REASONS.get(base_of(name))) for place, name in enumerate(names))
    return [(place, told) for place, told in found if told is not None]


def reason_of(names: tuple[str, ...], values: Sequence[float]) -> str:
    """The reason that the largest telling part of a score gives.

    Args:
        names: of the parts.
        values: of the parts.

    Example:
        >>> reason_of(("freshness", "off_topic", "popularity"), (0.1, 3.0, 0.2))
        'Read by many right now'
    """
    best, reason = 0.0, OTHERWISE
    for place, told in _telling(names):
        if values[place] > best:
            best, reason = values[place], told
    return reason
