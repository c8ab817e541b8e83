"""The report as one HTML file that needs nothing else: no script, no font, no picture, no network.

It is a function of the report's values alone, so the same values give the same bytes. A cell that shows a
number of the JSON file carries its path there as ``data-path``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from training import plots
from training.generic import Block, Cell, blocks
from training.pages import Cells, environment
from training.verdict import plain

_FIGURES = "figure-"
_CURVES = 24


def render(values: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        values: of ``training.report.with_report``; ``references`` and ``lists`` are shown where they stand.
    """
    made = environment()
    made.filters.update(plain=plain)
    return made.get_template("report.html").render(v=values, view=_View(values))


class _View(Cells):
    """What the template asks for beside the values: orders, cells and plots."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.single: str = values["against_best_single"].get("signal", "")
        rankings = values["rankings"]
        others = sorted((name for name in rankings if name != "funnel"), key=lambda n: -rankings[n]["auc"])
        self.models = ["funnel", *others] if others else list(rankings)

    def at(self, cell: Cell | None) -> Markup:
        """A cell of a table of any shape."""
        if cell is None:
            return Markup("<td>-</td>")
        return self.cell(*cell.path) if cell.interval is None else self.both(cell.path, cell.interval)

    def models_plot(self) -> Markup:
        """AUC of every model."""
        return plots.models(self._values["rankings"], self.models, self.single)

    def slices_plot(self) -> Markup:
        """The funnel against the best single signal by slice."""
        return plots.slices(self._values["slices"], self.single)

    def parts(self, kind: str) -> list[tuple[int, Mapping[str, Any]]]:
        """Rows of the ablation with their places in the values."""
        return [(at, row) for at, row in enumerate(self._values["ablation"]) if row["kind"] == kind]

    def ablation_plot(self, kind: str) -> Markup:
        """What parts earn; those that change nothing at all are not drawn."""
        rows = [row for _, row in self.parts(kind) if any(row["auc_ci"]) or row["of"] == "group"]
        return plots.ablation(rows, f"{_FIGURES}{kind}")

    def learning_plot(self, surface: str) -> Markup:
        """Quality by lists fitted on."""
        return plots.learning(self._values["learning_curve"][surface], f"{_FIGURES}learning-{surface}")

    def curve_plots(self, surface: str) -> list[tuple[Mapping[str, Any], Markup]]:
        """The learned curves that reach furthest, on one scale, so that heights compare."""
        rows = self._drawn(surface)
        limit = 1.08 * max((abs(value) for row in rows for value in row["values"]), default=1.0)
        return [
            (row, plots.curve(row, f"{_FIGURES}curve-{surface}-{at}", limit)) for at, row in enumerate(rows)
        ]

    def _drawn(self, surface: str) -> list[Mapping[str, Any]]:
        return [row for row in self._values["curves"][surface] if row["reach"] > 0][:_CURVES]

    def other_curves(self, surface: str) -> list[str]:
        """Features whose curves are not drawn."""
        rows = self._values["curves"][surface]
        return [row["feature"] for row in rows[len(self._drawn(surface)) :]]

    def ages_plot(self) -> Markup:
        """Appeal by age."""
        return plots.ages(self._values["age_curves"])

    def half_lives_plot(self) -> Markup:
        """Half-lives."""
        return plots.half_lives(self._values["half_lives"])

    def examination_plot(self, surface: str) -> Markup:
        """Places that are looked at."""
        return plots.examination(self._values["examination"][surface], f"{_FIGURES}places-{surface}")

    def reliability_plot(self, surface: str) -> Markup:
        """Observed against predicted."""
        found = self._values["calibration"][surface]
        return plots.reliability(found, f"{_FIGURES}calibration-{surface}")

    def blocks(self, key: str) -> Sequence[Block]:
        """Tables of whatever stands under a key."""
        return blocks(self._values.get(key), (key,))
