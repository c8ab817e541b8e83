"""Commands that start, stop and list experiments."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recsys.bundle import Registry
from recsys.config import find_experiment, load_config
from recsys.experiments.running import Run
from recsys.store import open_store
from training import console
from training.cli_options import Set
from training.experiment import runs

Name = Annotated[str, typer.Argument(help="Id of the experiment.")]
Definition = Annotated[Path, typer.Option("--config", help="TOML with [[experiment]].")]
Url = Annotated[str, typer.Option("--store", help="sqlite:///PATH, of the running service.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
At = Annotated[str | None, typer.Option(help="Time of it, for services with --as-of; the clock's without.")]


def start(
    name: Name,
    config: Definition,
    store: Url,
    models: Annotated[
        Path | None, typer.Option(help="Registry, to check bundles that sides are served from.")
    ] = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Freeze the definition and let it run; every worker follows within a second.

    While it runs only weights may change: start it again with the new ones, and readers of a side that
    grows stay there.

    Example: recsys experiment start diverse-related --config experiments.toml --store sqlite:///site.db
    """
    experiment = find_experiment(config, name)
    if models is not None:
        runs.require_bundles(experiment, Registry(models))
    opened = open_store(store, create=False)
    try:
        run, is_new = runs.start(opened, experiment, _time(at))
    finally:
        opened.close()
    if as_json:
        console.print_json(_facts(run))
        return
    if not is_new:
        console.say(f"{name} runs already, with this definition, since {run.started_at.isoformat()}")
        return
    sides = ", ".join(f"{each.name} {each.weight:.0%}" for each in experiment.variants)
    share = experiment.traffic * (1.0 - experiment.holdout)
    console.say(
        f"{name} runs on {', '.join(experiment.surfaces)} until {experiment.end.isoformat()}: {sides} of "
        f"{share:.0%} of readers (definition {run.config_hash})"
    )
    if experiment.start > run.started_at:
        console.say(f"readers take part from its start on, {experiment.start.isoformat()}")


def stop(
    name: Name,
    store: Url,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "stopped by hand",
    decision: Annotated[
        str | None, typer.Option(help="What was decided, for the history: ship, or in words.")
    ] = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """The kill switch: from the next request on every reader gets the usual lists.

    Example: recsys experiment stop diverse-related --store sqlite:///site.db --decision "ship diverse"
    """
    opened = open_store(store, create=False)
    try:
        run = runs.stop(opened, name, _time(at), reason, decision)
    finally:
        opened.close()
    if as_json:
        console.print_json(_facts(run))
    else:
        console.say(f"{name} is stopped; its readers get the usual lists from now on")


def list_experiments(store: Url, at: At = None, as_json: AsJson = False) -> None:
    """Every experiment that was started: when, how it ended, what reports said, what was decided.

    Example: recsys experiment list --store sqlite:///site.db
    """
    opened = open_store(store, create=False)
    try:
        found = runs.runs_of(opened)
    finally:
        opened.close()
    if as_json:
        console.print_json([_facts(run) for run in found])
        return
    if not found:
        console.say("no experiment was started yet; see docs/experiments.md")
        return
    now = _time(at)
    table = Table("", "experiment", "lists", "sides", "started", "ended", "last report", "decision")
    for run in found:
        table.add_row(*_row(run, now))
    console.wide.print(table)


def guard(store: Url, at: At = None, overrides: Set = None, as_json: AsJson = False) -> None:
    """Stop experiments that harm a guardrail beyond doubt; a running service does so by itself.

    Example: recsys experiment guard --store sqlite:///site.db
    """
    from training.experiment.guarding import stop_harmful

    opened = open_store(store, create=False)
    try:
        found = stop_harmful(opened, store, load_config(None, overrides or []).clicklog, _time(at))
    finally:
        opened.close()
    if as_json:
        console.print_json(found)
        return
    for name, told in found.items():
        console.say(f"{name} is stopped: {'; '.join(told)}" if told else f"{name}: no harm beyond doubt")
    if not found:
        console.say("no experiment runs now")


def _time(at: str | None) -> datetime:
    return console.instant(at, "--at") or console.wall_clock()


def _facts(run: Run) -> dict[str, Any]:
    fields = run.to_json()
    experiment = fields.pop("experiment")
    return {"experiment": experiment["id"], **fields, "definition": experiment}


def _row(run: Run, now: datetime) -> list[str]:
    experiment, end = run.experiment, run.stopped_at
    told = run.reports[-1] if run.reports else None
    over = "over" if now >= experiment.end else ""
    ended = over if end is None else f"{end:%Y-%m-%d %H:%M} {run.reason}"
    return [
        "runs" if run.runs_at(now) else "",
        experiment.id,
        ", ".join(experiment.surfaces),
        ", ".join(f"{each.name} {each.weight:g}" for each in experiment.variants),
        f"{run.started_at:%Y-%m-%d %H:%M}",
        ended,
        "" if told is None else str(told.get("verdict", "")),
        run.decision or "",
    ]
