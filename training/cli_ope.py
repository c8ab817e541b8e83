"""The command that judges a policy that was not served."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys.bundle import Registry
from recsys.config import load_config
from recsys.errors import DataError, UsageError
from recsys.store import open_store
from training import console
from training.cli_options import ConfigFile, Models
from training.cli_replay import leaning
from training.ope.estimators import ESTIMATORS
from training.ope.judging import Asked, judge


def ope(
    store: Annotated[str, typer.Option(help="Store URL of the service.")],
    policy: Annotated[Path, typer.Option(help="TOML; its keys stand over the configuration that served.")],
    models: Models,
    config: ConfigFile = None,
    version: Annotated[str | None, typer.Option(help="Bundle to judge, else each list's own.")] = None,
    surface: Annotated[list[str] | None, typer.Option(help="List to judge, repeatable.")] = None,
    since: Annotated[str | None, typer.Option(help="Only lists from this time on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only lists before this time.")] = None,
    estimator: Annotated[
        str | None, typer.Option(help=f"Instead of the rule: {', '.join(ESTIMATORS)}.")
    ] = None,
    cap: Annotated[float | None, typer.Option(min=1.0, help="Highest weight; default sqrt(lists).")] = None,
    lists: Annotated[
        int, typer.Option(min=1, help="Answers that are replayed, about; of whole readers.")
    ] = 20_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there.")] = None,
) -> None:
    """What a configuration or bundle would have earned that was never served, from lists that were drawn.

    The estimator is chosen by what the log supports, before any click is looked at; exit code 1 if it
    supports none. Give --config if the service had one. docs/off_policy.md

    Example: recsys ope --store sqlite:///site.db --models models --policy fresher.toml --json ope.json
    """
    if estimator is not None and estimator not in ESTIMATORS:
        raise UsageError(f"--estimator {estimator!r} is none of {', '.join(ESTIMATORS)}")
    if not policy.is_file():
        raise UsageError(f"--policy {policy}: there is no such file")
    asked = Asked(
        policy=policy,
        served=None if config is None else load_config(config),
        version=version,
        since=console.instant(since, "--since"),
        until=console.instant(until, "--until"),
        surfaces=tuple(surface or ()),
        estimator=estimator,
        cap=cap,
        most=lists,
    )
    opened = open_store(store, create=False)
    try:
        with console.progress("answers replayed") as step:
            report = judge(asked, Registry(models), opened, leaning(models), step)
    finally:
        opened.close()
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    refused = [each for each in report["estimates"] if each["estimator"] is None]
    for each in report["estimates"]:
        console.out.print(told(each), markup=False)
    for reason, count in report["left_out"].items():
        console.say(f"left out: {count:,} ({reason})")
    if len(refused) == len(report["estimates"]):
        raise DataError("the log cannot tell what this policy would earn; the reasons stand above")


def told(found: dict[str, Any]) -> str:
    """One kind of list in plain words."""
    begin = f"{found['surface']}: {found['lists']:,} lists of {found['readers']:,} readers. "
    if found["estimator"] is None:
        return begin + "Nothing can be told: " + "; ".join(found["reasons"])
    low, high = found["ci"]
    text = begin + (
        f"The policy would earn {found['value']:.4f} clicks a list ({low:.4f} to {high:.4f}), "
        f"what was served earned {found['served']:.4f}; "
    )
    if found["relative_effect"] is not None:
        low, high = (100.0 * each for each in found["relative_ci"])
        text += f"that is {100.0 * found['relative_effect']:+.1f}% ({low:+.1f}% to {high:+.1f}%). "
    return text + f"By {found['estimator']}: {found['rule']}."
