"""Commands of the registry of bundles."""

from typing import Annotated

import typer
from rich.table import Table

from recsys.bundle import Registry, open_bundle, read_manifest
from recsys.errors import RecsysError
from training import console
from training.cli_options import Models

models_app = typer.Typer(help="The registry of bundles.", no_args_is_help=True)


@models_app.command("list")
def list_models(models: Models, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Every bundle, the one in service marked.

    Example: recsys models list --models models
    """
    registry = Registry(models)
    current = registry.current()
    rows = []
    for name in registry.versions():
        try:
            manifest = read_manifest(models / name)
            facts = {key: manifest[key] for key in ("created", "articles", "events")} | {"error": None}
        except RecsysError as error:
            facts = {"error": str(error)}
        rows.append({"version": name, "current": name == current, **facts})
    if as_json:
        console.print_json(rows)
        return
    table = Table("", "version", "created", "articles", "events", "defect")
    for row in rows:
        cells = [
            str(row.get(key) if row.get(key) is not None else "")
            for key in ("version", "created", "articles", "events", "error")
        ]
        table.add_row("*" if row["current"] else "", *cells)
    console.wide.print(table)


@models_app.command()
def show(version: str, models: Models) -> None:
    """The manifest of a bundle.

    Example: recsys models show v20260101-080000 --models models
    """
    console.print_json(read_manifest(Registry(models).path(version)))


@models_app.command()
def verify(version: str, models: Models) -> None:
    """Check the digest of every file of a bundle.

    Example: recsys models verify v20260101-080000 --models models
    """
    bundle = open_bundle(Registry(models).path(version))
    console.out.print(f"{version}: {len(bundle.manifest['files'])} files have their digests")


@models_app.command()
def promote(version: str, models: Models) -> None:
    """Put a bundle into service; a running service follows within a second.

    Example: recsys models promote v20260101-080000 --models models
    """
    Registry(models).promote(version)
    console.out.print(f"{version} is in service")


@models_app.command()
def rollback(models: Models) -> None:
    """Return to the bundle that was in service before.

    Example: recsys models rollback --models models
    """
    console.out.print(f"{Registry(models).rollback()} is in service")
