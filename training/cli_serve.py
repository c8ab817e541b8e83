"""Commands around the running service: serve, doctor."""

import platform
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recsys.bundle import Registry, open_bundle
from recsys.config import load_config
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
) -> None:
    """Versions, model, store, disk: what is wrong and what to do.

    Example: recsys doctor --models models --store sqlite:///site.db
    """
    import shutil

    table = Table("what", "state")
    table.add_row("python", platform.python_version())
    for name in ("numpy", "pyarrow", "fastapi", "onnxruntime", "torch", "sentence-transformers"):
        try:
            table.add_row(name, installed(name))
        except ImportError:
            table.add_row(name, "not installed")
    wrong = []
    free = shutil.disk_usage(models if models is not None and models.exists() else Path.cwd()).free
    table.add_row("free disk", f"{free / 1e9:.1f} GB")
    if free < 1e9:
        wrong.append("less than 1 GB of disk is free")
    if models is not None:
        _check(table, wrong, "bundle in service", lambda: open_bundle(
            Registry(models).path(Registry(models).require_current())).version)  # fmt: skip
        _check(table, wrong, "rescored", lambda: _rescored(models))
    if store is not None:
        _check(table, wrong, "store", lambda: f"{open_store(store, create=False).last_event_seq():,} events")
    if models is not None and not wrong:
        _check(table, wrong, "languages", lambda: _languages(models, store))
    console.wide.print(table)
    if wrong:
        raise DataError("; ".join(wrong))


def _rescored(models: Path) -> str:
    from serving.rescoring import standing, told

    entry = standing(models, Registry(models).require_current())
    if entry is not None and entry["leaning"]:
        raise DataError(f"the bundle in service has decayed: {told(entry)}; train a new one")
    return "not yet; a running service looks once a day" if entry is None else told(entry)


def _languages(models: Path, store: str | None) -> str:
    from training.languages import languages_of

    registry = Registry(models)
    bundle = open_bundle(registry.path(registry.require_current()))
    return languages_of(bundle, None if store is None else open_store(store, create=False))


def _check(table: Table, wrong: list[str], name: str, look: Any) -> None:
    try:
        table.add_row(name, str(look()))
    except RecsysError as error:
        table.add_row(name, "wrong")
        wrong.append(str(error))
