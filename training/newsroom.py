"""The demo newsroom: articles written for this project, dated relative to the start of the demo."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.schemas import Article

FOLDER = Path(__file__).parent / "articles"


def raw_newsroom(start: datetime) -> list[dict[str, Any]]:
    """Canonical rows as a feed would deliver them, some with tags and entities in their text.

    Args:
        start: the demo's now; an article is published ``hours_ago`` before it.
    """
    rows = []
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            published = start - timedelta(hours=row.pop("hours_ago"))
            rows.append({**row, "published_at": published.isoformat(), "language": "en"})
    return rows


def load_newsroom(start: datetime) -> list[Article]:
    """The same, checked and cleaned."""
    return [Article.model_validate(row) for row in raw_newsroom(start)]
