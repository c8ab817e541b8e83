"""What a bundle learned, as JSON values for its report: curves, age, half-lives, blends of lists."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys.blending import recipe_of
from recsys.ranker import KNOTS, AdditiveRanker
from recsys.state import State


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


def age_curves(state: State) -> list[dict[str, Any]]:
    """Appeal by age as ``freshness`` reads it.

    Returns:
        ``name`` (``all sections`` first, then sections with what was learned from them, most clicks
        first), ``knots`` of (hours, appeal), ``learned``, ``clicks``.
    """
    config, age = state.config.age_curve, state.learned.age
    if not config.learned or age.whole is None:
        knots = [list(knot) for knot in config.knots]
        return [{"name": "all sections", "knots": knots, "learned": False, "clicks": None}]
    parts = [age.whole, *sorted((p for p in age.sections if p.clicks), key=lambda p: -p.clicks)]
    return [
        {
            "name": part.name or "all sections",
            "knots": [list(knot) for knot in zip(age.knots, part.values, strict=True)],
            "learned": True,
            "clicks": part.clicks,
        }
        for part in parts
    ]


def half_lives(state: State) -> list[dict[str, Any]]:
    """After how many hours something counts half.

    Returns:
        ``of``, ``hours``, ``learned``, ``clicks`` (that a learned one rests on).
    """
    counts, age = state.config.popularity, state.learned.age
    rows: list[dict[str, Any]] = []

    def add(of: str, hours: float | None, learned: bool = False, clicks: int | None = None) -> None:
        if hours is not None:
            rows.append({"of": of, "hours": hours, "learned": learned, "clicks": clicks})

    for surface in type(state.config.surfaces).model_fields:
        # latest is ordered by time alone
        if surface != "latest":
            recipe = recipe_of(state, state.config.surfaces.of(surface), surface)
            add(f"readers, list {surface}", recipe.half_life_hours, recipe.learned)
    add("click-through rate of the blend", counts.ctr_half_life_hours)
    add("read minutes, shares, saves, comments", counts.engagement_half_life_hours)
    if age.whole is not None:
        add("appeal by age", age.whole.half_life_hours, True, age.whole.clicks)
        add("readers, what foretells openings", age.whole.popularity_half_life_hours, True, age.whole.clicks)
        for part in sorted(age.sections, key=lambda part: -part.clicks):
            if part.clicks:
                add(f"appeal by age, {part.name}", part.half_life_hours, True, part.clicks)
    return rows


def recipes(state: State) -> dict[str, Any]:
    """Weights of the blend that each list is made by, and whether they were learned."""
    found = {}
    for surface in type(state.config.surfaces).model_fields:
        recipe = recipe_of(state, state.config.surfaces.of(surface), surface)
        found[surface] = {"learned": recipe.learned, **recipe.weights}
    return found
