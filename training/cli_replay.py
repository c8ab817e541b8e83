"""The command that makes a served list again."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from recsys.bundle import Registry
from recsys.config import load_config
from recsys.errors import DataError
from recsys.store import open_store
from training import console
from training.cli_options import ConfigFile, Models
from training.replaying import Leaning, Replayer


def replay(
    request_id: Annotated[str, typer.Argument(help="Of an answer that depended on a reader.")],
    store: Annotated[str, typer.Option(help="Store URL.")],
    models: Models,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """The same lists again, from the log; exit code 1 if they differ. Give --config if the service had one.

    Example: recsys replay 4f1c --store sqlite:///site.db --models models
    """
    opened = open_store(store, create=False)
    settings = None if config is None else load_config(config)
    found = Replayer(Registry(models), opened, settings, leaning(models)).replay(request_id)
    opened.close()
    if as_json:
        console.print_json(found.as_dict())
    elif not found.differences:
        console.out.print("identical")
        for name, lists in found.lists.items():
            console.out.print(f"{name}: {', '.join(lists['again'])}", markup=False)
    for cause in found.causes:
        console.say(f"likely cause of differences: {cause}")
    if found.differences or found.causes:
        raise DataError(f"not identical: {'; '.join(found.differences or found.causes)}")


def leaning(models: Path) -> Leaning:
    """Whether serving leaned away from what a version had learned, at a unix time; see ``Replayer``."""
    from serving.rescoring import read_rescored

    entries = read_rescored(models)

    def leaned(version: str, ts: float) -> bool:
        mine = [e for e in entries if e["version"] == version]
        before = [e for e in mine if datetime.fromisoformat(e["at"]).timestamp() <= ts]
        return bool(before) and bool(before[-1]["leaning"])

    return leaned
