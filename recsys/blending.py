"""Blend features into a score whose additive parts a person can read."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from recsys import features
from recsys.candidates import Candidates, Floats, Rows
from recsys.config import SurfaceConfig, Weights
from recsys.counters import HOUR
from recsys.features import Moment
from recsys.state import State

_Part = Callable[[State, Rows, Moment, SurfaceConfig], Floats]

_PARTS: dict[str, _Part] = {
    "similarity": lambda s, rows, m, c: features.similarity(s, rows, m.context),
    "interests": lambda s, rows, m, c: features.interests(s, rows, m.reader),
    "covisited": lambda s, rows, m, c: features.covisited(s, rows, m.context, m.reader),
    "section": lambda s, rows, m, c: features.section_match(s, rows, m.context, m.reader),
    "popularity": lambda s, rows, m, c: features.popularity(s, rows, m.count_at, c.half_life_hours),
    "ctr": lambda s, rows, m, c: features.click_rate(s, rows, m.count_at),
    "engagement": lambda s, rows, m, c: features.engagement(s, rows, m.count_at),
    "freshness": lambda s, rows, m, c: features.freshness(s, rows, m.now),
    "priority": lambda s, rows, m, c: features.priority(s, rows),
}


def blend(
    state: State, candidates: Candidates, moment: Moment, config: SurfaceConfig, surface: str
) -> Candidates:
    """Score candidates by the weighted features of one surface.

    A feature that is missing for a candidate (NaN) counts as its neutral 0.

    Args:
        state: what is known.
        candidates: unscored.
        moment: when and for whom.
        config: weights of the surface.
        surface: its name; ``latest`` is ordered by time alone.
    """
    if surface == "latest":
        published = state.catalog.published[candidates.rows]
        return candidates.with_parts(features.recency(published, moment.now)[:, None], ("recency",))
    rows = candidates.rows
    weighted = [name for name in _PARTS if getattr(config.weights, name)]
    columns, names = weigh(raw_parts(state, rows, moment, config, weighted), config)
    _add_age_limit(columns, names, state, rows, moment, config)
    if not columns:
        return candidates.with_parts(np.zeros((len(rows), 1)), ("constant",))
    return candidates.with_parts(np.column_stack(columns), tuple(names))


def raw_parts(
    state: State, rows: Rows, moment: Moment, config: SurfaceConfig, names: Iterable[str] = tuple(_PARTS)
) -> dict[str, Floats]:
    """Features of the blend before their weights, (n,) each; one that is missing is 0.

    They do not depend on the weights, so whoever tries many weights computes them once.
    """
    return {name: np.nan_to_num(_PARTS[name](state, rows, moment, config)) for name in names}


def weigh(raw: Mapping[str, Floats], config: SurfaceConfig) -> tuple[list[Floats], list[str]]:
    """Weighted parts and their names, with what being off the topic costs.

    Args:
        raw: from ``raw_parts``, at least those with a weight.
        config: weights of the surface.
    """
    names = [name for name in raw if getattr(config.weights, name)]
    columns = [getattr(config.weights, name) * raw[name] for name in names]
    _add_off_topic(columns, names, config.weights, config.min_similarity)
    return columns, names


def rank(
    state: State, candidates: Candidates, moment: Moment, config: SurfaceConfig, surface: str
) -> Candidates:
    """The content blend, and the learned curves where the surface has a ranker.

    Args:
        state: what is known.
        candidates: unscored.
        moment: when and for whom.
        config: of the surface; ``ranking = "blend"`` leaves the curves out, ``factors`` scales them.
        surface: its name.
    """
    blended = blend(state, candidates, moment, config, surface)
    ranker = state.learned.rankers.get(surface)
    ranked = ranker is not None and config.ranking != "blend"
    if len(candidates) == 0 or not (ranked or moment.witness is not None):
        return blended
    names = ranker.names if ranker is not None else state.config.ranker.features
    matrix = features.learned_matrix(state, candidates.rows, moment, names)
    if moment.witness is not None:
        moment.witness.append(features.Seen(surface, moment.count_at, candidates.rows, names, matrix))
    if ranker is None or not ranked:
        return blended
    curves = ranker.parts(matrix, config.factors)
    return blended.with_parts(np.hstack((blended.parts, curves)), (*blended.names, *ranker.names))


def _add_off_topic(columns: list[Floats], names: list[str], weights: Weights, floor: float) -> None:
    """Below a similarity an article is off the topic, unless readers often open the two together."""
    if not weights.off_topic or "similarity" not in names:
        return
    similarity = columns[names.index("similarity")] / weights.similarity
    if similarity.any():
        off = similarity < floor
        if "covisited" in names:
            off &= columns[names.index("covisited")] < 0.5 * weights.covisited
        columns.append(np.asarray(weights.off_topic * off, dtype=np.float64))
        names.append("off_topic")


def _add_age_limit(
    columns: list[Floats], names: list[str], state: State, rows: Rows, moment: Moment, config: SurfaceConfig
) -> None:
    if config.prefer_max_age_hours is not None:
        age = (moment.now - state.catalog.published[rows]) / HOUR
        columns.append(np.asarray(-1.0 * (age > config.prefer_max_age_hours), dtype=np.float64))
        names.append("too_old")
