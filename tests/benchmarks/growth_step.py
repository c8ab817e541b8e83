"""One step of growth alone in a process: make a bundle, or measure a service that loads it; prints JSON.

python -m tests.benchmarks.growth_step build FOLDER ARTICLES READERS MODEL_ID
python -m tests.benchmarks.growth_step measure MODELS ARTICLES
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from recsys.config import Config, build_config
from tests.benchmarks.clients import resident_mb
from tests.benchmarks.common import seconds
from tests.benchmarks.in_process import InProcess, running
from tests.benchmarks.stages import path_of, stages_of
from tests.benchmarks.worlds import DIMENSIONS, make_articles, published

_COLD, _NEW, _TIMES = 200, 7, 300


def build(folder: Path, articles: int, readers: int, model_id: str) -> dict[str, float]:
    """A bundle whose service keeps the past of every reader."""
    values = Config().model_dump()
    values["profile"]["max_readers"] = max(2 * readers, values["profile"]["max_readers"])
    config = build_config(values, "the benchmark")
    took = seconds(lambda: published(folder, articles, model_id, readers, by_topic=True, config=config))
    return {"seconds": took}


def measure(models: Path, articles: int) -> dict[str, object]:
    """Seconds to ready, memory, and what requests, events and new articles take."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with running(models, Path(folder) / "s.db") as service:
            figures = {"start in process": (time.perf_counter() - begun, "s")}
            figures["anonymous memory after the start"] = (resident_mb(os.getpid()), "MB")
            lists = {}
            for name in ("for_you", "page", "related"):
                told = stages_of(service, name, _TIMES)
                lists[f"{name} of a reader"] = (told.cpu / 1e3, told.whole / 1e3, told.p99 / 1e3)
            for name, paths in cold_paths(articles).items():
                lists[f"{name}, nothing kept"] = cold(service, paths)
            figures |= newcomers(service)
            figures["anonymous memory after new articles"] = (resident_mb(os.getpid()), "MB")
        return {"figures": figures, "lists": lists}


def cold_paths(articles: int) -> dict[str, list[str]]:
    """Public requests."""
    step = max(articles // _COLD, 1)
    return {
        "related": [f"/v1/articles/article-{at}/related" for at in range(0, articles, step)],
        "popular": ["/v1/popular"] * _COLD,
        "latest": ["/v1/latest"] * _COLD,
        "must_reads": ["/v1/must-reads"] * _COLD,
    }


def cold(service: InProcess, paths: list[str]) -> tuple[float, float, float]:
    """Milliseconds of answers that are made anew each time: median of processor time, p50 and p99 of time."""
    took, cpus = [], []
    for path in paths:
        service.forget()
        took.append(service.ask(path) * 1e3)
        cpus.append(service.cpu * 1e3)
    took.sort()
    return statistics.median(cpus), statistics.median(took), took[int(len(took) * 0.99)]


def newcomers(service: InProcess) -> dict[str, tuple[float, str]]:
    """What putting an article with its vector into all lists takes: the first makes room."""
    state, rng = service.service.served.state, np.random.default_rng(8)
    took = []
    for at, article in enumerate(make_articles(_NEW)):
        vector = rng.normal(size=DIMENSIONS).astype(np.float32)
        vector /= np.linalg.norm(vector)
        new = article.model_copy(update={"article_id": f"newcomer-{at}", "url": None})
        took.append(seconds(lambda n=new, v=vector: state.apply_article(n, v)) * 1e3)
        service.ask(path_of("for_you", 1))
    return {
        "the first new article into its lists": (took[0], "ms"),
        "a later new article into its lists": (statistics.median(took[1:]), "ms"),
    }


if __name__ == "__main__":
    if sys.argv[1] == "build":
        print(json.dumps(build(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])))
    else:
        print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))))
