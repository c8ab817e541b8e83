"""What a report shows, as JSON values: the page is drawn from these and from nothing else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.bundle import Bundle
from recsys.config import Config
from recsys.ranker import KNOTS, AdditiveRanker
from recsys.state import State
from training.before_after import examples
from training.metrics import Table
from training.slices import difference
from training.verdict import verdict

if TYPE_CHECKING:
    from training.evaluate import Result

_BLEND = "content_blend"


def with_report(result: "Result", values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an evaluation and, under keys of their own, those of its report."""
    bundle, state, tables = result.bundle, result.state, result.tables
    metrics = bundle.manifest.get("metrics", {})
    single = values["against_best_single"]
    found = {
        **values,
        "against_best_single": {
            **single,
            **_difference(tables, single["signal"], result.seed),
            "chosen_by_bundle": bool(metrics.get("single_signals")),
        },
        "against_content_blend": _difference(tables, _BLEND, result.seed),
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
        "age_curves": age_curves(state.config),
        "half_lives": half_lives(state.config),
        "examples": examples(state, _now(result), result.judged.insight.readers),
    }
    return {"verdict": verdict(found), **found}


def _now(result: "Result") -> float:
    """When example lists are made: what the state has counted lies before it."""
    watermark = result.state.popularity.watermark
    return max(result.until, watermark) if np.isfinite(watermark) else result.until


def trained(bundle: Bundle) -> dict[str, Any]:
    """What was trained on what."""
    names = ("version", "created", "data_window", "fit_until", "config_digest", "articles", "events")
    found = {name: bundle.manifest.get(name) for name in names}
    embedder = bundle.manifest.get("embedder", {})
    return {**found, "embedder": embedder.get("model_id"), "notes": list(bundle.manifest.get("notes", []))}


def _judged(result: "Result") -> dict[str, Any]:
    table = result.tables["funnel"]
    return {
        "from": _instant(result.since),
        "until": _instant(result.until),
        "impressions": len(table.values),
        "readers": len(np.unique(table.clusters)),
        "early": result.judged.early,
        "seed": result.seed,
    }


def _instant(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat()


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


def curves(ranker: AdditiveRanker, distributions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each learned curve, the one with the widest reach first.

    Returns:
        ``feature``, ``at`` (raw values of the feature at the knots), ``values`` there in units of the content
        blend's score, ``reach`` (highest less lowest), and where training noted them ``histogram`` (in
        equal steps from the first knot to the last) and ``missing`` (share of candidates).
    """
    rows = []
    for column, name in enumerate(ranker.names):
        values = ranker.values[column]
        at = ranker.centres[column] + ranker.scales[column] * np.array(KNOTS)
        rows.append(
            {
                "feature": name,
                "at": at.tolist(),
                "values": values.tolist(),
                "reach": float(np.ptp(values)),
                **distributions.get(name, {}),
            }
        )
    return sorted(rows, key=lambda row: (-row["reach"], row["feature"]))


def _dated(state: State) -> float:
    """Share of the articles whose time of publication is known."""
    catalog = state.catalog
    known = np.array([card is not None for card in catalog.cards], dtype=bool)
    if not known.any():
        return 0.0
    return float((~np.isnan(catalog.published[: len(catalog)][known])).mean())


def age_curves(
    config: Config, sections: Mapping[str, Sequence[tuple[float, float]]] | None = None
) -> list[dict[str, Any]]:
    """Appeal by age: the configured curve, and those of single sections where they were learned.

    Args:
        config: for the curve of all sections.
        sections: (hours, appeal) at the knots, by section.
    """
    rows: list[dict[str, Any]] = [
        {
            "section": None,
            "knots": [list(knot) for knot in config.age_curve.knots],
            "unknown": config.age_curve.unknown,
        }
    ]
    for name, knots in (sections or {}).items():
        rows.append({"section": name, "knots": [list(knot) for knot in knots], "unknown": None})
    return rows


def half_lives(config: Config, sections: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """After how many hours a reading, a click or an engagement counts half, by what reads it.

    Args:
        config: for the lists and the counters.
        sections: hours by section, where they were learned.
    """
    counts = config.popularity
    rows: list[dict[str, Any]] = []
    for surface in type(config.surfaces).model_fields:
        if surface == "latest":
            # ordered by time alone
            continue
        chosen = config.surfaces.of(surface)
        rows.append({"of": f"readers, list {surface}", "hours": chosen.half_life_hours})
    rows.append({"of": "click-through rate of the blend", "hours": counts.ctr_half_life_hours})
    rows.append({"of": "read minutes, shares, saves, comments", "hours": counts.engagement_half_life_hours})
    for name, hours in (sections or {}).items():
        rows.append({"of": f"section {name}", "hours": hours})
    return rows
