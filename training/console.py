"""What the commands share: times, progress, and output for people or programs."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recsys.errors import UsageError
from recsys.schemas import parse_time

err = Console(stderr=True, soft_wrap=True, highlight=False)
out = Console(soft_wrap=True, highlight=False)
# titles stay whole, whatever the terminal's width
wide = Console(width=160, highlight=False)


def say(text: str) -> None:
    """A step, for people."""
    err.print(text, markup=False)


def instant(text: str | None, flag: str) -> datetime | None:
    """A time given on the command line.

    Raises:
        UsageError: no RFC 3339 time with zone.
    """
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error


def wall_clock() -> datetime:
    """Now; only the command line looks at the clock."""
    return datetime.now(UTC)


def print_json(values: Any) -> None:
    """For programs, on standard output."""
    sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n")


def print_json_line(values: Any) -> None:
    """For programs that read line by line while a command runs."""
    sys.stdout.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar with a rate on standard error; called with (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task(what, total=None, start=True)

        def step(done: int, total: int | None = None) -> None:
            rate = bar.tasks[task].speed
            label = what if rate is None else f"{what} ({rate:,.0f}/s)"
            bar.update(task, completed=done, total=total, description=label)

        yield step
