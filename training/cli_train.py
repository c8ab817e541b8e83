"""Commands that learn and judge: train, evaluate."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recsys.bundle import Registry, open_bundle
from recsys.config import load_config
from recsys.errors import DataError, UsageError
from recsys.store import open_store
from training import console
from training.cli_options import ConfigFile, Models, Set
from training.list_tables import tables as list_tables


def train(
    models: Models,
    data: Annotated[Path | None, typer.Option(help="Folder of canonical data.")] = None,
    store: Annotated[str | None, typer.Option(help="Train on a store instead: its URL.")] = None,
    config: ConfigFile = None,
    publish: Annotated[bool, typer.Option(help="Put the bundle into service if it is not worse.")] = False,
    fit_until: Annotated[str | None, typer.Option(help="Use nothing after this time.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    tune: Annotated[int, typer.Option(min=0, help="Search settings by so many trials first.")] = 0,
    overrides: Set = None,
) -> None:
    """Embed, learn, judge on the latest lists, write a bundle, and publish it if the gate lets it.

    With --tune N, settings are searched before ([tune] of the configuration); a search that was cut off
    goes on where it stopped.

    Example: recsys train --data data/site --models models --publish
    """
    from training.fit import train as run
    from training.gate import may_replace

    changes = list(overrides or []) + ([f"train.seed={seed}"] if seed is not None else [])
    settings = load_config(config, changes)
    source = _data_or_store(data, store, models)
    until = console.instant(fit_until, "--fit-until")
    with console.progress("texts embedded, then settings tried" if tune else "texts embedded") as step:
        trained = run(
            settings,
            source,
            models,
            created=console.wall_clock(),
            fit_until=until,
            trials=tune,
            say=console.say,
            progress=step,
            tried=step,
        )
    for note in trained.notes:
        console.say(f"note: {note}")
    if trained.tuned is not None:
        console.out.print(f"{trained.tuned.told()}\n{trained.tuned.toml()}", markup=False)
    console.say(trained.verdict.told())
    console.out.print(f"bundle {trained.bundle.version}", markup=False)
    if publish:
        reasons = may_replace(Registry(models), trained.verdict, console.say)
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
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the report here.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Write the funnel's scores here (Parquet).")] = None,
    references: Annotated[
        bool, typer.Option(help="Also fit the ranker's floor and reference on the same lists.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    lists: Annotated[bool, typer.Option(help="Judge whole lists too, by what was opened next.")] = True,
    list_reads: Annotated[int, typer.Option(min=1, help="Openings judged for each surface.")] = 2000,
    lag_minutes: Annotated[
        float | None, typer.Option(min=0, help="Let counters run behind by this; default is the bundle's.")
    ] = None,
) -> None:
    """Judge a bundle offline through the serving funnel, beside the baselines.

    Example: recsys evaluate --data data/site --models models --html report.html --json metrics.json
    """
    from training.evaluate import evaluate as run

    registry = Registry(models)
    bundle = open_bundle(registry.path(version or registry.require_current()))
    source = _data_or_store(data, store, models)
    span = (console.instant(judge_from, "--judge-from"), console.instant(judge_until, "--judge-until"))
    with console.progress("exposures judged") as step:
        result = run(
            bundle,
            source,
            models,
            span=span,
            seed=seed,
            list_reads=list_reads if lists else 0,
            lag_minutes=lag_minutes,
            say=console.say,
            progress=step,
        )
    if references:
        from training.reference_run import beside_references

        result.references = beside_references(bundle, source, models, span=span, seed=seed, say=console.say)
    if scores is not None:
        result.write_scores(scores)
    if html_file is not None:
        html_file.write_text(result.as_html(), encoding="utf-8")
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
    if values["rankings"]:
        console.wide.print(table)
    for found in list_tables(values["lists"]):
        console.wide.print(found)
    if "references" in values:
        _print_references(values["references"])
    for note in values["notes"]:
        console.out.print(note, markup=False)


def _print_references(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "ranker", "list", "AUC", "less additive", "95%", "nDCG@10", "less additive", "95%", "us/200"
    )
    for row in rows:
        numbers = [row["model"], row["surface"]]
        for metric, interval in (("auc", "ci"), ("ndcg@10", "ndcg@10_ci")):
            low, high = row[interval]
            numbers += [
                f"{row[metric]:.4f}",
                f"{row[f'{metric}_difference']:+.4f}",
                f"{low:+.4f} {high:+.4f}",
            ]
        table.add_row(*numbers, f"{row['microseconds_per_200']:,.0f}")
    console.wide.print(table)
