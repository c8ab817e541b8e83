"""Commands for the store: export, dump, restore, age, forget."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from recsys.errors import UsageError
from recsys.schemas import check_id
from recsys.store import open_store
from training import console
from training.dumping import write_dump
from training.export import export_store
from training.restoring import Dump

store_app = typer.Typer(help="Export, back up, restore and erase what a store holds.", no_args_is_help=True)
Url = Annotated[str, typer.Option("--store", help="sqlite:///PATH")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")]


def _tell(counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        console.print_json(counts)
        return
    for name, number in counts.items():
        console.out.print(f"{name:<10} {number:>12,}", markup=False)


@store_app.command()
def export(
    store: Url,
    out: Annotated[Path, typer.Option(help="Folder of canonical data; an earlier export is replaced.")],
    since: Annotated[
        str | None, typer.Option(help="Only events and lists from this time on; articles always all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Articles, events and served lists as canonical Parquet for training.

    Example: recsys store export --store sqlite:///site.db --since 2026-01-01T00:00:00Z --out data/site
    """
    start = console.instant(since, "--since")
    opened = open_store(store, create=False)
    try:
        with console.progress("rows exported") as step:
            done = export_store(opened, out, start, step)
    finally:
        opened.close()
    counts = done.as_dict()
    if as_json:
        console.print_json(counts)
        return
    _tell({table: counts[table] for table in ("articles", "events", "exposures")}, False)
    if done.tombstones:
        console.say(f"note: {done.tombstones:,} deleted articles are left out")
    if done.unknown_articles:
        console.say(
            f"note: {done.unknown_articles:,} articles are referred to but not in the store; "
            "those that were only imported stay in the folder they were imported to"
        )


@store_app.command()
def dump(
    store: Url,
    out: Annotated[Path, typer.Option(help="Folder of the backup; an earlier dump is replaced.")],
    as_json: AsJson = False,
) -> None:
    """A backup as JSONL, of one moment, also while the service writes.

    Example: recsys store dump --store sqlite:///site.db --out backup
    """
    opened = open_store(store, create=False)
    try:
        with console.progress("rows dumped") as step:
            counts = write_dump(opened, out, step)
    finally:
        opened.close()
    _tell(counts, as_json)


@store_app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What 'recsys store dump' wrote.")],
    store: Url,
    as_json: AsJson = False,
) -> None:
    """Fill an empty store from a backup: all of it, or nothing.

    Example: recsys store restore backup --store sqlite:///restored.db
    """
    with console.progress("rows restored") as step:
        contents = Dump(folder, step)
        opened = open_store(store)
        try:
            opened.restore(contents)
        finally:
            opened.close()
    _tell(contents.counts, as_json)


@store_app.command()
def age(
    store: Url,
    days: Annotated[float, typer.Option(min=1, help="Events of days before this age leave.")] = 35.0,
    as_json: AsJson = False,
) -> None:
    """Move old events from the database to daily Parquet beside it; the service does so every hour.

    Example: recsys store age --store sqlite:///site.db --days 35
    """
    opened = open_store(store, create=False)
    try:
        moved = opened.age_events(datetime.now(UTC) - timedelta(days=days))
    finally:
        opened.close()
    _tell({"events": moved}, as_json)


@store_app.command()
def forget(
    user_id: Annotated[str, typer.Argument(help="The user, as in events and served lists.")],
    store: Url,
    as_json: AsJson = False,
) -> None:
    """Erase a user's events and served lists from the store.

    Example: recsys store forget user-1 --store sqlite:///site.db
    """
    try:
        check_id(user_id)
    except ValueError as error:
        raise UsageError(f"USER_ID {user_id[:40]!r}: {error}; nothing was erased") from error
    opened = open_store(store, create=False)
    try:
        erased = opened.forget(user_id)
    finally:
        opened.close()
    if as_json:
        console.print_json({"events": erased.events, "exposures": erased.exposures})
        return
    console.out.print(f"{erased.events:,} events and {erased.exposures:,} served lists erased")
