"""Blend features into a score whose additive parts a person can read."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from recsys import features, in_list, recency
from recsys.candidates import Candidates, Floats, Rows
from recsys.config import SurfaceConfig
from recsys.counters import HOUR
from recsys.features import Moment
from recsys.profile import Reader
from recsys.recipes import Recipe
from recsys.state import State

# more than what variety may cost, so that places kept for the topic stay ahead of the others
_AHEAD = 0.5
_Part = Callable[[State, Rows, Moment, float], Floats]

_PARTS: dict[str, _Part] = {
    "similarity": lambda s, rows, m, h: features.similarity(s, rows, m.context),
    "interests": lambda s, rows, m, h: features.interests(s, rows, m.reader),
    "covisited": lambda s, rows, m, h: features.covisited(s, rows, m.context, m.reader),
    "section": lambda s, rows, m, h: features.section_match(s, rows, m.context, m.reader),
    "popularity": lambda s, rows, m, h: features.popularity(s, rows, m.count_at, h),
    "ctr": lambda s, rows, m, h: features.click_rate(s, rows, m.count_at),
    "engagement": lambda s, rows, m, h: features.engagement(s, rows, m.count_at),
    "freshness": lambda s, rows, m, h: recency.freshness(s, rows, m.now),
    "newness": lambda s, rows, m, h: recency.newness(s, rows, m.now),
    "priority": lambda s, rows, m, h: features.priority(s, rows),
}


def recipe_of(state: State, config: SurfaceConfig, surface: str) -> Recipe:
    """The weights in force: learned from what readers open next, else those of the configuration."""
    learned, kept = state.learned.recipes.get(surface), state.recipes.get(surface)
    if kept is not None and kept[0] is config and kept[1] is learned:
        return kept[2]
    configured = learned is None or config.blending == "weights"
    recipe = Recipe.configured(config) if configured else learned.under(config, surface)  # type: ignore[union-attr]
    state.recipes[surface] = (config, learned, recipe)
    return recipe


def follows_reader(
    state: State, config: SurfaceConfig, surface: str, context: int | None, reader: Reader | None
) -> bool:
    """Whether the ranking of a surface depends on who the reader is.

    Args:
        state: what is known.
        config: of the surface.
        surface: its name.
        context: row of the article being read, None without.
        reader: who asks; nobody in particular has no past.
    """
    if surface == "latest" or reader is None or len(reader.rows) == 0:
        return False
    weights = recipe_of(state, config, surface).weights
    # beside an article, its section and its co-read articles stand in for the reader's
    telling = ("interests",) if context is not None else ("interests", "section", "covisited")
    ranker = state.learned.rankers.get(surface)
    learned = () if ranker is None or config.ranking == "blend" else ranker.names
    return (
        any(weights.get(name) for name in telling)
        or bool(config.calibration)
        or any(in_list.base_of(name) in features.OF_READERS for name in learned)
    )


def blend(
    state: State,
    candidates: Candidates,
    moment: Moment,
    config: SurfaceConfig,
    surface: str,
    skipped: frozenset[str] = frozenset(),
) -> Candidates:
    """Score candidates by the weighted features of one surface.

    A feature that is missing for a candidate (NaN) counts as its neutral 0.

    Args:
        state: what is known.
        candidates: unscored.
        moment: when and for whom.
        config: weights of the surface.
        surface: its name; ``latest`` is ordered by time alone.
        skipped: features that are left out because time is short.
    """
    if surface == "latest":
        published = state.catalog.published[candidates.rows]
        return candidates.with_parts(recency.recency(published, moment.now)[:, None], ("recency",))
    rows = candidates.rows
    recipe = recipe_of(state, config, surface)
    weighted = [name for name in _PARTS if recipe.weights.get(name) and name not in skipped]
    raw = raw_parts(state, rows, moment, recipe.half_life_hours, weighted)
    columns, names = weigh(raw, recipe, config.min_similarity)
    _add_age_limit(columns, names, state, rows, moment, config)
    if not columns:
        return candidates.with_parts(np.zeros((len(rows), 1)), ("constant",))
    return candidates.with_parts(np.array(columns).T, tuple(names))


def raw_parts(
    state: State, rows: Rows, moment: Moment, half_life_hours: float, names: Iterable[str] = tuple(_PARTS)
) -> dict[str, Floats]:
    """Features of the blend before their weights, (n,) each; one that is missing is 0.

    They do not depend on the weights, so whoever tries many weights computes them once.
    """
    return {name: _or_nothing(_PARTS[name](state, rows, moment, half_life_hours)) for name in names}


def _or_nothing(values: Floats) -> Floats:
    missing = np.isnan(values)
    return np.where(missing, 0.0, values) if missing.any() else values


def weigh(raw: Mapping[str, Floats], recipe: Recipe, floor: float) -> tuple[list[Floats], list[str]]:
    """Weighted parts and their names, with what being off the topic costs.

    Args:
        raw: from ``raw_parts``, at least those with a weight.
        recipe: the weights.
        floor: similarity below which an article is off the topic.
    """
    names = [name for name in raw if recipe.weights.get(name)]
    columns = [recipe.weights[name] * raw[name] for name in names]
    _add_off_topic(columns, names, recipe.weights, floor)
    return columns, names


def rank(
    state: State,
    candidates: Candidates,
    moment: Moment,
    config: SurfaceConfig,
    surface: str,
    skipped: frozenset[str] = frozenset(),
) -> Candidates:
    """The content blend, and the learned curves where the surface has a ranker.

    Args:
        state: what is known.
        candidates: unscored.
        moment: when and for whom.
        config: of the surface; ``ranking = "blend"`` leaves the curves out, ``factors`` scales them.
        surface: its name.
        skipped: what is left out because time is short: features of the blend, or ``curves``.
    """
    blended = blend(state, candidates, moment, config, surface, skipped)
    ranker = None if "curves" in skipped else state.learned.rankers.get(surface)
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


def topic_first(state: State, candidates: Candidates, config: SurfaceConfig, surface: str) -> Candidates:
    """The candidates with the first places of a learned list kept for those on the topic.

    What readers open next is often off the topic. So the ``topical_places`` best by the weights of the
    configuration lead the list, as a part of their scores; what readers open next follows them. On the
    topic is what is at least ``topical_share`` as similar as the most similar candidate.
    """
    recipe = recipe_of(state, config, surface)
    if not (
        len(candidates) and recipe.learned and config.topical_places and "similarity" in candidates.names
    ):
        return candidates
    place = {name: k for k, name in enumerate(candidates.names)}
    similarity = candidates.parts[:, place["similarity"]]
    topical = np.flatnonzero((similarity > 0) & (similarity >= config.topical_share * similarity.max()))
    if len(topical) == 0:
        return candidates
    factors = np.zeros(len(candidates.names))
    for name, weight in Recipe.configured(config).weights.items():
        if name in place and name in recipe.weights:
            factors[place[name]] = weight / recipe.weights[name]
    content = candidates.parts @ factors
    best = topical[np.argsort(-content[topical], kind="stable")[: config.topical_places]]
    lead = np.zeros(len(candidates))
    above = candidates.scores.max() + _AHEAD
    lead[best] = above + content[best] - content[best].min() - candidates.scores[best]
    return candidates.plus_part("topic", lead)


def _add_off_topic(
    columns: list[Floats], names: list[str], weights: Mapping[str, float], floor: float
) -> None:
    """Below a similarity an article is off the topic, unless readers often open the two together."""
    if not weights.get("off_topic") or "similarity" not in names:
        return
    similarity = columns[names.index("similarity")] / weights["similarity"]
    if similarity.any():
        off = similarity < floor
        if "covisited" in names:
            off &= columns[names.index("covisited")] < 0.5 * weights["covisited"]
        columns.append(np.asarray(weights["off_topic"] * off, dtype=np.float64))
        names.append("off_topic")


def _add_age_limit(
    columns: list[Floats], names: list[str], state: State, rows: Rows, moment: Moment, config: SurfaceConfig
) -> None:
    if config.prefer_max_age_hours is not None:
        age = (moment.now - state.catalog.published[rows]) / HOUR
        columns.append(np.asarray(-1.0 * (age > config.prefer_max_age_hours), dtype=np.float64))
        names.append("too_old")
