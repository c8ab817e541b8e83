"""The log of one experiment with known effects, of any size, as canonical data.

Readers differ by much: visits are log-normal, click rates beta, and both are a reader's own before and during
the experiment, so that the time before tells something. Those who come often come first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys.errors import UsageError
from recsys.experiments.definition import Experiment
from training.simulation.articles import SECTIONS
from training.simulation.columns import table_of, times_of
from training.writing import DatasetWriter

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_DAY = 86_400.0
_CHUNK = 50_000
_DEVICES = ("phone", "desktop", "tablet")
_MOST_VIEWS = 30
TRUTH = "truth.json"


@dataclass(frozen=True)
class Lift:
    """What a variant changes, relative to the control: 0.05 is five per cent more.

    Attributes:
        clicks: chance to click an article of a list.
        views: pages of a session.
        latency: time that a list takes.
        fallbacks: share of lists that are a fallback.
    """

    clicks: float = 0.0
    views: float = 0.0
    latency: float = 0.0
    fallbacks: float = 0.0


def lift_of(given: Sequence[str]) -> Lift:
    """A lift from ``clicks=0.1`` and the like.

    Raises:
        UsageError: another name, or no number above -1.
    """
    values: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            values[name] = float(number)
        except ValueError:
            values[name] = math.nan
        if name not in Lift.__dataclass_fields__ or not values[name] > -1.0:
            known = ", ".join(Lift.__dataclass_fields__)
            raise UsageError(f"--lift {text!r}: write NAME=NUMBER, a number above -1; names are {known}")
    return Lift(**values)


@dataclass(frozen=True)
class Traffic:
    """Who comes, and what they do.

    Attributes:
        readers: who could come; some never do while the experiment runs.
        articles: published evenly until the end.
        sessions_per_week: median of readers.
        activity_sigma: of its logarithm.
        pages_per_session: mean, at least one.
        click_rate: mean chance to click an article of a list.
        new_share: readers who did not come before.
        before_days: logged before the start.
        list_length: articles of a list.
        fallback_rate, hide_rate: shares of lists, of pages.
        impressions: whether seen articles are logged; otherwise only lists and clicks are.
        lost: share of the readers of variants besides the control whose lists are never logged.
    """

    readers: int = 10_000
    articles: int = 500
    sessions_per_week: float = 1.5
    activity_sigma: float = 1.0
    pages_per_session: float = 2.0
    click_rate: float = 0.04
    new_share: float = 0.3
    before_days: float = 14.0
    list_length: int = 5
    fallback_rate: float = 0.02
    hide_rate: float = 0.005
    impressions: bool = True
    lost: float = 0.0


@dataclass
class _Pages:
    """One row a page that was opened with a list beside it.

    Attributes:
        reader: number of its reader.
        ts: unix seconds.
        side: of its reader, -1 before the experiment.
        rate: chance to click an article of its list.
    """

    reader: Ints
    ts: Floats
    side: Ints
    rate: Floats


def write_experiment(
    out: Path,
    experiment: Experiment,
    traffic: Traffic,
    lifts: Mapping[str, Lift],
    seed: int,
) -> dict[str, int]:
    """Write canonical data and ``truth.json``; the same arguments give the same rows.

    Args:
        out: folder.
        experiment: whose exposures are logged, on the first of its surfaces.
        traffic: who comes.
        lifts: by variant; one that is absent changes nothing.
        seed: of everything.

    Returns:
        Rows by table.
    """
    rng = np.random.default_rng(seed)
    with DatasetWriter(out) as writer:
        log = _Log(rng, experiment, traffic, lifts)
        writer.tables["articles"].add_columns(log.articles())
        for first in range(0, traffic.readers, _CHUNK):
            for name, table in log.tables(first, min(_CHUNK, traffic.readers - first)).items():
                writer.tables[name].add_columns(table)
        counts = {name: table.count for name, table in writer.tables.items()}
        truth = {name: vars(lift) for name, lift in lifts.items()}
        writer.write_json(TRUTH, {"experiment": experiment.id, "seed": seed, "lifts": truth})
        writer.finish({"simulated": True, "seed": seed, **counts})
    return counts


class _Log:
    """Readers in parts, with numbers that count on."""

    def __init__(
        self,
        rng: np.random.Generator,
        experiment: Experiment,
        traffic: Traffic,
        lifts: Mapping[str, Lift],
    ) -> None:
        self._rng, self._experiment, self._traffic = rng, experiment, traffic
        self._names = [variant.name for variant in experiment.variants]
        self._lifts = [lifts.get(name, Lift()) for name in self._names]
        self._start, self._end = experiment.start.timestamp(), experiment.end.timestamp()
        self._first = self._start - traffic.before_days * _DAY
        self._backlog = self._first - 10.0 * _DAY
        self._ids = pa.array([f"a{number:06d}" for number in range(traffic.articles)], pa.string())
        self._pages = self._events = 0

    def articles(self) -> pa.Table:
        """All articles, oldest first."""
        count, names = self._traffic.articles, list(SECTIONS)
        share = np.arange(count) / count
        return table_of(
            "articles",
            {
                "article_id": self._ids,
                "title": pa.array([f"Report {number}" for number in range(count)], pa.string()),
                "section": pa.array([names[number % len(names)] for number in range(count)], pa.string()),
                "published_at": times_of(self._backlog + share * (self._end - self._backlog)),
            },
            count,
        )

    def tables(self, first: int, count: int) -> dict[str, pa.Table]:
        """What ``count`` readers did, numbered from ``first``."""
        pages = self._visits(first, count)
        rows = self._listed(pages.ts)
        clicked = self._rng.random(rows.shape) < pages.rate[:, None]
        found = {
            "exposures": self._exposures(pages, rows),
            "events": self._event_table(pages, rows, clicked),
        }
        self._pages += len(pages.ts)
        return found

    def _visits(self, first: int, count: int) -> _Pages:
        rng, traffic = self._rng, self._traffic
        shares = np.cumsum([variant.weight for variant in self._experiment.variants])
        side = np.minimum(np.searchsorted(shares, rng.random(count)), len(shares) - 1)
        weekly = traffic.sessions_per_week * rng.lognormal(0.0, traffic.activity_sigma, count)
        rate = np.minimum(rng.beta(2.0, 2.0 / traffic.click_rate - 2.0, count), 0.9)
        known = rng.random(count) >= traffic.new_share
        parts = []
        for before in (True, False):
            span = traffic.before_days * _DAY if before else self._end - self._start
            sessions = rng.poisson(np.where(known | (not before), weekly * span / (7.0 * _DAY), 0.0))
            if not before and traffic.lost:
                sessions[(side > 0) & (rng.random(count) < traffic.lost)] = 0
            who = np.repeat(np.arange(count), sessions)
            lift = np.array([0.0 if before else own.views for own in self._lifts])[side[who]]
            more = traffic.pages_per_session * (1.0 + lift) - 1.0
            pages = np.minimum(1 + rng.poisson(more), _MOST_VIEWS)
            begins = (self._first if before else self._start) + rng.random(len(who)) * (span - 1_800.0)
            ts = np.repeat(begins, pages) + _within(pages) * 55.0
            who = np.repeat(who, pages)
            change = np.array([0.0 if before else own.clicks for own in self._lifts])[side[who]]
            own_side = np.full(len(who), -1) if before else side[who]
            parts.append(_Pages(first + who, ts, own_side, rate[who] * (1.0 + change)))
        return _Pages(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))

    def _listed(self, ts: Floats) -> Ints:
        """Rows of the articles of each list, (pages, list_length): recent ones, none twice."""
        newest = (ts - self._backlog) / (self._end - self._backlog) * self._traffic.articles
        back = self._rng.exponential(0.03 * self._traffic.articles, len(ts)) + 1.0
        step = self._rng.integers(1, 4, len(ts))
        places = np.arange(self._traffic.list_length)
        rows = np.floor(newest - back).astype(np.int64)[:, None] - step[:, None] * places
        return rows % self._traffic.articles

    def _exposures(self, pages: _Pages, rows: Ints) -> pa.Table:
        rng, count, length = self._rng, len(pages.ts), rows.shape[1]
        latency = np.append([1.0 + own.latency for own in self._lifts], 1.0)[pages.side]
        slow = np.append([1.0 + own.fallbacks for own in self._lifts], 1.0)[pages.side]
        fallback = rng.random(count) < self._traffic.fallback_rate * slow
        kind = table_of("exposures", {}, 0).schema.field("items").type.value_type
        inside = {
            "article_id": self._ids.take(pa.array(rows.ravel())),
            "position": pa.array(np.tile(np.arange(1, length + 1, dtype=np.int32), count)),
            "score": pa.nulls(rows.size, pa.float64()),
            "propensity": pa.nulls(rows.size, pa.float64()),
            "source": pa.nulls(rows.size, pa.string()),
        }
        items = pa.StructArray.from_arrays(list(inside.values()), fields=list(kind))
        running = pages.side < 0
        values = {
            "request_id": self._requests(np.arange(count)),
            "surface": _same(self._experiment.surfaces[0], count),
            "ts": times_of(pages.ts),
            self._reader: _named("r", pages.reader),
            "items": pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * length), items),
            "experiment_id": pa.array(np.full(count, self._experiment.id), pa.string(), mask=running),
            "variant": pa.array(np.array(self._names)[pages.side], pa.string(), mask=running),
            "device": pa.array(_DEVICES, pa.string()).take(pa.array(pages.reader % 3)),
            "fallback": pa.array(np.full(count, "timeout"), pa.string(), mask=~fallback),
            "took_ms": pa.array(np.round(rng.gamma(4.0, 2.0, count) * latency, 3)),
        }
        return table_of("exposures", values, count)

    def _event_table(self, pages: _Pages, rows: Ints, clicked: NDArray[np.bool_]) -> pa.Table:
        rng, count = self._rng, len(pages.ts)
        every, (who, place) = np.arange(count), np.nonzero(clicked)
        delay = 10.0 + rng.exponential(8.0, len(who))
        hides = np.flatnonzero(rng.random(count) < self._traffic.hide_rate)
        none = np.full(count, -1)
        parts: list[dict[str, Any]] = [
            {"type": "view", "page": every, "place": none, "after": -1.0},
            {"type": "read", "page": every, "place": none, "after": 40.0},
            {"type": "click", "page": who, "place": place, "after": delay},
            {"type": "view", "page": who, "place": place, "after": delay + 0.2},
            {"type": "hide", "page": hides, "place": np.zeros(len(hides), dtype=np.int64), "after": 5.0},
        ]
        if self._traffic.impressions:
            looked = np.nonzero(np.ones(rows.shape, dtype=bool))
            parts.append({"type": "impression", "page": looked[0], "place": looked[1], "after": 1.0})
        return pa.concat_tables([self._events_of(pages, rows, **part) for part in parts])

    def _events_of(
        self, pages: _Pages, rows: Ints, type: str, page: Ints, place: Ints, after: Floats | float
    ) -> pa.Table:
        count = len(page)
        context = rows[page, -1] - 7
        article = np.where(place < 0, context, rows[page, place]) % self._traffic.articles
        listed = type not in ("view", "read")
        values = {
            "event_id": _named("e", self._events + np.arange(count)),
            "type": _same(type, count),
            "ts": times_of(pages.ts[page] + after),
            "article_id": self._ids.take(pa.array(article)),
            self._reader: _named("r", pages.reader[page]),
        }
        if listed:
            values["request_id"] = self._requests(page)
            values["surface"] = _same(self._experiment.surfaces[0], count)
            values["position"] = pa.array((place + 1).astype(np.int32))
            values["context_article_id"] = self._ids.take(pa.array(context % self._traffic.articles))
        if type == "read":
            values["value"] = pa.array(np.round(self._rng.lognormal(3.2, 0.9, count), 1))
        self._events += count
        return table_of("events", values, count)

    def _requests(self, pages: Ints) -> pa.Array:
        return _named("q", self._pages + pages)

    @property
    def _reader(self) -> str:
        return f"{self._experiment.unit}_id"


def _within(counts: Ints) -> Ints:
    """0, 1, ... inside each group of ``counts``."""
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return np.arange(len(starts)) - starts


def _named(letter: str, numbers: Ints) -> pa.Array:
    return pa.compute.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")


def _same(text: str, count: int) -> pa.Array:
    return pa.array([text], pa.string()).take(pa.array(np.zeros(count, dtype=np.int64)))
