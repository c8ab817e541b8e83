"""``recsys sync``: a feed or a sitemap kept in step with a running catalogue."""

import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from recsys.errors import RecsysError, UsageError
from recsys.store import open_store
from training import console
from training.sync.catalogue import Catalogue
from training.sync.entries import Rules
from training.sync.fetch import Fetcher, TemporaryError
from training.sync.pages import Pages
from training.sync.rounds import Result, Sync
from training.sync.source import Source
from training.sync.state import StateFile

sync_app = typer.Typer(
    help="Keep a running catalogue in step with a feed or a sitemap.", no_args_is_help=True
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_WAIT = 3600.0
_LONGEST_ASKED = 86_400.0
_TOLD = 20

Show = Callable[[Result, float], None]
Place = Annotated[str, typer.Argument(metavar="URL-or-FILE", help="http(s) URL, path or file:// URL.")]
Store = Annotated[str, typer.Option("--store", help="sqlite:///PATH of the running service.")]
Every = Annotated[str | None, typer.Option(help="Go on, one round each 60s, 5m or 1h; else one round.")]
Section = Annotated[
    str | None, typer.Option(help="The section: first category, path (of the URL), scheme:NAME or none.")
]
Language = Annotated[str | None, typer.Option(help="Language of all articles, instead of the source's.")]
Site = Annotated[str | None, typer.Option(help="Site of all articles.")]
MostRemoved = Annotated[
    int | None,
    typer.Option("--max-removals", min=0, help="Removals a round may do [default: a tenth, at least 10]."),
]
Private = Annotated[bool, typer.Option("--allow-private", help="Also reach hosts of internal networks.")]
State = Annotated[Path | None, typer.Option(help="Folder of what was seen [default: beside the store].")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a round.")]


@sync_app.command()
def feed(
    place: Place,
    store: Store,
    every: Every = None,
    section: Section = "first",
    language: Language = None,
    site: Site = None,
    check_gone: Annotated[
        bool, typer.Option("--check-gone", help="Remove articles whose page is gone (404, 410).")
    ] = False,
    most_removed: MostRemoved = None,
    allow_private: Private = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """RSS or Atom: new and changed articles; removed ones by tombstone or --check-gone.

    Example: recsys sync feed https://www.example.org/rss.xml --store sqlite:///site.db --every 60s
    """
    rules = _rules(section, language, site)
    _sync("feed", place, store, rules, every, most_removed, allow_private, state, as_json, check_gone)


@sync_app.command()
def sitemap(
    place: Place,
    store: Store,
    every: Every = None,
    section: Section = "none",
    language: Language = None,
    site: Site = None,
    pages: Annotated[
        int, typer.Option(min=0, help="Pages a round reads of articles that have no title there.")
    ] = 100,
    most_removed: MostRemoved = None,
    allow_private: Private = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Sitemap, index or news sitemap: new, changed and removed articles.

    Example: recsys sync sitemap https://www.example.org/news.xml --store sqlite:///site.db --every 5m
    """
    rules = _rules(section, language, site)
    _sync("sitemap", place, store, rules, every, most_removed, allow_private, state, as_json, pages=pages)


def _rules(section: str | None, language: str | None, site: str | None) -> Rules:
    chosen = section or "none"
    if chosen not in ("first", "path", "none") and not chosen.startswith("scheme:"):
        raise UsageError(f"--section {chosen!r} is not one of first, path, none, scheme:NAME")
    return Rules(chosen, language, site)


def _seconds(text: str) -> float:
    """``60s``, ``5m``, ``1h``.

    Raises:
        UsageError: something else, or less than a second.
    """
    found = re.fullmatch(r"(\d{1,6})([smh])", text)
    if found is None or int(found[1]) == 0:
        raise UsageError(f"--every {text!r} is not a time such as 60s, 5m or 1h")
    return int(found[1]) * _UNITS[found[2]]


def _folder(store: str, state: Path | None) -> Path:
    scheme, _, path = store.partition(":///")
    if state is not None:
        return state
    if scheme != "sqlite":
        raise UsageError("beside this store is no place for what was seen; name a folder with --state")
    return Path(f"{path}.sync")


def _sync(
    kind: str,
    place: str,
    store: str,
    rules: Rules,
    every: str | None,
    most_removed: int | None,
    allow_private: bool,
    state: Path | None,
    as_json: bool,
    check_gone: bool = False,
    pages: int = 0,
) -> None:
    pause = None if every is None else _seconds(every)
    with _stopped_by_signals() as stop:
        fetcher = Fetcher(allow_private, stop=stop)
        source = Source(kind, place, fetcher, rules)
        kept = StateFile(_folder(store, state), kind, source.place)
        opened = open_store(store)
        try:
            with kept.alone():
                look, reader = fetcher if check_gone else None, Pages(fetcher, rules, pages)
                sync = Sync(source, Catalogue(opened), kept, rules, most_removed, reader, look)
                show = partial(_tell, kind, place, as_json)
                if pause is not None:
                    _go_on(sync, show, pause, stop)
                elif not _once(sync, show):
                    raise typer.Exit(1)
        finally:
            opened.close()


@contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """Set by SIGINT and SIGTERM: a round ends in good order, and no other begins."""
    stop = Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _once(sync: Sync, show: Show) -> bool:
    started = time.monotonic()
    result = sync.round(console.wall_clock())
    show(result, time.monotonic() - started)
    return result.is_good


def _go_on(sync: Sync, show: Show, pause: float, stop: Event) -> None:
    """Round after round until stopped; what may go by only makes the pauses longer.

    Raises:
        RecsysError: the first round already failed for a reason that stays.
    """
    failures, had_one = 0, False
    while not stop.is_set():
        asked = 0.0
        try:
            _once(sync, show)
            failures, had_one = 0, True
        except RecsysError as error:
            if not had_one and not isinstance(error, TemporaryError):
                raise
            failures += 1
            asked = (error.retry_after or 0.0) if isinstance(error, TemporaryError) else 0.0
            if not stop.is_set():
                console.say(f"{_time()} {error}")
        stop.wait(_pause(pause, failures, asked))


def _pause(pause: float, failures: int, asked: float) -> float:
    """Seconds until the next round: longer after failures, never before the server allows it."""
    longer = max(pause, min(pause * 2.0 ** min(failures, 10), _LONGEST_WAIT))
    spread = random.uniform(0.0, 0.1 * longer)
    return max(longer, min(asked, _LONGEST_ASKED)) + spread


def _time() -> str:
    return console.wall_clock().strftime("%H:%M:%S")


def _tell(kind: str, place: str, as_json: bool, result: Result, seconds: float) -> None:
    if as_json:
        line = {"time": console.wall_clock().isoformat(), "kind": kind, "source": place, **result.as_dict()}
        console.print_json_line(line)
        return
    for message in result.refused[:_TOLD]:
        console.say(f"refused: {message}")
    for message in result.problems[:_TOLD]:
        console.say(f"problem: {message}")
    if result.held_back:
        console.say(
            f"held back: {result.held_back:,} articles are gone from the source, more than a round removes; "
            f"if that is right, --max-removals {result.held_back} lets it"
        )
    counts = f"{result.new:,} new, {result.changed:,} changed, {result.removed:,} removed"
    more = f"{result.unchanged:,} unchanged, {len(result.refused):,} refused"
    if result.documents == result.unchanged_documents:
        more = "nothing changed at the source"
    if result.waiting:
        more += f", {result.waiting:,} pages wait for later rounds"
    if result.kept_deleted:
        more += f", {result.kept_deleted:,} stay removed (deleted in the catalogue)"
    console.out.print(f"{_time()} {kind} {place}: {counts}; {more} ({seconds:.1f} s)", markup=False)
