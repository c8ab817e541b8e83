"""The plots of an experiment's report, each from the report's own values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator

from training.experiment.words import change, percent
from training.svg import GRID, INK, MAIN, MUTED, OTHER, WARN, Drawing, drawing

_ROW, _LINE, _HEAD = 0.42, 0.2, 0.8
# characters of a line beside the picture, which would be squeezed by longer ones
_LABEL = 23
_COLOURS = {"better": MAIN, "worse": WARN, "open": OTHER, "none": OTHER}
_TICKS = FuncFormatter(lambda value, _: f"{value:+g}%".replace("-", "\u2212") if value else "0")


def forest(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], name: str, least: float) -> Markup:
    """Relative effects: the 95% interval thick, the always-valid one thin below it.

    Args:
        rows: results with a relative effect.
        labels: of the rows.
        name: of the figure.
        least: the smallest effect worth finding, drawn as a band around zero; 0 draws none.
    """
    alt = "; ".join(
        f"{label} {percent(row['relative_effect'])}" for label, row in zip(labels, rows, strict=True)
    )
    told = ["\n".join(wrap(label, _LABEL)) for label in labels]
    row_height = max(_ROW, _LINE * max(label.count("\n") + 1 for label in told))
    with drawing(
        name, f"Relative effects with their intervals: {alt}", _HEAD + row_height * len(rows)
    ) as made:
        axes, places = made.axes, np.arange(len(rows))[::-1]
        if least:
            axes.axvspan(-100 * least, 100 * least, color=GRID, alpha=0.45, linewidth=0)
        axes.axvline(0.0, color=INK, linewidth=1.0)
        for place, row in zip(places, rows, strict=True):
            colour = _COLOURS[change(dict(row))]
            _interval(made, place - 0.24, row["sequential_relative_ci"], MUTED, 1.1)
            _interval(made, place, row["relative_ci"], colour, 3.0)
            axes.plot(100 * row["relative_effect"], place, "o", color=colour, markersize=6, zorder=3)
        axes.set_yticks(places, told)
        axes.set_ylim(-0.75, len(rows) - 0.45)
        axes.tick_params(axis="y", length=0)
        _percents(axes.xaxis)
        axes.set_xlabel("change against the control")
        axes.grid(axis="x")
        axes.set_xlim(*_limits(rows))
    return made.svg


def over_time(rows: Sequence[Mapping[str, Any]], name: str, what: str) -> Markup:
    """The effect so far at each day's end, with both intervals.

    Args:
        rows: of one variant, by day.
        name: of the figure.
        what: the metric's title.
    """
    told = [row for row in rows if row["relative_ci"] is not None]
    days = [row["day"] for row in told]
    alt = f"{what} so far, relative to the control, on {len(told)} days; the table holds the same figures"
    with drawing(name, alt, 2.9) as made:
        axes = made.axes
        axes.axhline(0.0, color=INK, linewidth=1.0)
        low, high = 100 * np.array([row["relative_ci"] for row in told]).T
        axes.fill_between(days, low, high, color=MAIN, alpha=0.18, linewidth=0)
        axes.plot(days, [100 * row["relative_effect"] for row in told], color=MAIN, linewidth=2)
        safe = [row for row in told if row["sequential_relative_ci"] is not None]
        for end in (0, 1):
            values = [100 * row["sequential_relative_ci"][end] for row in safe]
            axes.plot([row["day"] for row in safe], values, color=MUTED, linewidth=1.4, linestyle="--")
        ticks = _some(days)
        axes.set_xticks(ticks, [_date(told[days.index(at)]) for at in ticks])
        axes.set_ylim(*_steady(low, high, [row["sequential_relative_ci"] for row in safe]))
        _percents(axes.yaxis)
        axes.grid(axis="y")
    return made.svg


def by_day(rows: Sequence[Mapping[str, Any]], name: str, what: str) -> Markup:
    """The effect on readers' first day, second day, and so on.

    Args:
        rows: of one variant, by day.
        name: of the figure.
        what: the metric's title.
    """
    told = [row for row in rows if row["relative_ci"] is not None]
    days = [row["day"] for row in told]
    alt = f"{what} by day since a reader's first list, relative to the control, on {len(told)} days"
    with drawing(name, alt, 2.7) as made:
        axes = made.axes
        axes.axhline(0.0, color=INK, linewidth=1.0)
        low, high = 100 * np.array([row["relative_ci"] for row in told]).T
        colours = [_COLOURS[change(dict(row))] for row in told]
        axes.vlines(days, low, high, color=colours, linewidth=2.4)
        axes.scatter(days, [100 * row["relative_effect"] for row in told], color=colours, s=30, zorder=3)
        axes.set_xticks(_some(days))
        axes.set_xlabel("day since the reader's first list")
        axes.set_ylim(*_steady(low, high, []))
        _percents(axes.yaxis)
        axes.grid(axis="y")
    return made.svg


def _interval(made: Drawing, place: float, interval: Any, colour: str, width: float) -> None:
    if interval is not None:
        made.axes.hlines(place, 100 * interval[0], 100 * interval[1], color=colour, linewidth=width)


def _percents(axis: Any) -> None:
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(_TICKS)


def _limits(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Room for every 95% interval; always-valid ones may run out of the picture, they are in the table."""
    ends = [end for row in rows for end in (row["relative_ci"] or [row["relative_effect"]] * 2)]
    wide = [end for row in rows for end in (row["sequential_relative_ci"] or ())]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    room = max(high - low, 1e-4)
    low, high = (
        min([low, *(max(end, low - room) for end in wide)]),
        max([high, *(min(end, high + room) for end in wide)]),
    )
    return 100 * (low - 0.06 * room), 100 * (high + 0.06 * room)


def _steady(low: Any, high: Any, wide: Sequence[Sequence[float]]) -> tuple[float, float]:
    """A scale that the first, widest days do not stretch until nothing else can be read."""
    bottom, top = float(np.quantile(low, 0.15)), float(np.quantile(high, 0.85))
    if wide:
        bottom, top = min(bottom, 100 * wide[-1][0]), max(top, 100 * wide[-1][1])
    room = 0.15 * max(top - bottom, 1e-2)
    return min(bottom, 0.0) - room, max(top, 0.0) + room


def _some(days: Sequence[int]) -> list[int]:
    """At most seven of the days, evenly."""
    step = -(-len(days) // 7) if days else 1
    return list(days[::step])


def _date(row: Mapping[str, Any]) -> str:
    # the day that has ended, not the midnight at which it did
    return f"{datetime.fromisoformat(row['begin']):%-d %b}"
