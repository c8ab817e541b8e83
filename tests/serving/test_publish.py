"""New and changed articles reach every list of every worker, also while the embedder fails."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recsys.bundle import Bundle
from recsys.embedder import embedding_text
from recsys.errors import EmbedderError
from recsys.pipeline import Funnel
from recsys.store.sqlite import SqliteStore
from serving.clock import Clock
from serving.newcomers import EMBEDDED_FIRST, Newcomers
from serving.served import Served
from serving.telemetry import Telemetry
from serving.vectors import Vectors
from tests.builders import DIMENSIONS, NOW, article, scattered, world
from tests.conftest import EMBEDDERS, Newsroom, copy_models
from tests.serving.server import Server, ids

CONTEXT = "world-arms-deal"
NEW = {
    "title": "Norland's parliament debates the missile deal with Veska",
    "section": "World",
    "abstract": "Deputies ask what the weapons contract means for the alliance.",
}


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.05)


def metric(server: Server, name: str) -> float:
    lines = server.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture(scope="module")
def two_workers(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("two")
    models = copy_models(newsroom.models, folder / "models")
    running = Server(models, folder / "s.db", newsroom.now, "--workers", "2")
    yield running
    running.stop()


def related_of_twenty_connections(server: Server) -> list[list[str]]:
    path = f"{server.base}/v1/articles/{CONTEXT}/related?limit=20"
    return [ids(httpx.get(path, timeout=30).json()["items"]) for _ in range(20)]


def test_every_worker_lists_it_beside_older_articles_and_lets_it_go_again(two_workers: Server) -> None:
    assert two_workers.secret("PUT", "/v1/articles/debate", json=NEW).status_code == 200
    eventually(lambda: all("debate" in found[:5] for found in related_of_twenty_connections(two_workers)))
    assert two_workers.secret("DELETE", "/v1/articles/debate").status_code == 204
    eventually(lambda: not any("debate" in found for found in related_of_twenty_connections(two_workers)))


def test_what_another_process_stored_comes_as_well_and_is_measured(server: Server) -> None:
    before = metric(server, "recsys_publish_seconds_count")
    store = SqliteStore(str(server.store))
    store.put_articles([article("from-afar", **{**NEW, "published_at": None})], NOW)
    store.close()
    eventually(
        lambda: "from-afar" in ids(server.get(f"/v1/articles/{CONTEXT}/related", limit=20).json()["items"])
    )
    assert metric(server, "recsys_publish_seconds_count") == before + 1
    assert server.secret("DELETE", "/v1/articles/from-afar").status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"is_hidden": True},
        {"expires_at": "2026-03-01T11:59:00Z"},
        {"published_at": "2026-03-01T18:00:00Z"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_hidden_retracted_or_embargoed_is_gone_on_the_next_request(
    server: Server, change: dict[str, object]
) -> None:
    name = f"goes-{next(iter(change))}"
    paths = (
        f"/v1/articles/{CONTEXT}/related?limit=30",
        "/v1/latest?limit=30",
        f"/v1/page?article_id={CONTEXT}",
    )

    def holders() -> list[str]:
        return [path for path in paths if f'"{name}"' in server.get(path).text]

    body = {**NEW, "title": f"{NEW['title']} {name}", "published_at": "2026-03-01T11:58:00Z"}
    assert server.secret("PUT", f"/v1/articles/{name}", json=body).status_code == 200
    assert holders() == list(paths)
    assert server.secret("PATCH", f"/v1/articles/{name}", json=change).status_code == 200
    assert holders() == []
    server.secret("DELETE", f"/v1/articles/{name}")


def test_without_an_embedder_articles_are_listed_and_embedded_once_it_is_there(
    newsroom: Newsroom, tmp_path: Path
) -> None:
    models = copy_models(newsroom.models, tmp_path / "models")
    (models / EMBEDDERS).rename(tmp_path / "away")
    server = Server(models, tmp_path / "s.db", newsroom.now)
    try:
        assert server.secret("PUT", "/v1/articles/debate", json=NEW).status_code == 200
        assert ids(server.get("/v1/latest").json()["items"])[0] == "debate"
        assert server.get("/v1/articles/debate/related").json()["fallback"] == "article_not_embedded"
        assert metric(server, "recsys_embedding_failures_total") >= 1
        (tmp_path / "away").rename(models / EMBEDDERS)
        eventually(lambda: server.get("/v1/articles/debate/related").json()["fallback"] is None)
        assert "debate" in ids(server.get(f"/v1/articles/{CONTEXT}/related").json()["items"])[:5]
        eventually(lambda: metric(server, "recsys_articles_not_embedded") == 0)
    finally:
        server.stop()


class Embedded(Vectors):
    """Vectors that follow from the texts; a text with the word poison cannot be embedded."""

    calls = 0

    def compute(self, articles: Any, served: Served) -> dict[str, Any]:
        self.calls += 1
        texts = {each.article_id: embedding_text(each) for each in articles}
        if any("poison" in text for text in texts.values()):
            raise EmbedderError("out of memory")
        found = {name: scattered(text) for name, text in texts.items()}
        digests = self._digests_for_test(articles, served)
        self._store.put_vectors({digests[name]: vector for name, vector in found.items()})
        return found

    @staticmethod
    def _digests_for_test(articles: Any, served: Served) -> dict[str, str]:
        from serving.vectors import _digests

        return _digests(articles, served)


@pytest.mark.parametrize("from_the_end", [False, True])
def test_one_text_that_cannot_be_embedded_holds_up_no_other(tmp_path: Path, from_the_end: bool) -> None:
    store, clock = SqliteStore(str(tmp_path / "s.db")), Clock(NOW)
    vectors = Embedded(tmp_path, store)
    newcomers = Newcomers(store, vectors, clock, Telemetry())
    # as every second process does
    newcomers._from_the_end = from_the_end
    state = world([article(f"old{at}") for at in range(60)])
    manifest = {"version": "v1", "embedder": {"model_id": "m", "dimensions": DIMENSIONS}}
    served = Served(Bundle(tmp_path, manifest), state, Funnel(state))
    many = [article(f"new{at}", title=f"Title {at}") for at in range(2 * EMBEDDED_FIRST)]
    many.insert(3, article("bad", title="A poison to embedders"))
    store.put_articles(many, NOW)

    async def run() -> None:
        async with newcomers.lock:
            await newcomers.catch_up(served)
        assert vectors.calls == 0, "many are listed before any is embedded"
        assert set(ids_of(served)) >= {each.article_id for each in many}
        for _ in range(200):
            if list(served.waiting) == ["bad"]:
                break
            newcomers._retry_at = 0.0
            async with newcomers.lock:
                await newcomers.embed_waiting(served)

    asyncio.run(run())
    assert list(served.waiting) == ["bad"]
    rows = [served.state.catalog.row(each.article_id) for each in many]
    placed = served.state.index.placed(np.array(rows))
    assert placed.tolist() == [each.article_id != "bad" for each in many]


def ids_of(served: Served) -> list[str]:
    return [served.state.catalog.ids[row] for row in served.state.catalog.newest().tolist()]
