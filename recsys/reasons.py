"""Why an article stands in a list, in words for its reader."""

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
    "ctr_4h": "Often chosen by readers",
    "ctr_24h": "Often chosen by readers",
    "ctr_168h": "Often chosen by readers",
    "openings_1h": "Read by many right now",
    "openings_6h": "Read by many right now",
    "openings_24h": "Read by many right now",
    "rise": "Rising right now",
}


def reason_of(parts: dict[str, float]) -> str:
    """The reason that the largest telling part of a score gives."""
    told = {name: value for name, value in parts.items() if base_of(name) in _REASONS}
    name = max(told, key=told.__getitem__, default=None)
    return _REASONS[base_of(name)] if name is not None and told[name] > 0 else "More from the newsroom"
