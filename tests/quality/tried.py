"""What was tried as a part of the ranker and earned nothing, for anyone to see again, on the MIND sample.

    python tests/quality/tried.py --mind DIR --data DATA --models MODELS

DATA is DIR imported, MODELS holds a bundle fitted until 14 November. Each trial adds one column to the
ranker's own: fitted on the lists of 9-13 November, judged on 14 November.

- entities: share of the reader's past with an entity of the candidate's title, rare ones counting more
- hours: click rate of the section in this part of the day over its rate at all times
- adapter: linear map between pasts and what was read with them, both sides whitened, so that what is
  widely read does not win by that (canonical correlation: Hotelling, Biometrika 1936)
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from recsys.bundle import Registry, open_bundle
from recsys.features import interests, learned_matrix
from recsys.pipeline import Funnel
from recsys.profile import reader_key
from recsys.schemas import Exposure
from recsys.snapshot import read_state
from recsys.state import State
from training.attribution import Labels, labels_of
from training.fit_ranker import Examples, fit_ranker
from training.judging import _blank
from training.metrics import auc, cluster_bootstrap
from training.moments import Moments, as_counted
from training.readers import read_event_log, read_exposures

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
JUDGED_FROM = datetime(2019, 11, 14, tzinfo=UTC)
JUDGED_UNTIL = datetime(2019, 11, 15, tzinfo=UTC)
LAG, DAY, PARTS_OF_DAY, STRENGTH = 300.0, 86_400.0, 6, 20.0
HALF_LIFE = 15.0


class Lesson(NamedTuple):
    """One list: when, who, content score, the ranker's columns, the tried ones, clicks."""

    ts: float
    reader: int
    content: Floats
    own: Floats
    tried: dict[str, Floats]
    labels: NDArray[np.bool_]
    weight: float


class Entities:
    """Entities of titles, from the seventh column of ``news.tsv``."""

    def __init__(self, news: Path, state: State) -> None:
        self._of: dict[int, frozenset[str]] = {}
        for line in news.read_text(encoding="utf-8").splitlines():
            columns = line.split("\t")
            row = state.catalog.row(columns[0])
            found = json.loads(columns[6] or "[]") if len(columns) > 6 else []
            if row is not None and found:
                self._of[row] = frozenset(item["WikidataId"] for item in found)
        counts = Counter(name for names in self._of.values() for name in names)
        self._rarity = {name: np.log(len(self._of) / count) for name, count in counts.items()}

    def __len__(self) -> int:
        return len(self._of)

    def __call__(self, past: Rows, rows: Rows) -> Floats:
        weights: Counter[str] = Counter()
        total = 0.0
        for place, row in enumerate(past.tolist()):
            total += 2.0 ** (-place / HALF_LIFE)
            for name in self._of.get(row, ()):
                weights[name] += 2.0 ** (-place / HALF_LIFE)  # type: ignore[assignment]
        found = [sum(weights[n] * self._rarity[n] for n in self._of.get(r, ())) for r in rows.tolist()]
        return np.log1p(np.array(found) / max(total, 1e-9))


class Hours:
    """Clicks over expected clicks of sections by part of the day, from lists that were clicked before."""

    def __init__(self, sections: int) -> None:
        self._clicked, self._expected = (np.zeros((PARTS_OF_DAY, sections + 1)) for _ in range(2))
        self._waiting: list[tuple[float, NDArray[np.int32], NDArray[np.bool_]]] = []

    def learn(self, ts: float, sections: NDArray[np.int32], labels: NDArray[np.bool_]) -> None:
        self._waiting.append((ts, sections, labels))

    def at(self, ts: float, sections: NDArray[np.int32]) -> Floats:
        while self._waiting and self._waiting[0][0] < ts - LAG:
            made, shown, labels = self._waiting.pop(0)
            part = int(made % DAY // (DAY / PARTS_OF_DAY))
            np.add.at(self._clicked[part], shown[labels], 1.0)
            np.add.at(self._expected[part], shown, labels.mean())
        part = int(ts % DAY // (DAY / PARTS_OF_DAY))
        usual = (self._clicked.sum(0) + STRENGTH) / (self._expected.sum(0) + STRENGTH)
        now = (self._clicked[part] + STRENGTH * usual) / (self._expected[part] + STRENGTH)
        return np.where(sections < 0, np.nan, np.log(now / usual)[sections])


def adapter(state: State, exposures: Sequence[Exposure]) -> Callable[[Rows, Rows], Floats]:
    """The map, learned from every reader's first past before the judged day."""
    centre = state.index.centre
    pasts, reads = [], []
    first = {e.reader: e for e in reversed(exposures) if e.history and e.ts < JUDGED_FROM}
    for exposure in first.values():
        known = (state.catalog.row(name) for name in dict.fromkeys(exposure.history))
        rows = np.array([row for row in known if row is not None], dtype=np.int32)
        vectors = state.index.take(rows[state.index.has[rows]]) - centre
        if len(vectors) >= 3:
            share = len(vectors) ** -0.25
            pasts.append(share * (vectors.sum(0) - vectors) / (len(vectors) - 1))
            reads.append(share * vectors)
    u, c = np.concatenate(pasts), np.concatenate(reads)
    d = u.shape[1]
    uu, cc = (m.T @ m + np.eye(d) * (m**2).sum() / d for m in (u, c))
    matrix = np.linalg.solve(cc, np.linalg.solve(uu, u.T @ c).T).T

    def scores(past: Rows, rows: Rows) -> Floats:
        past = past[state.index.has[past]]
        if len(past) == 0:
            return np.full(len(rows), np.nan)
        mean = (state.index.take(past) - centre).mean(axis=0)
        found = (state.index.take(rows) - centre) @ (matrix.T @ mean)
        return np.where(state.index.has[rows], found.astype(np.float64), np.nan)

    return scores


def lessons(
    state: State, data: Path, exposures: Sequence[Exposure], clicks: Labels, news: Path
) -> Iterator[Lesson]:
    """Every list until the end of the judged day, with what was known before it."""
    log = as_counted(state, read_event_log(data), exposures, clicks)
    blank = _blank(state)
    moments = Moments(blank, log)
    entities, mapped = Entities(news, state), adapter(state, exposures)
    hours = Hours(len(state.catalog.sections.names))
    for exposure in (e for e in exposures if e.ts < JUDGED_UNTIL):
        ts = exposure.ts.timestamp()
        known_state = moments.until(ts - LAG)
        query, rows = moments.query(known_state, exposure)
        known = np.array([known_state.catalog.is_known(row) for row in rows.tolist()])
        rows, labels = rows[known], clicks.of(exposure)[0][known]
        sections = known_state.catalog.section[rows]
        past = query.reader.rows if query.reader is not None else np.zeros(0, np.int32)
        tried = {
            "entities": entities(past, rows),
            "hours": hours.at(ts, sections),
            "adapter": mapped(past, rows),
        }
        if labels.any() and not labels.all():
            hours.learn(ts, sections, labels)
            content = np.nan_to_num(interests(known_state, rows, query.reader))
            moment = Funnel(known_state).moment(query, "for_you")
            own = learned_matrix(known_state, rows, moment, known_state.config.ranker.features)
            reader = reader_key(exposure.reader) >> 1
            yield Lesson(ts, reader, content, own, tried, labels, float(known.mean()) ** 2)


def judged(found: Sequence[Lesson], names: Sequence[str], extra: str | None, state: State) -> Floats:
    """AUC of each list of the judged day, by the ranker's columns and one more."""

    def columns(lesson: Lesson) -> Floats:
        return lesson.own if extra is None else np.column_stack((lesson.own, lesson.tried[extra]))

    examples = Examples([*names, extra] if extra else names)
    begin = JUDGED_FROM.timestamp()
    for one in (lesson for lesson in found if lesson.ts < begin):
        examples.add(one.ts, one.content, columns(one), one.labels, one.labels * one.weight)
    ranker = fit_ranker(examples, state.config.ranker, 3.0)
    later = (lesson for lesson in found if lesson.ts >= begin)
    return np.array([auc(x.content + ranker.parts(columns(x), {}).sum(axis=1), x.labels) for x in later])


def table(base: Floats, others: Mapping[str, Floats], readers: NDArray[np.int64]) -> Table:
    """Each trial's AUC less that without it, with its interval by reader."""
    told = Table("part", "AUC", "less without it", "95%")
    told.add_row("none", f"{base.mean():.4f}", "", "")
    for name, values in others.items():
        low, high = cluster_bootstrap((values - base)[:, None], readers, seed=0)
        difference = f"{(values - base).mean():+.4f}"
        told.add_row(name, f"{values.mean():.4f}", difference, f"{low[0]:+.4f} {high[0]:+.4f}")
    return told


def main() -> None:
    """Read the call, try, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--mind", "--data", "--models"):
        call.add_argument(name, type=Path, required=True)
    asked, console = call.parse_args(), Console(width=120)
    registry = Registry(asked.models)
    state = read_state(open_bundle(registry.path(registry.require_current())))
    state.follows_pairs = False
    exposures = sorted(read_exposures(asked.data), key=lambda exposure: (exposure.ts, exposure.request_id))
    clicks = labels_of(asked.data, state.config.clicklog)
    news = asked.mind / "news.tsv"
    console.print(f"{len(Entities(news, state)):,} of {len(state.catalog):,} articles carry entities")
    found = list(lessons(state, asked.data, exposures, clicks, news))
    readers = np.array([x.reader for x in found if x.ts >= JUDGED_FROM.timestamp()], dtype=np.int64)
    names = state.config.ranker.features
    trials = {name: judged(found, names, name, state) for name in ("entities", "hours", "adapter")}
    console.print(table(judged(found, names, None, state), trials, readers))


if __name__ == "__main__":
    main()
