"""Commands around the running service: serve, doctor."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from recsys.bundle import Registry
from recsys.config import load_config, load_experiments
from recsys.errors import DataError, RecsysError
from recsys.store import open_store
from training import console
from training.cli_options import ConfigFile, Models


def serve(
    models: Models,
    store: Annotated[str, typer.Option(help="sqlite:///PATH")],
    config: ConfigFile = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64)] = 1,
    as_of: Annotated[str | None, typer.Option(help="Start the clock at this time.")] = None,
    drain_seconds: Annotated[
        float, typer.Option(min=0, max=300, help="After SIGTERM, answered on while /health/ready says 503.")
    ] = 0.2,
    demo: Annotated[bool, typer.Option(help="Also serve the demo site at /.")] = False,
) -> None:
    """Serve lists over HTTP.

    Example: recsys serve --models models --store sqlite:///site.db
    """
    try:
        from serving.__main__ import serve as run
        from serving.settings import Settings
    except ImportError as error:
        from recsys.errors import MissingExtraError

        raise MissingExtraError(error.name or "fastapi", "serve") from error
    settings = Settings(
        models=models,
        store=store,
        config=None if config is None else load_config(config),
        as_of=console.instant(as_of, "--as-of"),
        host=host,
        port=port,
        drain_seconds=drain_seconds,
        demo=demo,
    )
    run(settings, workers)


def doctor(
    models: Annotated[Path | None, typer.Option(help="Registry folder to check.")] = None,
    store: Annotated[str | None, typer.Option(help="Store URL to check.")] = None,
    url: Annotated[str | None, typer.Option(help="Address of the running service to ask.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML to check, experiments included.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Versions, model, store, disk, clock, service: what is wrong and what to do.

    Example: recsys doctor --models models --store sqlite:///site.db --url http://127.0.0.1:8000
    """
    from training.doctor import Doctor

    more = {} if models is None else {"rescored": partial(_rescored, models)}
    if config is not None:
        more["config"] = partial(_config, config)
    if store is not None:
        more["experiments"] = partial(_experiments, store, models)
    found = Doctor(models, store, url, console.wall_clock(), more).look()
    wrong = [finding.wrong for finding in found if finding.wrong is not None]
    if as_json:
        console.print_json({"findings": [finding.as_dict() for finding in found], "wrong": wrong})
        if wrong:
            raise typer.Exit(1)
        return
    table = Table("what", "state")
    for finding in found:
        table.add_row(finding.what, finding.state if finding.wrong is None else f"[red]{finding.state}[/red]")
    console.wide.print(table)
    for finding in found:
        if finding.advice is not None:
            console.say(f"note: {finding.advice}")
    if wrong:
        raise DataError("; ".join(wrong))


def _config(path: Path) -> str:
    load_config(path)
    found = load_experiments(path)
    return f"good, experiments: {', '.join(found)}" if found else "good"


def _experiments(store: str, models: Path | None) -> str:
    """How those that were started are; raises where a side cannot be served."""
    from training.experiment.runs import require_bundles, runs_of

    now = console.wall_clock()
    try:
        opened = open_store(store, create=False)
    except RecsysError:
        # what is wrong with the store is told of the store
        return "not known"
    try:
        standing = [run for run in runs_of(opened) if run.stopped_at is None]
    finally:
        opened.close()
    for run in standing:
        if models is not None and run.stands_at(now):
            require_bundles(run.experiment, Registry(models))
    told = []
    for run in standing:
        over = "is over" if now >= run.experiment.end else "waits"
        told.append(f"{run.experiment.id} {'runs' if run.runs_at(now) else over}")
    return ", ".join(told) or "none runs"


def _rescored(models: Path) -> str:
    from serving.rescoring import standing, told

    entry = standing(models, Registry(models).require_current())
    if entry is not None and entry["leaning"]:
        raise DataError(f"the bundle in service has decayed: {told(entry)}; train a new one")
    return "not yet; a running service looks once a day" if entry is None else told(entry)
