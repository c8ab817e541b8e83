"""The additive ranker of a bundle beside its floor and its reference, refitted on the same lists."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle
from recsys.errors import DataError
from recsys.features import learned_matrix
from recsys.pipeline import Funnel
from recsys.profile import reader_key
from recsys.ranker import AdditiveRanker
from recsys.schemas import Exposure
from recsys.state import State
from training.evaluate import opened_state, within
from training.fit_ranker import Examples, fit_ranker
from training.learn import RANKED, Clicks, clicks_of, gather
from training.moments import Moments, with_impressions
from training.readers import EventLog, read_articles, read_event_log, read_exposures
from training.references import JudgedLists, Scorer, compare, fit_references

Floats = NDArray[np.float64]


def beside_references(
    bundle: Bundle,
    data: Path,
    models: Path,
    *,
    span: tuple[datetime | None, datetime | None] = (None, None),
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Fit logistic regression and boosting on the lists the bundle's ranker was fitted on; judge all.

    Args:
        bundle: whose ranker is judged; without one for a list, one is fitted.
        data: canonical data that holds the bundle's own lists and the judged ones.
        models: registry, for cached embeddings.
        span: judge exposures with span[0] <= ts < span[1].
        seed: of whatever is random.
        say: told each step.

    Returns:
        Rows of ``references.compare`` with their ``surface``.

    Raises:
        DataError: too few lists to fit or none to judge.
    """
    exposures = sorted(read_exposures(data), key=lambda exposure: (exposure.ts, exposure.request_id))
    articles, log, clicks = list(read_articles(data)), read_event_log(data), clicks_of(data)
    state = opened_state(bundle, articles, models, say)
    ends = _fit_end(bundle)
    known = [exposure for exposure in exposures if exposure.ts.timestamp() <= ends]
    say(f"the lists of the fit once more: {len(known):,}")
    blank = State(state.config, state.catalog, state.index, state.neighbours)
    past = with_impressions(log.between(-np.inf, ends), known)
    _, examples = gather(blank, past, known, clicks)
    judged = _judged(bundle, state, with_impressions(log, exposures), within(exposures, span), clicks)
    found: list[dict[str, Any]] = []
    for surface in RANKED:
        fitted, lists = examples[surface], judged[surface]
        if len(fitted) < state.config.ranker.min_lists or not lists.labels:
            continue
        say(f"{surface}: fitting the floor and the references on {len(fitted):,} lists")
        additive = _additive(state, surface, fitted)
        rows = compare(additive, fit_references(fitted, seed), lists, seed)
        found += [{"surface": surface, **row} for row in rows]
    if not found:
        counts = ", ".join(f"{len(examples[s]):,} and {len(judged[s].labels):,} of {s}" for s in RANKED)
        raise DataError(
            f"references need {state.config.ranker.min_lists:,} lists with clicks before the bundle's end "
            f"and some to judge; this data has {counts}; give the data that the bundle was trained on, and "
            "what came later"
        )
    return found


def _fit_end(bundle: Bundle) -> float:
    """Unix seconds up to which the bundle was fitted."""
    told, watermark = bundle.manifest.get("fit_until"), bundle.manifest["watermark"]
    if told is not None:
        return datetime.fromisoformat(told).astimezone(UTC).timestamp()
    return float("-inf") if watermark is None else float(watermark)


def _additive(state: State, surface: str, examples: Examples) -> Scorer:
    config = state.config.surfaces.of(surface)
    ranker: AdditiveRanker | None = state.learned.rankers.get(surface)
    if ranker is None:
        ranker = fit_ranker(examples, state.config.ranker, config.learned_share)

    def score(blend: Floats, matrix: Floats) -> Floats:
        return np.asarray(blend + ranker.parts(matrix, config.factors).sum(axis=1))

    return score


def _judged(
    bundle: Bundle, state: State, log: EventLog, wanted: Sequence[Exposure], clicks: Clicks
) -> dict[str, JudgedLists]:
    """Features of judged lists with a click and another article, each with what was known at its moment."""
    watermark = bundle.manifest["watermark"]
    known_upto = float("-inf") if watermark is None else float(watermark)
    plain = replace(state.learned, rankers={})
    live = State(
        state.config,
        state.catalog,
        state.index,
        state.neighbours,
        state.popularity,
        state.histories,
        plain,
    )
    early = State(state.config, state.catalog, state.index, state.neighbours, learned=plain)
    moments, lag = Moments(live, log, known_upto), state.config.train.serving_lag_minutes * 60.0
    found = {surface: JudgedLists() for surface in RANKED}
    for exposure in wanted:
        chosen = clicks.get((exposure.request_id, exposure.surface), frozenset())
        labels = np.array([item.article_id in chosen for item in exposure.items], dtype=bool)
        if exposure.surface in RANKED and labels.any() and not labels.all():
            ts = exposure.ts.timestamp()
            at = early if ts <= known_upto else moments.until(ts - lag)
            _add(found[exposure.surface], at, moments, exposure, labels)
    return found


def _add(
    lists: JudgedLists, state: State, moments: Moments, exposure: Exposure, labels: NDArray[np.bool_]
) -> None:
    query, rows = moments.query(state, exposure)
    for part in (state.popularity, state.index):
        part.resize(len(state.catalog))
    funnel, names = Funnel(state), state.config.ranker.features
    blend = funnel.score(exposure.surface, query, rows)
    known = ~np.isnan(blend)
    matrix = np.full((len(rows), len(names)), np.nan)
    matrix[known] = learned_matrix(state, rows[known], funnel.moment(query, exposure.surface), names)
    lists.blend.append(blend)
    lists.matrices.append(matrix)
    lists.labels.append(labels)
    lists.clusters.append(reader_key(exposure.reader) >> 1)
