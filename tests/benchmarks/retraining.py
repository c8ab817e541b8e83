"""Retraining after one more day against a full training, and what of it neighbours cost.

Each training is a process of its own, as a person starts it; costs are processor time.
"""

import resource
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np

from recsys.index import Neighbours
from tests.benchmarks.common import Figure, in_turns, ratio_of, seconds
from tests.benchmarks.worlds import NOW, make_vectors
from training.fit import CACHE
from training.neighbours import update
from training.readers import read_articles, read_events, read_exposures
from training.simulate import simulate
from training.writing import DatasetWriter

_BAR = 0.25
_DAYS, _USERS = 8, 600


def measure(articles: int, folder: Path) -> list[Figure]:
    """Ratios of processor time."""
    return [neighbours(articles), *whole(min(articles, 3_000), folder)]


def neighbours(count: int) -> Figure:
    """A sixtieth of the articles is new: a day of two months."""
    vectors, before = make_vectors(count), count - max(count // 60, 1)
    ids = [f"article-{at}" for at in range(count)]
    old = Neighbours.compute(vectors[:before], 100)
    found = update(ids[:before], vectors[:before], old, ids, vectors, 100)[0]
    same = bool(np.array_equal(found.rows, Neighbours.compute(vectors, 100).rows))
    a, b = in_turns(
        lambda: seconds(lambda: update(ids[:before], vectors[:before], old, ids, vectors, 100)),
        lambda: seconds(lambda: Neighbours.compute(vectors, 100)),
        3,
    )
    ratio, spread = ratio_of(a, b)
    told = "the same" if same else "NOT the same"
    name = f"neighbours of {count:,} articles, {count - before:,} of them new ({told})"
    return Figure(name, sorted(a)[1], "s", ratio, spread)


def whole(count: int, folder: Path) -> list[Figure]:
    """One more day: embeddings, neighbours and near-duplicates of the day before are there."""
    simulate(folder / "all", seed=1, articles=count, users=_USERS, days=_DAYS, end=NOW)
    _without_the_last_day(folder / "all", folder / "before")
    _trained(folder / "before", folder / "kept")
    shutil.copytree(folder / "kept", folder / "once-more", symlinks=True)
    again = [_trained(folder / "all", folder / name) for name in ("kept", "once-more")]
    embedded = folder / "embedded"
    shutil.copytree(folder / "kept" / CACHE, embedded / CACHE)
    shutil.copytree(folder / "kept" / "embedders", embedded / "embedders")
    cached, full = _trained(folder / "all", embedded), _trained(folder / "all", folder / "empty")
    found = []
    for name, other, bar in (("a full one", full, _BAR), ("one with cached embeddings", cached, None)):
        ratios = [spent / other for spent in again]
        title = f"retraining on one more day, {count:,} articles, against {name} ({other:.0f} s)"
        good = None if bar is None else ratios[0] <= bar
        spread = (min(ratios), max(ratios))
        told = "" if bar is None else f"<= {bar}"
        found.append(Figure(title, again[0], "s CPU", ratios[0], spread, told, good))
    return found


def _without_the_last_day(data: Path, out: Path) -> None:
    until = NOW - timedelta(days=1)
    with DatasetWriter(out) as writer:
        for article in read_articles(data):
            if article.published_at is not None and article.published_at <= until:
                writer.tables["articles"].add(article)
        for event in read_events(data):
            if event.ts <= until:
                writer.tables["events"].add(event)
        for exposure in read_exposures(data):
            if exposure.ts <= until:
                writer.tables["exposures"].add(exposure)
        writer.finish({})


def _trained(data: Path, models: Path) -> float:
    """Seconds of processor time of one training that is published."""
    before = _children()
    command = ["train", "--data", str(data), "--models", str(models), "--publish"]
    done = subprocess.run([sys.executable, "-m", "training.cli", *command], capture_output=True, text=True)
    # 1: the gate refused to publish; the bundle is there all the same
    if done.returncode not in (0, 1) or "bundle v" not in done.stdout:
        raise RuntimeError(done.stderr)
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
