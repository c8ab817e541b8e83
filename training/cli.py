"""The command line ``recsys``."""

import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from recsys.errors import RecsysError
from training import (
    cli_data,
    cli_experiment,
    cli_models,
    cli_ope,
    cli_replay,
    cli_serve,
    cli_store,
    cli_sync,
    cli_train,
)

app = typer.Typer(
    name="recsys",
    help="Ranked article lists: import, train, evaluate, serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_data.import_app, name="import")
app.add_typer(cli_experiment.experiment_app, name="experiment")
app.add_typer(cli_models.models_app, name="models")
app.add_typer(cli_store.store_app, name="store")
app.add_typer(cli_sync.sync_app, name="sync")
for command in (
    cli_data.validate,
    cli_data.simulate,
    cli_train.train,
    cli_train.evaluate,
    cli_serve.serve,
):
    app.command()(command)
app.command()(cli_serve.doctor)
app.command()(cli_replay.replay)
app.command()(cli_ope.ope)


def main() -> None:
    """Run a command; a person's mistake ends with a message, never a traceback."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(standalone_mode=True)
    except RecsysError as error:
        message = Text.assemble(("error: ", "bold red"), str(error))
        Console(stderr=True, soft_wrap=True).print(message, highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
