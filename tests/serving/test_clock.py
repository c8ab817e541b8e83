"""A clock that jumps: lists go on, and are right again when it is."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from serving.app import create_app
from serving.settings import Settings
from tests.conftest import Newsroom
from tests.serving.server import SECRET, ids

YEAR = 365 * 86_400.0
PATHS = ("/v1/popular", "/v1/latest", "/v1/page?article_id=world-arms-deal&session_id=s", "/v1/must-reads")


def with_service(
    newsroom: Newsroom,
    folder: Path,
    work: Callable[[httpx.AsyncClient, Callable[[float], None]], Awaitable[None]],
) -> None:
    """Run ``work`` on the real application; its second argument moves the clock by seconds."""

    async def main() -> None:
        settings = Settings(
            newsroom.models, f"sqlite:///{folder}/s.db", as_of=newsroom.now, secret_key=SECRET
        )
        app = create_app(settings)
        service = app.state.service
        await service.start()

        def jump(seconds: float) -> None:
            service.clock._offset += seconds

        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                await work(client, jump)
        finally:
            await service.stop()

    asyncio.run(main())


def events(newsroom: Newsroom, article_id: str, count: int, name: str) -> list[dict[str, str]]:
    made = {"type": "view", "ts": newsroom.now.isoformat(), "article_id": article_id}
    return [{**made, "event_id": f"{name}{at}", "session_id": f"{name}{at}"} for at in range(count)]


@pytest.mark.parametrize("seconds", [3 * 3600.0, -3 * 3600.0, 10 * YEAR, -10 * YEAR])
def test_lists_go_on_and_are_right_again(newsroom: Newsroom, tmp_path: Path, seconds: float) -> None:
    async def work(client: httpx.AsyncClient, jump: Callable[[float], None]) -> None:
        assert (
            await client.post("/v1/events", json=events(newsroom, "food-rice-guide", 300, "a"))
        ).status_code == 202
        before = [ids((await client.get(path)).json()["items"]) for path in PATHS[:2]]
        jump(seconds)
        for path in PATHS:
            answer = await client.get(path)
            assert answer.status_code == 200
        # told by the clients' clocks, which did not jump
        during = await client.post("/v1/events", json=events(newsroom, "sport-cup-final", 400, "b"))
        assert during.status_code == 202
        jump(-seconds)
        after = [ids((await client.get(path)).json()["items"]) for path in PATHS[:2]]
        assert after[1] == before[1]
        assert "food-rice-guide" in after[0][:2]
        # acknowledged in the meantime, so it counts
        if during.json()["accepted"] == 400 and seconds > 0:
            assert after[0][0] == "sport-cup-final"

    with_service(newsroom, tmp_path, work)


def test_kept_answers_do_not_outlive_a_jump(newsroom: Newsroom, tmp_path: Path) -> None:
    async def work(client: httpx.AsyncClient, jump: Callable[[float], None]) -> None:
        expires = (newsroom.now + timedelta(hours=1)).isoformat()
        put = await client.put(
            "/v1/articles/brief",
            json={"title": "For an hour", "expires_at": expires},
            headers={"X-API-Key": SECRET},
        )
        assert put.status_code == 200
        assert "brief" in ids((await client.get("/v1/latest")).json()["items"])
        jump(2 * 3600.0)
        assert "brief" not in ids((await client.get("/v1/latest")).json()["items"])
        jump(-2 * 3600.0)
        assert "brief" in ids((await client.get("/v1/latest")).json()["items"])

    with_service(newsroom, tmp_path, work)
