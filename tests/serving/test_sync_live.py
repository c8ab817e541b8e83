"""A site's feed and the lists of a running service: what the sync writes, readers see."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import Newsroom, copy_models
from tests.serving.server import Server, ids
from tests.training.site import Site, item, rss


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for what must become true."""
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not become true within 10 s")


def test_articles_of_a_feed_come_change_and_go_in_the_lists(
    newsroom: Newsroom, tmp_path: Path, site: Site
) -> None:
    server = Server(copy_models(newsroom.models, tmp_path / "models"), tmp_path / "s.db", newsroom.now)
    minute_ago = (newsroom.now - timedelta(minutes=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    dated = item("fresh", "Harbour bridge opens again").replace("Sun, 01 Mar 2026 10:00:00 GMT", minute_ago)
    others = [item("other-1"), item("other-2")]
    for name in ("other-1", "other-2"):
        site.put(f"/{name}", "page")
    url = site.put("/f", rss(dated, *others))
    command = [
        sys.executable,
        "-m",
        "training.cli",
        "sync",
        "feed",
        url,
        "--store",
        f"sqlite:///{tmp_path}/s.db",
    ]
    more = ["--every", "1s", "--allow-private", "--check-gone", "--json"]
    sync = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def latest() -> list[dict[str, object]]:
        found: list[dict[str, object]] = server.get("/v1/latest", limit=5).json()["items"]
        return found

    try:
        until(lambda: "fresh" in ids(latest()))
        site.put("/f", rss(dated.replace("opens again", "closes again"), *others))
        until(lambda: "closes" in json.dumps(latest()))
        # the page is gone and the entry has left the feed
        site.put("/f", rss(*others))
        until(lambda: "fresh" not in ids(latest()))
        assert "fresh" not in str(server.get("/v1/latest", limit=100).json())
    finally:
        sync.send_signal(signal.SIGTERM)
        out, err = sync.communicate(timeout=20)
        server.stop()
    assert (sync.returncode, err) == (0, "")
    rounds = [json.loads(line) for line in out.splitlines()]
    assert [sum(told[name] for told in rounds) for name in ("new", "changed", "removed")] == [3, 1, 1]
