"""The plots of a report, each from the report's own values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from training.svg import GRID, INK, MAIN, MUTED, OTHER, WARN, Drawing, drawing

_ROW = 0.27
_HEAD = 0.75
_LONG = 34
_FEW = 30
_NAMED = 4
_MOST = 18


def models(rankings: Mapping[str, Any], order: Sequence[str], best_single: str) -> Markup:
    """AUC of every model with its interval."""
    labels = [f"{name} (best single)" if name == best_single else name for name in order]
    colours = [MAIN if name == "funnel" else WARN if name == best_single else OTHER for name in order]
    points = [rankings[name]["auc"] for name in order]
    spans = [rankings[name]["ci"]["auc"] for name in order]
    alt = f"AUC of {len(order)} models with 95% intervals; the table holds the same figures"
    with drawing("models", alt, _HEAD + _ROW * len(order)) as made:
        _forest(made, labels, points, spans, colours)
        made.axes.axvline(0.5, color=MUTED, linewidth=1.0, linestyle=":")
        made.axes.set_xlabel("AUC (0.5 is chance)")
    return made.svg


def slices(found: Mapping[str, Any], best_single: str) -> Markup:
    """The funnel less the best single signal in each slice."""
    names = list(found)
    parts = [found[name] for name in names]
    points = [p["models"]["funnel"]["auc"] - p["models"][best_single]["auc"] for p in parts]
    spans = [part["auc_against_best_single_ci"] for part in parts]
    colours = [MAIN if part["judged"] else OTHER for part in parts]
    labels = [f"{_short(name)} ({p['impressions']:,})" for name, p in zip(names, parts, strict=True)]
    alt = f"AUC of the funnel less that of {best_single} in {len(names)} slices, with 95% intervals"
    with drawing("slices", alt, _HEAD + _ROW * len(names)) as made:
        _forest(made, labels, points, spans, colours)
        made.axes.axvline(0.0, color=INK, linewidth=1.0)
        made.axes.set_xlabel("AUC: funnel less best single signal")
        # a slice of a few lists would stretch the scale until nothing else can be read
        wide = [span for span, part in zip(spans, parts, strict=True) if part["impressions"] >= _FEW] or spans
        low, high = min(span[0] for span in wide), max(span[1] for span in wide)
        made.axes.set_xlim(min(low, 0.0) - 0.1 * (high - low), max(high, 0.0) + 0.1 * (high - low) + 1e-6)
        for label, part in zip(made.axes.get_yticklabels(), parts, strict=True):
            label.set_color(INK if part["judged"] else MUTED)
    return made.svg


def ablation(rows: Sequence[Mapping[str, Any]], name: str) -> Markup:
    """Change of AUC when a part is left out."""
    labels = [_part(row) for row in rows]
    points, spans = [row["auc_change"] for row in rows], [row["auc_ci"] for row in rows]
    colours = [MAIN if row["auc_ci"][1] < 0 else WARN if row["auc_ci"][0] > 0 else OTHER for row in rows]
    alt = (
        f"Change of AUC when each of {len(rows)} parts is left out, with 95% intervals; left of zero it earns"
    )
    with drawing(name, alt, _HEAD + _ROW * len(rows)) as made:
        _forest(made, labels, points, spans, colours)
        groups = sum(row["of"] == "group" for row in rows)
        if 0 < groups < len(rows):
            made.axes.axhline(len(rows) - groups - 0.5, color=MUTED, linewidth=0.8)
        made.axes.axvline(0.0, color=INK, linewidth=1.0)
        made.axes.set_xlabel("AUC without it, less with it (left: it earns)")
    return made.svg


def learning(rows: Sequence[Mapping[str, Any]], name: str) -> Markup:
    """Quality on later lists by the number of lists that were fitted on."""
    lists = [row["lists"] for row in rows]
    alt = f"AUC on later lists after fitting on {', '.join(f'{count:,}' for count in lists)} lists"
    with drawing(name, alt, 2.9) as made:
        places = np.arange(len(rows))
        points = np.array([row["auc"] for row in rows])
        low, high = np.array([row["auc_ci"] for row in rows]).T
        made.axes.fill_between(places, low, high, color=MAIN, alpha=0.15, linewidth=0)
        made.axes.plot(places, points, color=MAIN, marker="o", linewidth=2)
        made.axes.set_xticks(places, [f"{count:,}" for count in lists])
        made.axes.set_xlabel("lists fitted on (0: the content blend)")
        made.axes.set_ylabel("AUC, later lists")
        made.axes.grid(axis="y")
    return made.svg


def ages(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Appeal by age: of all sections, and of single ones, the best known of them with their names."""
    last = max(knot[0] for row in rows for knot in row["knots"])
    names = ", ".join(row["name"] for row in rows)
    with drawing("ages", f"Appeal of an article by its age in hours: {names}", 2.9) as made:
        for at, row in reversed(list(enumerate(rows))):
            hours, appeal = np.array(row["knots"]).T
            style = {"color": MAIN, "linewidth": 2.4} if at == 0 else {"color": OTHER, "linewidth": 0.9}
            made.axes.plot(hours, appeal, **style)
        _name_lines(made, rows[1 : 1 + _NAMED])
        made.axes.set_xscale("function", functions=(np.log1p, np.expm1))
        marks = [(0, "0"), (1, "1 h"), (4, "4 h"), (24, "1 d"), (168, "7 d"), (720, "30 d"), (8760, "1 y")]
        shown = [(hour, text) for hour, text in marks if hour <= last]
        made.axes.set_xticks([hour for hour, _ in shown], [text for _, text in shown])
        made.axes.minorticks_off()
        made.axes.set_xlim(0.0, last)
        made.axes.set_ylim(0.0, 1.05)
        made.axes.set_xlabel("age")
        made.axes.set_ylabel("appeal")
        made.axes.grid(axis="y")
    return made.svg


def examination(values: Sequence[float], name: str) -> Markup:
    """Chance that a place is looked at, relative to the first."""
    with drawing(name, f"Examination of {len(values)} places relative to the first", 2.4) as made:
        made.axes.plot(np.arange(1, len(values) + 1), values, color=MAIN, marker="o", linewidth=2)
        made.axes.set_ylim(0.0, 1.05 * max(values))
        made.axes.set_xlabel("place")
        made.axes.set_ylabel("looked at")
        made.axes.grid(axis="y")
    return made.svg


def half_lives(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Hours after which something counts half, on a logarithmic scale; the first rows."""
    rows = rows[:_MOST]
    alt = "Half-lives: " + "; ".join(f"{row['of']} {row['hours']:g} h" for row in rows)
    with drawing("halflives", alt, _HEAD + _ROW * len(rows)) as made:
        places = np.arange(len(rows))[::-1]
        hours = [row["hours"] for row in rows]
        made.axes.hlines(places, min(hours) / 2, hours, color=GRID, linewidth=2)
        colours = [MAIN if row["learned"] else OTHER for row in rows]
        made.axes.scatter(hours, places, color=colours, s=32, zorder=3)
        made.axes.set_yticks(places, [_short(row["of"]) for row in rows])
        made.axes.set_xscale("log")
        made.axes.set_xlim(min(hours) / 2, max(hours) * 2)
        marks = [(1, "1 h"), (4, "4 h"), (24, "1 d"), (72, "3 d"), (168, "7 d"), (720, "30 d")]
        shown = [(hour, text) for hour, text in marks if min(hours) / 2 <= hour <= max(hours) * 2]
        made.axes.set_xticks([hour for hour, _ in shown], [text for _, text in shown])
        made.axes.grid(axis="x")
        made.axes.minorticks_off()
        made.axes.tick_params(axis="y", length=0)
        made.axes.set_xlabel("counts half after")
    return made.svg


def curve(row: Mapping[str, Any], name: str, limit: float) -> Markup:
    """One learned curve over the feature's own values, with the feature's distribution behind."""
    at, values = np.array(row["at"]), np.array(row["values"])
    ends = " to ".join(f"{values[end]:+.3f} at {at[end]:.3g}" for end in (0, -1))
    alt = f"Learned curve of {row['feature']}, from {ends}"
    with drawing(name, alt, 2.1, 3.4) as made:
        if row.get("histogram"):
            counts = np.array(row["histogram"], dtype=np.float64)
            edges = np.linspace(at[0], at[-1], len(counts) + 1)
            tall = 0.9 * limit * counts / max(counts.max(), 1.0)
            made.axes.stairs(tall - limit, edges, baseline=-limit, fill=True, color=GRID, linewidth=0)
        made.axes.axhline(0.0, color=MUTED, linewidth=0.8)
        made.axes.plot(at, values, color=MAIN, marker="o", markersize=4, linewidth=2)
        made.axes.set_ylim(-limit, limit)
        made.axes.set_title(row["feature"], fontsize=10.5, loc="left")
    return made.svg


def reliability(found: Mapping[str, Any], name: str) -> Markup:
    """Observed click rates against predicted ones."""
    bins = found["bins"]
    predicted, observed = ([row[key] for row in bins] for key in ("predicted", "observed"))
    low, high = np.array([row["ci"] for row in bins]).T
    top = 1.08 * max(float(high.max()), max(predicted))
    alt = f"Observed against predicted click rate in {len(bins)} groups of candidates"
    with drawing(name, alt, 3.6) as made:
        made.axes.plot([0, top], [0, top], color=MUTED, linewidth=1.0, linestyle=":")
        made.axes.vlines(predicted, low, high, color=MAIN, linewidth=1.6)
        made.axes.plot(predicted, observed, "o", color=MAIN)
        # most rates are small: a square root gives them room and keeps zero
        scale = {"functions": (lambda x: np.sqrt(np.maximum(x, 0.0)), np.square)}
        made.axes.set_xscale("function", **scale)
        made.axes.set_yscale("function", **scale)
        ticks = [tick for tick in (0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0) if tick <= top]
        made.axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        made.axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        made.axes.minorticks_off()
        made.axes.set_xlim(0.0, top)
        made.axes.set_ylim(0.0, top)
        made.axes.set_xlabel("predicted click rate")
        made.axes.set_ylabel("observed click rate")
        made.axes.grid()
    return made.svg


def _forest(
    made: Drawing,
    labels: Sequence[str],
    points: Sequence[float],
    spans: Sequence[Sequence[float]],
    colours: Sequence[str],
) -> None:
    """A point with its interval on a row each, the first on top."""
    places = np.arange(len(labels))[::-1]
    low, high = np.array(spans, dtype=np.float64).reshape(-1, 2).T
    made.axes.hlines(places, low, high, color=list(colours), linewidth=2.2)
    made.axes.scatter(points, places, color=list(colours), s=30, zorder=3)
    made.axes.set_yticks(places, list(labels))
    made.axes.set_ylim(-0.7, len(labels) - 0.3)
    made.axes.tick_params(axis="y", length=0)
    made.axes.locator_params(axis="x", nbins=5)
    made.axes.grid(axis="x")


def _part(row: Mapping[str, Any]) -> str:
    return row["part"] if row["of"] == "group" else f"{row['part']} ({row['of']})"


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _name_lines(made: Drawing, rows: Sequence[Mapping[str, Any]]) -> None:
    """A name where each line differs most from the others, as far as that can be."""
    tables = np.array([[appeal for _, appeal in row["knots"]] for row in rows])
    for at, row in enumerate(rows):
        others = np.delete(tables, at, axis=0)
        gap = np.abs(others - tables[at]).min(axis=0) if len(others) else np.ones(tables.shape[1])
        place = int(np.argmax(gap))
        hours, appeal = row["knots"][place]
        made.axes.annotate(_short(row["name"]), (hours, appeal), fontsize=8.5, color=MUTED)
