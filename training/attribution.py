"""Which click belongs to which served list, and what it counts as a lesson.

A click that names its request and surface belongs to that list if the list holds the article; one
that names only the request, to the lists of that request which hold it; one that names neither, to
the reader's latest list before it that holds the article, within ``attribution_minutes``. An article
of a list is clicked once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys.config import ClicklogConfig
from recsys.schemas import Exposure
from training.duck import Duck, Expr, believed, canonical, opened

_MINUTE = 60_000_000
_ATTRIBUTED = ("click", "reader", "us", "article_id", "request_id", "surface", "how")
Key = tuple[str, str]


class Labels(Mapping[Key, Mapping[str, float]]):
    """Clicked articles of served lists, by (request_id, surface), with their weights.

    Args:
        weights: of each clicked article of each list that has a click.
    """

    def __init__(self, weights: Mapping[Key, Mapping[str, float]] | None = None) -> None:
        self._weights = weights or {}

    def __getitem__(self, key: Key) -> Mapping[str, float]:
        return self._weights[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def clicked(self, exposure: Exposure) -> frozenset[str]:
        """Articles of a list that were clicked."""
        return frozenset(self._weights.get((exposure.request_id, exposure.surface), ()))

    def of(self, exposure: Exposure) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """(n,) whether each item was clicked, and (n,) what it counts, 0 where it was not."""
        chosen = self._weights.get((exposure.request_id, exposure.surface), {})
        weights = np.array([chosen.get(item.article_id, 0.0) for item in exposure.items], dtype=np.float64)
        mask = np.array([item.article_id in chosen for item in exposure.items], dtype=bool)
        return mask, weights


@dataclass(frozen=True)
class Attributed:
    """Clicks and where they went.

    Attributes:
        labels: the lessons.
        found: clicks by how their list was found.
        lost: clicks of no list.
        read: clicked articles with a known reading.
        median_seconds: of these readings, NaN without any.
    """

    labels: Labels
    found: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    read: int = 0
    median_seconds: float = float("nan")


def labels_of(data: Path, config: ClicklogConfig) -> Labels:
    """Every trusted click of canonical data as a plain label of weight 1; nothing is cleaned."""
    with opened(config.memory_mb) as duck:
        events = canonical(duck, data, "events")
        clicks = duck.keep("clicks", _clicks(believed(events).filter(events.type == "click")))
        found = _attribute(duck, clicks, shown_items(canonical(duck, data, "exposures")), config)
        lists = duck.arrow(found.select("request_id", "surface", "article_id").distinct())
    return Labels(_by_list(lists, np.ones(len(lists))))


def attribute(duck: Duck, events: Expr, exposures: Expr, config: ClicklogConfig) -> Attributed:
    """Clicks of a cleaned log as weighted labels.

    Args:
        duck: where it runs.
        events: with type (a name), reader, us, article_id, request_id, surface and value.
        exposures: canonical.
        config: times and weights.
    """
    clicks = duck.keep("clicks", _clicks(events.filter(events.type == "click")))
    found = duck.keep("attributed", _attribute(duck, clicks, shown_items(exposures), config))
    how = duck.arrow(found.select("click", "how").distinct().group_by("how").agg(n=ibis._.count()))
    counts = {row["how"]: row["n"] for row in how.to_pylist()}
    rows = duck.arrow(_with_reading(found, events, config))
    seconds = rows.column("seconds").to_numpy().astype(np.float64)
    known = seconds[~np.isnan(seconds)]
    median = float(np.median(known)) if len(known) else float("nan")
    lost = duck.number(clicks.count()) - sum(counts.values())
    weights = weights_of(seconds, median, config)
    return Attributed(Labels(_by_list(rows, weights)), counts, lost, len(known), median)


def weights_of(seconds: NDArray[np.float64], median: float, config: ClicklogConfig) -> NDArray[np.float64]:
    """What clicks count: log(1 + seconds read) over that of the median reading, within bounds.

    Args:
        seconds: (n,) NaN where no reading is known; such a click counts 1.
        median: of the known ones, NaN without any.
        config: ``read_weight_low`` and ``read_weight_high``.
    """
    if not median > 0:
        return np.ones(len(seconds))
    ratio = np.log1p(np.maximum(seconds, 0.0)) / np.log1p(median)
    bounded = np.clip(ratio, config.read_weight_low, config.read_weight_high)
    return np.where(np.isnan(seconds), 1.0, bounded)


def shown_items(exposures: Expr) -> Expr:
    """A row for each item of each list: request_id, surface, reader, us, article_id."""
    kept = exposures.select("request_id", "surface", "reader", "us", item=exposures["items"])
    one = kept.unnest("item")
    return one.select("request_id", "surface", "reader", "us", article_id=one.item.article_id)


def _clicks(clicks: Expr) -> Expr:
    # a list that depends on no reader has a list_id; it names its list like a request does
    named = ibis.coalesce(clicks.request_id, clicks.list_id)
    return clicks.select("reader", "us", "article_id", "surface", request_id=named, click=ibis.row_number())


def _attribute(duck: Duck, clicks: Expr, items: Expr, config: ClicklogConfig) -> Expr:
    """click, reader, us, article_id, and the list that was found: request_id, surface, how."""
    named, bare = clicks.filter(clicks.request_id.notnull()), clicks.filter(clicks.request_id.isnull())
    found = named.inner_join(items, ["request_id", "article_id"], rname="list_{name}")
    found = found.filter(found.surface.isnull() | (found.surface == found.list_surface))
    how = ibis.ifelse(found.surface.isnull(), "request", "request and surface")
    by_name = found.mutate(surface=found.list_surface, how=how).select(*_ATTRIBUTED)
    if duck.number(bare.count()) == 0:
        return by_name
    return by_name.union(_latest_lists(bare, items, config))


def _latest_lists(bare: Expr, items: Expr, config: ClicklogConfig) -> Expr:
    """For clicks without request the reader's latest list before them that holds the article."""
    window = round(config.attribution_minutes * _MINUTE)
    bare = bare.drop("request_id")
    found = bare.inner_join(items, ["reader", "article_id"], rname="list_{name}")
    found = found.filter(
        found.surface.isnull() | (found.surface == found.list_surface),
        found.list_us <= found.us,
        found.list_us >= found.us - window,
    )
    order = [ibis.desc("list_us"), ibis.desc("request_id"), "list_surface"]
    place = ibis.row_number().over(ibis.window(group_by="click", order_by=order))
    found = found.mutate(place=place, surface=found.list_surface, how=ibis.literal("reader"))
    return found.filter(found.place == 0).select(*_ATTRIBUTED)


def _with_reading(found: Expr, events: Expr, config: ClicklogConfig) -> Expr:
    """request_id, surface, article_id, and seconds of the longest reading after the first click."""
    window = round(config.read_within_minutes * _MINUTE)
    first = found.group_by(["request_id", "surface", "article_id", "reader"]).agg(us=found.us.min())
    reads = events.filter((events.type == "read") & events.value.notnull())
    reads = reads.select("reader", "article_id", "value", read_us=reads.us)
    read = first.inner_join(reads, ["reader", "article_id"])
    read = read.filter(read.read_us >= read.us, read.read_us <= read.us + window)
    keys = ["request_id", "surface", "article_id"]
    longest = read.group_by(keys).agg(seconds=read.value.max())
    lists = first.select(*keys).distinct()
    joined = lists.left_join(longest, keys)
    return joined.select(*keys, "seconds").order_by(keys)


def _by_list(rows: pa.Table, weights: NDArray[Any]) -> dict[Key, dict[str, float]]:
    names = [rows.column(name).to_pylist() for name in ("request_id", "surface", "article_id")]
    found: dict[Key, dict[str, float]] = {}
    for request_id, surface, article_id, weight in zip(*names, weights.tolist(), strict=True):
        found.setdefault((request_id, surface), {})[article_id] = weight
    return found
