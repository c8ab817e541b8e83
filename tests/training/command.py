"""Run ``recsys`` as a person does, in this process."""

import sys
from dataclasses import dataclass

import pytest

from training.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str


def recsys(capsys: pytest.CaptureFixture[str], *args: object) -> Answer:
    """The exit code and the output of ``recsys ARGS``."""
    capsys.readouterr()
    kept, sys.argv = sys.argv, ["recsys", *map(str, args)]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = kept
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return Answer(code, out, err)
