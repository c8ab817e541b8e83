"""Commands for models: train, evaluate, the registry, serve, doctor."""

import platform
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recsys.bundle import Registry, open_bundle, read_manifest
from recsys.config import load_config
from recsys.errors import DataError, RecsysError, UsageError
from recsys.store import open_store
from training import console

models_app = typer.Typer(help="The registry of bundles.", no_args_is_help=True)
Models = Annotated[Path, typer.Option(help="Registry folder.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML; defaults are in code.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key.path=value, repeatable.")]


def train(
    models: Models,
    data: Annotated[Path | None, typer.Option(help="Folder of canonical data.")] = None,
    store: Annotated[str | None, typer.Option(help="Train on a store instead: its URL.")] = None,
    config: ConfigFile = None,
    publish: Annotated[bool, typer.Option(help="Put the bundle into service if it is not worse.")] = False,
    fit_until: Annotated[str | None, typer.Option(help="Use nothing after this time.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    overrides: Set = None,
) -> None:
    """Embed, learn, write a bundle, and publish it if asked.

    Example: recsys train --data data/site --models models --publish
    """
    from training.fit import train as run
    from training.gate import judge_replacement

    changes = list(overrides or []) + ([f"train.seed={seed}"] if seed is not None else [])
    settings = load_config(config, changes)
    source = _data_or_store(data, store, models)
    until = console.instant(fit_until, "--fit-until")
    with console.progress("texts embedded") as step:
        trained = run(
            settings,
            source,
            models,
            created=console.wall_clock(),
            fit_until=until,
            say=console.say,
            progress=step,
        )
    for note in trained.notes:
        console.say(f"note: {note}")
    console.out.print(f"bundle {trained.bundle.version}", markup=False)
    if publish:
        reasons = judge_replacement(Registry(models), trained.bundle, source, console.say)
        if reasons:
            raise DataError(f"{trained.bundle.version} is not published: {'; '.join(reasons)}")
        Registry(models).promote(trained.bundle.version)
        console.out.print(f"{trained.bundle.version} is in service")


def _data_or_store(data: Path | None, store: str | None, models: Path) -> Path:
    if (data is None) == (store is None):
        raise UsageError("give one of --data DATA and --store URL")
    if data is not None:
        return data
    from training.export import export_store

    target = models / "cache" / "store-export"
    with console.progress("rows from the store") as step:
        export_store(open_store(store or "", create=False), target, progress=step)
    return target


def evaluate(
    models: Models,
    data: Annotated[Path | None, typer.Option(help="Folder of canonical data.")] = None,
    store: Annotated[str | None, typer.Option(help="Judge on a store instead: its URL.")] = None,
    version: Annotated[str | None, typer.Option(help="Bundle; default is the one in service.")] = None,
    judge_from: Annotated[str | None, typer.Option(help="Judge exposures from this time on.")] = None,
    judge_until: Annotated[str | None, typer.Option(help="Judge exposures before this time.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the metrics here.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Write the funnel's scores here (Parquet).")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Judge a bundle offline through the serving funnel, beside the baselines.

    Example: recsys evaluate --data data/site --models models --json metrics.json --scores scores.parquet
    """
    from training.evaluate import evaluate as run

    registry = Registry(models)
    bundle = open_bundle(registry.path(version or registry.require_current()))
    source = _data_or_store(data, store, models)
    span = (console.instant(judge_from, "--judge-from"), console.instant(judge_until, "--judge-until"))
    with console.progress("exposures judged") as step:
        result = run(bundle, source, models, span=span, seed=seed, say=console.say, progress=step)
    if scores is not None:
        result.write_scores(scores)
    if json_file is not None:
        json_file.write_bytes(result.as_json())
    _print_rankings(result.as_dict())


def _print_rankings(values: dict[str, Any]) -> None:
    table = Table("model", "AUC", "95%", "MRR", "nDCG@5", "nDCG@10", "impressions")
    for name, row in values["rankings"].items():
        low, high = row["ci"]["auc"]
        numbers = [f"{row['auc']:.4f}", f"{low:.4f}-{high:.4f}"]
        numbers += [f"{row[metric]:.4f}" for metric in ("mrr", "ndcg@5", "ndcg@10")]
        table.add_row(name, *numbers, f"{row['impressions']:,}")
    console.wide.print(table)
    for note in values["notes"]:
        console.out.print(note, markup=False)


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


def serve(
    models: Models,
    store: Annotated[str, typer.Option(help="sqlite:///PATH")],
    config: ConfigFile = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64)] = 1,
    as_of: Annotated[str | None, typer.Option(help="Start the clock at this time.")] = None,
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
    if store is not None:
        _check(table, wrong, "store", lambda: f"{open_store(store, create=False).last_event_seq():,} events")
    console.wide.print(table)
    if wrong:
        raise DataError("; ".join(wrong))


def _check(table: Table, wrong: list[str], name: str, look: Any) -> None:
    try:
        table.add_row(name, str(look()))
    except RecsysError as error:
        table.add_row(name, "wrong")
        wrong.append(str(error))
