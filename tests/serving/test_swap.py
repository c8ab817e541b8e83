"""Bundles change places under load, without a failed or a mixed answer; a bad one never gets there."""

import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from recsys.bundle import Registry
from serving import trial
from serving.asked_lately import SYNTHETIC
from serving.service import Service
from serving.settings import Settings
from tests.conftest import Newsroom, copy_models
from tests.serving.bundles import (
    MARK,
    SECOND,
    hide_all_but,
    marked,
    points_nowhere,
    rewrite_manifest,
    second_bundle,
)
from tests.serving.server import Server

CONTEXT = "world-arms-deal"
PATHS = (
    f"/v1/articles/{CONTEXT}/related",
    "/v1/popular?limit=20",
    "/v1/latest?section=World",
    f"/v1/page?article_id={CONTEXT}&session_id=r1",
    "/v1/page?lists=for_you,must_reads&session_id=r1",
)


class Load:
    """Readers who ask again and again; every answer is kept."""

    def __init__(self, base: str) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self._going, self._base = True, base
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self, at: int) -> None:
        with httpx.Client(base_url=self._base, timeout=30) as http:
            while self._going:
                try:
                    self.answers.append(http.get(PATHS[at % len(PATHS)]))
                except httpx.HTTPError as error:
                    self.answers.append(error)
                at += 1

    def stop(self) -> list[httpx.Response | Exception]:
        self._going = False
        for thread in self._threads:
            thread.join()
        return self.answers


def versions_of(answer: httpx.Response) -> set[str]:
    """The version an answer names, and those that its articles are of."""
    body = answer.json()
    lists = body["lists"].values() if "lists" in body else [body]
    items = [item["article_id"] for found in lists for item in found["items"]]
    assert items, answer.text
    first = "first" if body["model_version"] != SECOND else "second"
    return {first, *("second" if name.startswith(MARK) else "first" for name in items)}


@pytest.mark.parametrize("workers", [1, 2])
def test_no_answer_fails_and_none_mixes_two_bundles(newsroom: Newsroom, tmp_path: Path, workers: int) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    second_bundle(models, marked)
    server = Server(models, tmp_path / "s.db", newsroom.now, "--workers", str(workers))
    load = Load(server.base)
    try:
        for turn in range(5):
            path = f"/v1/models/{SECOND}:promote" if turn % 2 == 0 else "/v1/models:rollback"
            assert server.secret("POST", path).status_code == 200
            wanted = SECOND if turn % 2 == 0 else newsroom.bundle.version
            wait_for_all(server, wanted)
        answers = load.stop()
        wrong = [a for a in answers if isinstance(a, Exception) or a.status_code != 200]
        assert wrong == []
        found = [versions_of(answer) for answer in answers if isinstance(answer, httpx.Response)]
        assert {frozenset(each) for each in found} == {frozenset(["first"]), frozenset(["second"])}
    finally:
        load.stop()
        server.stop()


def wait_for_all(server: Server, version: str) -> None:
    """Until twenty new connections in a row meet a worker that serves ``version``."""
    in_a_row = 0
    for _ in range(600):
        answer = httpx.get(f"{server.base}/v1/latest?limit=1", timeout=30)
        in_a_row = in_a_row + 1 if answer.json()["model_version"] == version else 0
        if in_a_row == 20:
            return
        if in_a_row == 0:
            time.sleep(0.05)
    raise AssertionError(f"some worker does not serve {version}")


@pytest.fixture(scope="module")
def standing(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("standing")
    running = Server(copy_models(newsroom.models, folder / "models"), folder / "s.db", newsroom.now)
    for path in PATHS:
        running.get(path)
    yield running
    running.stop()


def another_model(models: Path, version: str) -> None:
    second_bundle(models, version=version)
    rewrite_manifest(models / version, lambda manifest: manifest["embedder"].update(model_id="st-other"))


def another_format(models: Path, version: str) -> None:
    second_bundle(models, version=version)
    rewrite_manifest(models / version, lambda manifest: manifest.update(format_version=99))


def of_state(change: Callable[..., None]) -> Callable[[Path, str], None]:
    return lambda models, version: second_bundle(models, change, version) and None


BAD: list[tuple[str, Callable[[Path, str], None], str]] = [
    ("raises", of_state(points_nowhere), "cannot answer a request of the kind that is asked"),
    ("empty", of_state(hide_all_but(0)), "has no article that may be listed now"),
    ("short", of_state(hide_all_but(4)), "leaves lists short that are full now (latest, must_reads, popular"),
    ("model", another_model, "its vectors were made with the embedding model"),
    ("format", another_format, "has bundle format 99, this program reads"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BAD, ids=[name for name, _, _ in BAD])
def test_a_bundle_that_cannot_answer_is_refused_and_the_old_one_stays(
    standing: Server, newsroom: Newsroom, name: str, make: Callable[[Path, str], None], reason: str
) -> None:
    version = f"v20280101-{name}"
    make(standing.models, version)
    before = refusals(standing)
    answer = standing.secret("POST", f"/v1/models/{version}:promote")
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert standing.get("/v1/latest").json()["model_version"] == newsroom.bundle.version
    assert Registry(standing.models).current() == newsroom.bundle.version
    assert refusals(standing) == before + 1
    logged = [json.loads(line) for line in standing.log.read_text().splitlines() if "swap_refused" in line]
    assert (logged[-1]["version"], reason in logged[-1]["reason"]) == (version, True)


def refusals(server: Server) -> float:
    lines = server.get("/metrics").text.splitlines()
    name = 'recsys_model_swaps_total{outcome="refused"} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_a_pointer_moved_to_a_bundle_that_cannot_answer_goes_back(
    standing: Server, newsroom: Newsroom
) -> None:
    version = second_bundle(standing.models, points_nowhere, "v20290101-000000")
    registry, before = Registry(standing.models), refusals(standing)
    registry.promote(version)
    for _ in range(200):
        if registry.current() == newsroom.bundle.version:
            break
        time.sleep(0.05)
    assert registry.current() == newsroom.bundle.version
    assert refusals(standing) == before + 1
    assert standing.get("/v1/latest").json()["model_version"] == newsroom.bundle.version


def test_nothing_holds_a_bundle_that_was_replaced(newsroom: Newsroom, tmp_path: Path) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    second_bundle(models)
    settings = Settings(models=models, store=f"sqlite:///{tmp_path / 's.db'}", as_of=newsroom.now)
    service = Service(replace(settings, secret_key="k" * 20))
    service.load()
    first = service.current()
    for _ in range(2):
        trial.require_good(first, SYNTHETIC, frozenset(), service.clock.now())
    left = weakref.ref(first)
    del first
    # the search for cycles never looks into a bundle again: none may be there
    gc.disable()
    try:
        asyncio.run(service.live.promote(SECOND))
        assert service.served.version == SECOND
        assert left() is None
    finally:
        gc.enable()
        gc.unfreeze()
        service.store.close()
