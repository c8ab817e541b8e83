"""What HTML pages share: the template environment, and cells that carry their place in the JSON file."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training.generic import number

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Templates that escape what is put into them and refuse what is undefined."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=number, day=day)
    return made


def day(text: str | None) -> str:
    """A time to the minute."""
    return "-" if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}"


def value_at(values: Any, path: Sequence[str | int]) -> Any:
    """What stands at a path of JSON values."""
    for step in path:
        values = values[step]
    return values


class Cells:
    """Table cells that show a number of the values and say where it stands in the JSON file.

    Args:
        values: of the report.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def cell(self, *path: str | int, sign: bool = False, short: bool = False) -> Markup:
        """A number, or an interval."""
        return Markup('<td data-path="{}">{}</td>').format(*self._told(path, sign, short))

    def both(self, path: Sequence[str | int], interval: Sequence[str | int]) -> Markup:
        """A number and, below it, its interval."""
        return self.pair(self._told(path), self._told(interval))

    @staticmethod
    def pair(above: tuple[str, str], below: tuple[str, str]) -> Markup:
        """Two values in one cell, each as its path and its text."""
        form = '<td><span data-path="{}">{}</span><br><small data-path="{}">{}</small></td>'
        return Markup(form).format(*above, *below)  # noqa: S704

    def _told(self, path: Sequence[str | int], sign: bool = False, short: bool = False) -> tuple[str, str]:
        """A path of the values as JSON, and what stands there as text."""
        value = value_at(self._values, path)
        return json.dumps(path), f"{value:,g}" if short else number(value, sign)
