"""The report of an experiment as one HTML file that needs nothing else, for editors first.

It is a function of the report's values alone. A cell that shows a number of the JSON file carries its path
there as ``data-path``.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from training.experiment import plots, words
from training.experiment.metrics import METRICS
from training.pages import Cells, environment, value_at

Values = Mapping[str, Any]
_WHAT = {"primary": "decides", "guardrail": "must not be harmed", "secondary": "for information"}


def render(values: Values) -> str:
    """The page of a report.

    Args:
        values: of ``training.experiment.report.report``.
    """
    made = environment()
    made.filters.update(percent=words.percent, span=words.span, chance=words.chance)
    return made.get_template("experiment.html").render(v=values, view=_View(values))


class _View(Cells):
    """What the template asks for beside the values."""

    metrics = METRICS
    verdicts = words.VERDICTS
    what = _WHAT

    def __init__(self, values: Values) -> None:
        super().__init__(values)
        self.several = len(values["definition"]["variant"]) > 2
        self.variants: list[str] = [side["name"] for side in values["definition"]["variant"]]
        self.primary = METRICS[values["definition"]["primary_metric"]]
        self.least: float = values["definition"]["minimum_effect"]
        self.margins = {row["metric"]: row["margin"] for row in values["definition"]["guardrails"]}

    def of_role(self, role: str) -> list[tuple[int, dict[str, Any]]]:
        """Results of a role with their places in the values."""
        return [(at, row) for at, row in enumerate(self._values["metrics"]) if row["role"] == role]

    def main(self) -> list[tuple[int, dict[str, Any]]]:
        """Results of the primary metric that can be shown large."""
        return [(at, row) for at, row in self.of_role("primary") if row["control_mean"] is not None]

    def title(self, row: Values) -> str:
        """What a result is called."""
        told = METRICS[row["name"]].title
        return f"{told}: {row['variant']}" if self.several else told

    def direction(self, row: Values) -> str:
        """``better``, ``worse``, ``open`` or ``none``."""
        return words.change(dict(row))

    @staticmethod
    def value(name: str, value: float | None) -> str:
        """A mean of a metric as text."""
        return words.level(name, value)

    def level(self, at: int, side: str, group: str = "metrics") -> Markup:
        """The mean of one side."""
        path = (group, at, side)
        name = self._values[group][at]["name"]
        return self._cell(path, lambda value: words.level(name, value))

    def change(self, at: int, group: str = "metrics") -> Markup:
        """The relative effect and, below it, its 95% interval."""
        ends = ("relative_effect", "relative_ci")
        effect, interval = ((group, at, end) for end in ends)
        return self.pair(self._as(effect, words.percent), self._as(interval, words.span))

    def safe(self, at: int, group: str = "metrics") -> Markup:
        """The always-valid interval."""
        return self._cell((group, at, "sequential_relative_ci"), words.span)

    def chance(self, at: int, name: str = "adjusted_p_value", group: str = "metrics") -> Markup:
        """A p-value."""
        return self._cell((group, at, name), words.chance)

    def removed(self, at: int) -> Markup:
        """Share of the variance that the time before took away."""
        return self._cell(("metrics", at, "cuped_reduction"), _whole)

    def share(self, *path: str | int) -> Markup:
        """A share as per cent."""
        return self._cell(path, lambda value: words.percent(value, sign=False))

    def forest(self, role: str) -> Markup | None:
        """Relative effects of a role; None where there is nothing to draw."""
        rows = [row for _, row in self.of_role(role) if row["relative_effect"] is not None]
        labels = [self.title(row) for row in rows]
        least = self.least if role == "primary" else 0.0
        return plots.forest(rows, labels, f"figure-{role}", least) if rows else None

    def slices(self) -> Markup | None:
        """The primary metric in parts of the readers."""
        rows = [row for row in self._values["slices"] if row["relative_ci"] is not None]
        labels = [self.part(row) for row in rows]
        return plots.forest(rows, labels, "figure-slices", 0.0) if rows else None

    def part(self, row: Values) -> str:
        """What a slice is called."""
        told = (
            f"{row['slice']} readers"
            if row["dimension"] == "reader"
            else f"{row['dimension']} {row['slice']}"
        )
        return f"{told}: {row['variant']}" if self.several else told

    def over_time(self, variant: str) -> Markup | None:
        """The primary metric so far at each day's end."""
        return self._by_variant("so_far", variant, plots.over_time)

    def by_day(self, variant: str) -> Markup | None:
        """The primary metric by day since the first list."""
        return self._by_variant("days", variant, plots.by_day)

    def rows_of(self, key: str, variant: str) -> list[tuple[int, dict[str, Any]]]:
        """Rows of one variant with their places."""
        return [(at, row) for at, row in enumerate(self._values[key]) if row["variant"] == variant]

    def _by_variant(self, key: str, variant: str, draw: Callable[..., Markup]) -> Markup | None:
        rows = [row for _, row in self.rows_of(key, variant)]
        if sum(row["relative_ci"] is not None for row in rows) < 2:
            return None
        return draw(rows, f"figure-{key}-{self.variants.index(variant)}", self.primary.title)

    def _cell(self, path: tuple[str | int, ...], form: Callable[[Any], str]) -> Markup:
        return Markup('<td data-path="{}">{}</td>').format(*self._as(path, form))

    def _as(self, path: tuple[str | int, ...], form: Callable[[Any], str]) -> tuple[str, str]:
        return json.dumps(path), form(value_at(self._values, path))


def _whole(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
