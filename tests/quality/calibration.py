"""How a simulated log compares with published news logs.

The targets: click rate by age as in EB-NeRD (Kruse et al., RecSys Challenge 2024), ages of what is
clicked as on the Globo news site, one click for 8 to 23 candidates, few articles with most clicks.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

AGE_BINS = {"under 30 min": (0.0, 0.5), "2-4 h": (2.0, 4.0), "8-24 h": (8.0, 24.0), "1-3 d": (24.0, 72.0)}
# measure: lowest and highest value that counts as calibrated
TARGETS = {
    "click rate, under 30 min": (0.05, 0.09),
    "click rate, 2-4 h": (0.10, 0.14),
    "click rate, 8-24 h": (0.08, 0.12),
    "click rate, 1-3 d": (0.03, 0.065),
    "peak age, hours": (2.0, 4.0),
    "median age of clicks, hours": (8.0, 14.0),
    "clicks on articles under 20 h": (0.85, 0.95),
    "candidates per click": (8.0, 23.0),
    "clicks of the top 1% of articles": (0.5, 1.0),
}


@dataclass(frozen=True)
class _Log:
    rows: NDArray[Any]
    ages: NDArray[np.float64]
    kinds: NDArray[Any]


def calibration(data: Path) -> dict[str, float]:
    """The measures of ``TARGETS`` on a simulated log with confirmed impressions."""
    log, articles = _read(data)
    click, seen = log.kinds == "click", log.kinds == "impression"
    rates = {f"click rate, {name}": _rate(log.ages, click, seen, *span) for name, span in AGE_BINS.items()}
    edges = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 72.0]
    by_age = [_rate(log.ages, click, seen, a, b) for a, b in pairwise(edges)]
    best = int(np.argmax(by_age))
    offered = int(
        pq.read_table(data / "exposures", columns=["items"]).column(0).combine_chunks().flatten().__len__()
    )
    counts = np.sort(np.bincount(log.rows[click], minlength=articles))[::-1]
    top = max(1, round(0.01 * articles))
    return {
        **rates,
        "peak age, hours": (edges[best] + edges[best + 1]) / 2.0,
        "median age of clicks, hours": float(np.median(log.ages[click])),
        "clicks on articles under 20 h": float((log.ages[click] < 20.0).mean()),
        "candidates per click": offered / max(int(click.sum()), 1),
        "clicks of the top 1% of articles": float(counts[:top].sum() / max(counts.sum(), 1)),
    }


def _rate(
    ages: NDArray[np.float64], click: NDArray[Any], seen: NDArray[Any], low: float, high: float
) -> float:
    inside = (ages >= low) & (ages < high)
    return float((click & inside).sum() / max((seen & inside).sum(), 1))


def _read(data: Path) -> tuple[_Log, int]:
    articles = pq.read_table(data / "articles", columns=["article_id", "published_at"])
    names = articles.column("article_id").to_pylist()
    place = {name: row for row, name in enumerate(names)}
    published = articles.column("published_at").cast("int64").to_numpy() / 1e6
    events = pq.read_table(
        data / "events", columns=["type", "ts", "article_id"], read_dictionary=["type", "article_id"]
    )
    column = events.column("article_id").combine_chunks()
    rows = np.array([place[name] for name in column.dictionary.to_pylist()])[column.indices.to_numpy()]
    ages = (events.column("ts").cast("int64").to_numpy() / 1e6 - published[rows]) / 3600.0
    return _Log(rows, ages, np.array(events.column("type").to_pylist())), len(names)
