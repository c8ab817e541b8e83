"""One service for the tests that do not harm it."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.conftest import Newsroom, copy_models
from tests.serving.server import Server

_NUMBERS = count()


@pytest.fixture(scope="module")
def server(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    running = Server(copy_models(newsroom.models, folder / "models"), folder / "s.db", newsroom.now)
    yield running
    running.stop()


def made_event(
    newsroom: Newsroom, article_id: str, session_id: str = "s", kind: str = "view", **more: Any
) -> dict[str, Any]:
    """An event as a browser sends it, with an id of its own."""
    base = {"event_id": f"t{next(_NUMBERS)}", "type": kind, "ts": newsroom.now.isoformat()}
    return {**base, "article_id": article_id, "session_id": session_id, **more}
