"""Commands of the registry of bundles."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recsys.bundle import Registry, open_bundle, read_manifest
from recsys.errors import RecsysError, UsageError
from training import console
from training.card import gate_row, model_card
from training.cli_options import Models
from training.shadow_report import shadow_report, told_of_shadow

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
            facts = {key: manifest[key] for key in ("created", "articles", "events")}
            facts |= {"gate": gate_row(manifest), "error": None}
        except RecsysError as error:
            facts = {"error": str(error)}
        marks = {"current": name == current, "shadow": name == registry.shadow()}
        rows.append({"version": name, **marks, "rescored": _rescored(models, name), **facts})
    if as_json:
        console.print_json(rows)
        return
    console.wide.print(_side_by_side(rows))
    for row in rows:
        if row["rescored"] is not None:
            console.out.print(f"{row['version']} on the lists of its last day: {row['rescored']['told']}")


def _rescored(models: Path, version: str) -> dict[str, Any] | None:
    from serving.rescoring import standing, told

    entry = standing(models, version)
    return None if entry is None else {**entry, "told": told(entry)}


def _side_by_side(rows: list[dict[str, Any]]) -> Table:
    """Bundles under each other, their metrics on the lists held back from each side by side."""
    heads = ("articles", "events", "lists", "AUC", "blend", "decayed", "nDCG@10", "gate")
    table = Table("", "version", "created", *heads)
    for row in rows:
        start = ["*" if row["current"] else "shadow" if row["shadow"] else "", str(row["version"])]
        if row["error"] is not None:
            table.add_row(*start, str(row["error"]), *[""] * len(heads))
            continue
        gate = row["gate"]
        models = [gate["funnel"], gate["content_blend"], gate["decayed_counts"]]
        figures = [_figure(values, "auc", at == 0) for at, values in enumerate(models)]
        counts = [f"{row[key]:,}" for key in ("articles", "events")]
        cells = [*counts, str(gate["impressions"] or ""), *figures, _figure(gate["funnel"], "ndcg@10", False)]
        table.add_row(*start, str(row["created"])[:16], *cells, str(gate["verdict"] or ""))
    return table


def _figure(values: dict[str, Any] | None, metric: str, interval: bool) -> str:
    if values is None:
        return ""
    low, high = values["ci"][metric]
    return f"{values[metric]:.4f}" + (f" ({low:.4f}-{high:.4f})" if interval else "")


@models_app.command()
def show(version: str, models: Models, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """The model card of a bundle; with --json its manifest.

    Example: recsys models show v20260101-080000 --models models
    """
    manifest = read_manifest(Registry(models).path(version))
    if as_json:
        console.print_json(manifest)
    else:
        console.out.print(model_card(manifest), markup=False)


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
    gate = read_manifest(Registry(models).path(version)).get("metrics", {}).get("gate", {})
    Registry(models).promote(version)
    if gate.get("verdict") == "failed":
        console.say(f"promoted although the gate refused it in training: {'; '.join(gate['reasons'])}")
    console.out.print(f"{version} is in service")


@models_app.command()
def shadow(
    models: Models,
    version: Annotated[str | None, typer.Argument(help="Bundle that scores and is never shown.")] = None,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    report: Annotated[bool, typer.Option("--report", help="What the clicks say so far.")] = False,
    store: Annotated[str | None, typer.Option(help="Store URL, for --report.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Let a bundle score a share of what is served, off the path of requests; a running service follows.

    Example: recsys models shadow v20260101-080000 --models models
    """
    registry = Registry(models)
    if off:
        registry.mark_shadow(None)
        console.out.print("no bundle is in the shadow")
        return
    version = version or registry.shadow()
    if version is None:
        raise UsageError("name a version ('recsys models list' shows them), or end it with --off")
    if report:
        if store is None:
            raise UsageError("--report needs --store, where the clicks are")
        found = shadow_report(registry, version, store)
        console.print_json(found) if as_json else console.out.print(told_of_shadow(found), markup=False)
        return
    registry.mark_shadow(version)
    console.out.print(f"{version} is in the shadow; see it with --report --store URL")


@models_app.command()
def rollback(models: Models) -> None:
    """Return to the bundle that was in service before.

    Example: recsys models rollback --models models
    """
    console.out.print(f"{Registry(models).rollback()} is in service")
