"""The demo: newsroom, readers, training, service, in one command."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.table import Column, Table

from recsys.bundle import Registry
from recsys.config import load_config
from recsys.errors import RecsysError
from recsys.schemas import parse_time
from training import console
from training.fit import train
from training.simulate import simulate

SHOWN = "world-arms-deal"
_SEED, _USERS, _DAYS = 7, 400, 7
_LISTS = ("latest", "related", "popular", "must_reads")


def prepare(folder: Path, start: datetime, config: Path | None) -> datetime:
    """Build and train what is missing; returns the demo's own now.

    The demo's start is kept, so a second start embeds and trains nothing. A demo older than a day, or of
    another configuration, is made anew.
    """
    marker, wanted = folder / "demo.json", load_config(config)
    if marker.is_file():
        kept = json.loads(marker.read_text(encoding="utf-8"))
        began = parse_time(kept["start"])
        if kept.get("config") == wanted.digest() and timedelta(0) <= start - began < timedelta(days=1):
            console.say("the demo newsroom is trained already")
            return began
    console.say("1/3 the demo newsroom and its readers")
    simulate(folder / "data", seed=_SEED, articles=0, users=_USERS, days=_DAYS, end=start, newsroom=True)
    console.say("2/3 training")
    with console.progress("texts embedded") as step:
        trained = train(
            wanted,
            folder / "data",
            folder / "models",
            created=start,
            fit_until=start,
            say=console.say,
            progress=step,
        )
    Registry(folder / "models").promote(trained.bundle.version)
    marker.write_text(json.dumps({"start": start.isoformat(), "config": wanted.digest()}), encoding="utf-8")
    return start


@contextmanager
def served(folder: Path, start: datetime, port: int, config: Path | None) -> Iterator[str]:
    """A running service on the demo's bundle; its base URL."""
    command = [sys.executable, "-m", "training.cli", "serve", "--models", str(folder / "models")]
    command += [
        "--store",
        f"sqlite:///{folder / 'demo.db'}",
        "--port",
        str(port),
        "--as-of",
        start.isoformat(),
        "--demo",
    ]
    command += ["--config", str(config)] if config is not None else []
    process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    base = f"http://127.0.0.1:{port}"
    try:
        _wait(base, process)
        yield base
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(base: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RecsysError(
                f"the service ended at once with code {process.returncode}; its message stands above"
            )
        try:
            with urllib.request.urlopen(f"{base}/health/ready", timeout=1):  # noqa: S310 - our own service
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RecsysError("the service was not ready within 30 s")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def print_page(base: str, article_id: str) -> None:
    """The four lists of one article as a table with whole titles."""
    url = f"{base}/v1/page?article_id={article_id}&lists={','.join(_LISTS)}&limit=5"
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own service
        page: dict[str, Any] = json.load(answer)
    console.wide.print(f"lists beside {article_id!r}, made by {page['model_version']}")
    for name in _LISTS:
        block = page["lists"][name]
        table = Table(
            "",
            "section",
            Column("title", no_wrap=True),
            "why",
            title=f"{block['title']} ({name})",
            title_justify="left",
        )
        for item in block["items"]:
            article = item["article"]
            table.add_row(str(item["position"]), article["section"] or "", article["title"], item["reason"])
        console.wide.print(table)


def demo(
    folder: Path = Path("demo-data"), port: int = 8000, once: bool = False, config: Path | None = None
) -> None:
    """Build the demo newsroom, train, and serve it; ``--once`` prints one page's lists and ends."""
    folder.mkdir(parents=True, exist_ok=True)
    # whole seconds, so that the demo's clock and its articles agree
    start = prepare(folder, console.wall_clock().replace(microsecond=0), config)
    console.say("3/3 serving")
    now = max(start, console.wall_clock())
    with served(folder, now, free_port() if once else port, config) as base:
        if once:
            print_page(base, SHOWN)
            return
        console.say(
            f"demo site {base}/  API {base}/docs  lists {base}/v1/page?article_id={SHOWN}  (Ctrl-C ends)"
        )
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            console.say("stopping")


def main() -> None:
    """Run the demo; a person's mistake ends with a message."""
    try:
        typer.run(demo)
    except RecsysError as error:
        console.err.print(f"error: {error}", markup=False)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
