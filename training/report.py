"""What a report shows, as JSON values: the page is drawn from these and from nothing else."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.bundle import Bundle
from recsys.state import State
from training.before_after import examples
from training.metrics import Table
from training.report_learned import age_curves, curves, half_lives, recipes
from training.slices import difference
from training.verdict import verdict

if TYPE_CHECKING:
    from training.evaluate import Result

_BLEND = "content_blend"


def with_report(result: "Result", values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an evaluation and, under keys of their own, those of its report."""
    bundle, state = result.bundle, result.state
    metrics = bundle.manifest.get("metrics", {})
    found = {
        **values,
        **_comparisons(result, values["against_best_single"]),
        "trained": trained(bundle),
        "judged": _judged(result),
        "ablation": result.judged.insight.ablation.rows() + _refitted(metrics),
        "learning_curve": metrics.get("learning_curve", {}),
        "calibration": {
            surface: reliability.values(result.seed)
            for surface, reliability in sorted(result.judged.insight.reliability.items())
        },
        "curves": {
            surface: curves(ranker, metrics.get("features", {}).get(surface, {}))
            for surface, ranker in sorted(state.learned.rankers.items())
        },
        "dated": _dated(state),
        "age_curves": age_curves(state),
        "half_lives": half_lives(state),
        "recipes": recipes(state),
        "examination": state.learned.examination.to_json(),
        "gate": metrics.get("gate", {}),
        "examples": examples(state, _now(result), result.judged.insight.readers),
    }
    return {"verdict": verdict(found), **found}


def _comparisons(result: "Result", single: Mapping[str, Any]) -> dict[str, Any]:
    """The funnel against the best single signal and the content blend; empty where nothing was judged."""
    tables, seed = result.tables, result.seed
    if not tables:
        return {"against_best_single": {}, "against_content_blend": {}}
    chosen = bool(result.bundle.manifest.get("metrics", {}).get("single_signals"))
    told = {**single, **_difference(tables, single["signal"], seed), "chosen_by_bundle": chosen}
    return {"against_best_single": told, "against_content_blend": _difference(tables, _BLEND, seed)}


def _now(result: "Result") -> float:
    """When example lists are made: what the state has counted lies before it."""
    times = [ts for ts in (result.until, result.state.popularity.watermark) if np.isfinite(ts)]
    return max(times, default=0.0)


def trained(bundle: Bundle) -> dict[str, Any]:
    """What was trained on what."""
    names = ("version", "created", "data_window", "fit_until", "config_digest", "articles", "events")
    found = {name: bundle.manifest.get(name) for name in names}
    embedder = bundle.manifest.get("embedder", {})
    return {**found, "embedder": embedder.get("model_id"), "notes": list(bundle.manifest.get("notes", []))}


def _judged(result: "Result") -> dict[str, Any]:
    table = result.tables.get("funnel")
    return {
        "from": _instant(result.since),
        "until": _instant(result.until),
        "impressions": 0 if table is None else len(table.values),
        "readers": 0 if table is None else len(np.unique(table.clusters)),
        "early": result.judged.early,
        "seed": result.seed,
    }


def _instant(ts: float) -> str | None:
    return None if not np.isfinite(ts) else datetime.fromtimestamp(ts, UTC).isoformat()


def _difference(tables: Mapping[str, Table], other: str, seed: int) -> dict[str, Any]:
    ours, theirs = tables["funnel"], tables[other]
    return {
        "auc_difference": ours.means()["auc"] - theirs.means()["auc"],
        "auc_difference_ci": list(difference(ours, theirs, seed)),
    }


def _refitted(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What training found when it left features out and fitted again."""
    return [
        {**row, "surface": surface} for surface, rows in metrics.get("refitted", {}).items() for row in rows
    ]


def _dated(state: State) -> float:
    """Share of the articles whose time of publication is known."""
    catalog = state.catalog
    known = np.array([card is not None for card in catalog.cards], dtype=bool)
    if not known.any():
        return 0.0
    return float((~np.isnan(catalog.published[: len(catalog)][known])).mean())
