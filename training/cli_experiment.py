"""Commands for experiments: design before, report after."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recsys.config import find_experiment
from recsys.errors import UsageError
from training import cli_experiment_runs, console
from training.cli_options import Set

experiment_app = typer.Typer(
    help="A/B tests: how many readers they need, and what they show.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="Id of the experiment in the file.")]
Definition = Annotated[Path, typer.Option("--config", help="TOML with [[experiment]].")]
Data = Annotated[Path | None, typer.Option(help="Folder of canonical data.")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="The store of a service instead: its URL.")]
Internal = Annotated[
    Path | None, typer.Option(help="File with a user or session id of the house on each line; left out.")
]
experiment_app.command()(cli_experiment_runs.start)
experiment_app.command()(cli_experiment_runs.stop)
experiment_app.command()(cli_experiment_runs.guard)
experiment_app.command("list")(cli_experiment_runs.list_experiments)


@experiment_app.command()
def report(
    name: Name,
    config: Definition,
    data: Data = None,
    store: StoreUrl = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the report here.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    until: Annotated[str | None, typer.Option(help="Look at nothing from this time on.")] = None,
    internal: Internal = None,
    overrides: Set = None,
) -> None:
    """What an experiment shows: sample ratio, verdict, every metric with its intervals.

    Example: recsys experiment report new-related --config configs/experiments.toml --data data --html r.html
    """
    from training.experiment import asking, interleaving
    from training.experiment.frame import Frame
    from training.experiment.report import Asked
    from training.experiment.report import report as run

    definition, clicklog, ids = asking.asked_of(name, config, overrides or [], internal)
    asked_until, now = console.instant(until, "--until"), console.wall_clock()
    since = asking.earliest_needed(definition)
    with (
        console.progress("rows from the store") as step,
        asking.source_of(data, store, name, since, clicklog.memory_mb, step) as source,
    ):
        console.say("counting what readers did")
        definition, notes = asking.definition_of(definition, source.run)
        end = asking.until_of(asked_until, now, source, definition)
        started = None if source.run is None else source.run.started_at
        if definition.kind == "interleaving":
            frame = Frame.of(definition, end, started)
            _interleaved(
                interleaving.report(source.duck, source.log, definition, frame), html_file, json_file
            )
            return
        values = run(source.duck, source.log, Asked(definition, end, clicklog, ids, started, notes))
    if store is not None and source.run is not None:
        asking.keep_report(store, source.run, values, now)
    _write(values, html_file, json_file)
    _print(values)


@experiment_app.command()
def design(
    name: Name,
    config: Definition,
    data: Data = None,
    store: StoreUrl = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    until: Annotated[str | None, typer.Option(help="The past ends here; its last row without.")] = None,
    overrides: Set = None,
) -> None:
    """How many readers and days an experiment needs to find its `minimum_effect`, from the past.

    Example: recsys experiment design new-related --config configs/experiments.toml --store sqlite:///site.db
    """
    from training.experiment import asking
    from training.experiment.design import design as run
    from training.experiment.words import as_json

    definition, clicklog, _ = asking.asked_of(name, config, overrides or [], None)
    end, now = console.instant(until, "--until"), console.wall_clock()
    since = asking.earliest_past(definition, end or now)
    with (
        console.progress("rows from the store") as step,
        asking.source_of(data, store, name, since, clicklog.memory_mb, step) as source,
    ):
        console.say("counting what readers did")
        values = run(source.duck, source.log, definition, asking.past_until(end, now, source), clicklog)
    if json_file is not None:
        _put(json_file, as_json(values))
    _print_design(values)


@experiment_app.command()
def simulate(
    name: Name,
    config: Definition,
    out: Annotated[Path, typer.Option(help="Folder for canonical data; earlier output is replaced.")],
    readers: Annotated[int, typer.Option(help="Made-up readers.", min=10)] = 10_000,
    lift: Annotated[
        list[str] | None,
        typer.Option(help="What the variants change: clicks, views, latency or fallbacks, as clicks=0.1."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same log.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """A rehearsal: the log of made-up readers of this experiment, with a lift that is known.

    Example: recsys experiment simulate new-related --config e.toml --lift clicks=0.1 --out rehearsal
    """
    from training.simulation.experiments import Traffic, lift_of, write_experiment

    definition = find_experiment(config, name)
    told = lift_of(lift or [])
    lifts = {variant.name: told for variant in definition.variants[1:]}
    counts = write_experiment(out, definition, Traffic(readers=readers), lifts, seed)
    if as_json:
        console.print_json(counts)
    else:
        console.say(", ".join(f"{count:,} {table}" for table, count in counts.items()) + f" in {out}")


def _print_design(values: dict[str, Any]) -> None:
    past = values["history"]
    for line in (
        f"{past['days']:.0f} days of the past: {past['readers']:,} readers, "
        f"{past['lists_a_day']:,.0f} lists a day.",
        f"To find a change of {values['minimum_effect']:.1%} in {values['power']:.0%} of cases, two-sided at "
        f"{values['alpha']:.0%}, {values['variants'] - 1} variant(s) beside the control:",
    ):
        console.out.print(line, markup=False)
    table = Table("metric", "role", "readers", "days", "without CUPED", "days")
    for row in values["metrics"]:
        pairs = (("readers", "days"), ("readers_without_cuped", "days_without_cuped"))
        told = (
            text
            for number, days in pairs
            for text in (
                "not to be told" if row[number] is None else f"{row[number]:,}",
                "never" if row[days] is None else f"{row[days]:.0f}",
            )
        )
        table.add_row(row["name"], row["role"], *told)
    console.wide.print(table)
    for line in values["advice"]:
        console.out.print(line, markup=False)


def _interleaved(values: dict[str, Any], html_file: Path | None, json_file: Path | None) -> None:
    from training.experiment.interleaving import page
    from training.experiment.words import VERDICTS, as_json

    if html_file is not None:
        _put(html_file, page(values))
    if json_file is not None:
        _put(json_file, as_json(values))
    console.out.print(f"{VERDICTS[values['verdict']]}. {values['reasons'][0]}", markup=False)


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another place") from error


def _write(values: dict[str, Any], html_file: Path | None, json_file: Path | None) -> None:
    from training.experiment.report_page import render
    from training.experiment.words import as_json

    for path, text in (
        (html_file, None if html_file is None else render(values)),
        (json_file, None if json_file is None else as_json(values)),
    ):
        if path is not None and text is not None:
            _put(path, text)


def _print(values: dict[str, Any]) -> None:
    from training.experiment.words import VERDICTS, chance, level, percent, span

    console.out.print(values["srm"]["note"], markup=False)
    console.out.print(f"{VERDICTS[values['verdict']]}. {values['reasons'][0]}", markup=False)
    for reason in values["reasons"][1:]:
        console.out.print(f"  {reason}", markup=False)
    table = Table("metric", "role", "variant", "control", "variant", "change", "95%", "always valid", "p")
    for row in values["metrics"]:
        means = [level(row["name"], row[side]) for side in ("control_mean", "variant_mean")]
        intervals = [span(row[name]) for name in ("relative_ci", "sequential_relative_ci")]
        told = (percent(row["relative_effect"]), *intervals, chance(row["adjusted_p_value"]))
        table.add_row(row["name"], row["role"], row["variant"], *means, *told)
    if values["metrics"]:
        console.wide.print(table)
    for row in values["excluded"]:
        console.out.print(f"left out: {row['count']:,} {row['what']} {row['why']}", markup=False)
    for note in values["notes"]:
        console.say(f"note: {note}")
