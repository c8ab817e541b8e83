"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[Path, typer.Option(help="Registry folder.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML; defaults are in code.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key.path=value, repeatable.")]
