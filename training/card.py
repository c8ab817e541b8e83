"""A bundle on one page: what it is, what it learned from, how good it is, what to mind."""

from collections.abc import Iterator, Mapping
from typing import Any

from recsys.config import Config

_SHOWN = {"auc": "AUC", "ndcg@10": "nDCG@10", "mrr": "MRR"}
_LONG = 8


def gate_row(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The gate's figures of a bundle in one flat row: metrics of the funnel and its baselines, verdict."""
    gate = manifest.get("metrics", {}).get("gate", {})
    models = gate.get("models", {})
    row: dict[str, Any] = {"verdict": gate.get("verdict"), "impressions": gate.get("impressions")}
    for name in ("funnel", "content_blend", "decayed_counts"):
        row[name] = models.get(name)
    return row


def differing(config: Mapping[str, Any]) -> list[str]:
    """Settings that are not the defaults, as ``key = value (default)``."""
    defaults = dict(_leaves(Config().public_dict()))
    found = dict(_leaves(config))
    return [
        f"{key} = {_short(found[key])} (default {_short(defaults.get(key))})"
        for key in sorted(found)
        if found[key] != defaults.get(key)
    ]


def model_card(manifest: Mapping[str, Any]) -> str:
    """Markdown that reads well as plain text.

    Args:
        manifest: of a bundle.
    """
    parts = [_head(manifest), _data(manifest), _metrics(manifest), _features(manifest), _settings(manifest)]
    parts += [_notes(manifest), _files(manifest)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _head(manifest: Mapping[str, Any]) -> list[str]:
    embedder = manifest.get("embedder", {})
    return [
        f"# {manifest['version']}",
        "",
        f"A bundle of the content-recommendation engine, made {_when(manifest['created'])}: ranked lists of "
        "articles from text, counts of readers and, where the log taught any, learned curves.",
        f"Embedding {embedder.get('model_id')}, {embedder.get('dimensions')} dimensions. "
        f"Settings {manifest['config_digest']}.",
    ]


def _data(manifest: Mapping[str, Any]) -> list[str]:
    begin, end = manifest["data_window"]
    until = manifest.get("fit_until")
    return [
        "## Trained on",
        f"- {manifest['articles']:,} articles",
        f"- {manifest['events']:,} events" + (f", {_when(begin)} to {_when(end)}" if begin else ""),
        f"- fitted until {_when(until)}" if until else "- fitted on all of the data",
    ]


def _metrics(manifest: Mapping[str, Any]) -> list[str]:
    gate = manifest.get("metrics", {}).get("gate", {})
    lines = ["## Metrics"]
    if gate.get("models"):
        lines += [
            f"On {gate['impressions']:,} lists of {gate['readers']:,} readers, {_when(gate['judged'][0])} to "
            f"{_when(gate['judged'][1])}, by a fit on what lies before them. The ranges are 95% intervals by "
            "reader.",
            "",
            "| model | " + " | ".join(_SHOWN.values()) + " |",
            "|---|" + "---|" * len(_SHOWN),
            *(_metric_row(name, gate["models"][name]) for name in sorted(gate["models"], key=_funnel_first)),
        ]
    lines += ["", f"Gate: {gate.get('verdict', 'not judged')}", *(f"- {text}" for text in _gate_says(gate))]
    return [*lines, *_of_training(manifest.get("metrics", {}))]


def _of_training(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What the fit and the search noted; curves and histograms are left to ``--json`` and the report."""
    if signals := metrics.get("single_signals"):
        ranked = sorted(signals.items(), key=lambda item: -item[1])
        yield from ("", "Single signals on the later lists of the fit, AUC:")
        yield from (f"- {name} {_short(value)}" for name, value in ranked)
    for surface, points in metrics.get("learning_curve", {}).items():
        gains = ", ".join(f"{point['gain']:+.4f} from {point['lists']:,} lists" for point in points)
        yield from ("", f"What more data brought to the curves of {surface}, AUC: {gains}")
    if tuning := metrics.get("tuning"):
        yield from ("", "Settings were searched:")
        yield from (f"- {key} {_short(value)}" for key, value in _leaves(tuning))


def _metric_row(name: str, row: Mapping[str, Any]) -> str:
    cells = [f"{row[key]:.4f} ({row['ci'][key][0]:.4f}-{row['ci'][key][1]:.4f})" for key in _SHOWN]
    return f"| {name} | {' | '.join(cells)} |"


def _funnel_first(name: str) -> tuple[bool, str]:
    return name != "funnel", name


def _gate_says(gate: Mapping[str, Any]) -> Iterator[str]:
    if compared := gate.get("compared"):
        told = f"compared with {compared['how']}"
        if "differences" in compared:
            low, high = compared["ci"]["auc"]
            told += f": AUC {compared['differences']['auc']:+.4f} ({low:+.4f} to {high:+.4f})"
        yield told
    yield from gate.get("reasons", [])
    yield from (f"could not be shown: {text}" for text in gate.get("not_shown", []))


def _features(manifest: Mapping[str, Any]) -> list[str]:
    names = manifest.get("feature_names", [])
    return ["## Features", *_wrapped(names)] if names else []


def _settings(manifest: Mapping[str, Any]) -> list[str]:
    changed = differing(manifest["config"])
    return ["## Settings that are not the defaults", *([f"- {line}" for line in changed] or ["none"])]


def _notes(manifest: Mapping[str, Any]) -> list[str]:
    return [
        "## What training found, and limits",
        *(f"- {note}" for note in manifest.get("notes", [])),
        "- metrics are of shown lists; they do not tell how a reader would take lists never shown",
        "- counts go on in service from the store; curves and co-reading are as of the training",
    ]


def _files(manifest: Mapping[str, Any]) -> list[str]:
    files = sorted(manifest.get("files", {}).items(), key=lambda item: -item[1]["bytes"])
    total = sum(entry["bytes"] for _, entry in files)
    lines = [f"- {name} {_size(entry['bytes'])}" for name, entry in files[:_LONG]]
    rest = len(files) - _LONG
    return [
        f"## Files, {_size(total)}",
        *lines,
        *([f"- and {rest} smaller ones"] if rest > 0 else []),
        "",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in manifest.get("libraries", {}).items()),
    ]


def _when(text: str) -> str:
    """An RFC 3339 time to the minute; bundles keep them in UTC."""
    return f"{text[:16].replace('T', ' ')} UTC"


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) > _LONG:
        return f"{len(value)} values"
    return str(value)


def _wrapped(names: list[str], width: int = 100) -> Iterator[str]:
    line = ""
    for name in names:
        if line and len(line) + len(name) + 2 > width:
            yield line + ","
            line = name
        else:
            line = f"{line}, {name}" if line else name
    yield line


def _size(count: int) -> str:
    if count < 1_000_000:
        return f"{count / 1e3:,.1f} KB"
    return f"{count / 1e6:,.1f} MB"
