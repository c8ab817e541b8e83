"""From which reads the weights of lists are learned: the latest of a log, or readers' ordered pasts."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.config import Config
from recsys.covisitation import Covisitation, Trails
from recsys.learned import Learned
from recsys.pipeline import Query
from recsys.popularity import EventBatch
from recsys.profile import Histories, Reader
from recsys.recipes import Recipe
from recsys.schemas import EVENT_TYPES, Exposure
from recsys.state import State
from training.fit_lists import PARTS, Gathering, fit_recipe
from training.moments import Moments
from training.readers import EventLog
from training.reads import Past, fold_of, next_reads, sample, sequences

Pairs = Callable[[EventLog], Covisitation]
_LATEST = 0.3
_EVENTS = 200_000
_DAY = 86_400.0
_VIEW = EVENT_TYPES.index("view")


def learn_recipes(
    state: State, log: EventLog, exposures: Sequence[Exposure], pairs: Pairs
) -> tuple[dict[str, Recipe], list[str]]:
    """Weights of the lists that are made for a context or a reader, and what a person should know.

    The latest part of the log teaches, with what was known at each opening. Where a log gives most
    readers' pasts without times, ``related`` learns from these alone and ``for_you`` from both: the
    readers of one fold teach the weights, those of the others the pairs, and fold 0 is left to whoever
    judges.

    Args:
        state: without events; it is not changed.
        log: in time order.
        exposures: for pasts.
        pairs: learns what is read together from a part of the log.
    """
    found = gather_dated(state, log, pairs)
    row_of = {name: row for row, name in enumerate(state.catalog.ids) if state.catalog.is_known(row)}
    pasts = sequences(exposures, row_of)
    if sum(bool(exposure.history) for exposure in exposures) > len(exposures) / 2:
        seed = state.config.train.seed
        folds = np.array([fold_of(past, seed) for past in pasts])
        known = [past for past, fold in zip(pasts, folds, strict=True) if fold > 1]
        asked = [past for past, fold in zip(pasts, folds, strict=True) if fold == 1]
        more = gather_pasts(state_of_pasts(state, known), asked)
        # several clicks in one served list are no moves from one article to the next; pasts are
        found["related"] = more["related"]
        found["for_you"].extend(more["for_you"])
    return _fitted(found, state.config)


def _fitted(found: dict[str, Gathering], config: Config) -> tuple[dict[str, Recipe], list[str]]:
    recipes, notes = {}, []
    for surface, gathering in found.items():
        if len(gathering) < config.lists.min_reads:
            notes.append(
                f"{surface}: {len(gathering):,} next reads, {config.lists.min_reads:,} are needed to learn "
                "the list's weights; those of the configuration stay"
            )
            continue
        weights = config.surfaces.of(surface).weights.model_dump()
        total = sum(value for name, value in weights.items() if name != "off_topic")
        recipe = recipes[surface] = fit_recipe(gathering, total)
        told = ", ".join(f"{name} {value:.3f}" for name, value in recipe.weights.items())
        notes.append(
            f"{surface}: weights learned from {len(gathering):,} next reads: {told}; popularity with a "
            f"half-life of {recipe.half_life_hours:g} h"
        )
    return recipes, notes


def gather_dated(state: State, log: EventLog, pairs: Pairs) -> dict[str, Gathering]:
    """Next reads of the latest part of a log, each with what was known then."""
    config = state.config
    lag = config.train.serving_lag_minutes * 60.0
    found = {surface: Gathering(surface, config) for surface in PARTS}
    if len(log) == 0:
        return found
    begin = len(log) - min(int(_LATEST * len(log)), _EVENTS)
    since = float(log.ts[begin - 1]) if begin else float("-inf")
    pasts = Histories(config.profile)
    pasts.restore({name: np.array(values) for name, values in state.histories.state().items()})
    before = log.between(-np.inf, since)
    learned = replace(Learned.nothing(config), covisitation=pairs(before))
    fresh = State(config, state.catalog, state.index, state.neighbours, histories=pasts, learned=learned)
    replayed = log.part(max(0, begin - _EVENTS), len(log))
    moments = Moments(fresh, replayed)
    moments.until(since)
    fresh.follows_pairs = True
    row_of = [state.catalog.refer(name) for name in log.article_ids]
    reads = [
        (read, surface)
        for surface in PARTS
        for read in sample(
            next_reads(replayed, surface, since, np.inf, lag), config.lists.max_reads, config.train.seed
        )
    ]
    # both surfaces follow one replay, so by the time of what each may know
    known_at = {surface: lag if surface == "related" else 0.0 for surface in PARTS}
    reads.sort(key=lambda pair: (pair[0].asked - known_at[pair[1]], pair[1]))
    for read, surface in reads:
        moments.until(read.asked - known_at[surface])
        reader = fresh.histories.of(read.reader) if surface == "for_you" else None
        if reader is not None and len(reader.rows) == 0:
            continue
        query = Query(
            now=read.asked,
            context=row_of[read.context] if read.context >= 0 else None,
            reader=reader,
            exclude=() if reader is None else reader.rows.tolist(),
        )
        found[surface].take(fresh, query, row_of[read.target])
    return found


def gather_pasts(state: State, pasts: Sequence[Past]) -> dict[str, Gathering]:
    """Next reads within the pasts of readers that ``state`` has not seen."""
    config = state.config
    found = {surface: Gathering(surface, config) for surface in PARTS}
    steps = [(past, at) for past in pasts for at in range(1, len(past.rows))]
    drawn = np.random.default_rng(config.train.seed).permutation(len(steps))
    for k in drawn[: config.lists.max_reads].tolist():
        past, at = steps[k]
        before, now = past.rows[:at][::-1], state.popularity.watermark + 1.0
        target = int(past.rows[at])
        found["related"].take(state, Query(now=now, context=int(before[0])), target)
        found["for_you"].take(state, Query(now=now, reader=Reader(before), exclude=before.tolist()), target)
    return found


def state_of_pasts(state: State, pasts: Sequence[Past]) -> State:
    """A state of the same articles, without dates, that knows these pasts alone.

    Every opening has the same time, so that a count is a number of readers at any half-life.

    Args:
        state: for articles, vectors, neighbours and what else was learned.
        pasts: of the readers to learn from.
    """
    catalog = state.catalog.undated()
    rows = np.concatenate([past.rows for past in pasts]) if pasts else np.zeros(0, np.int32)
    lengths = [len(past.rows) for past in pasts]
    trails = Trails(rows, np.repeat(np.arange(len(pasts)), lengths), np.ones(len(rows)), _DAY)
    covisitation = Covisitation(state.config.covisitation).fit(trails, len(catalog))
    learned = replace(state.learned, covisitation=covisitation, rankers={})
    fresh = State(state.config, catalog, state.index, state.neighbours, learned=learned)
    fresh.popularity.observe(
        _openings(rows, np.array([past.beginning for past in pasts], np.uint64), lengths)
    )
    return fresh


def _openings(rows: NDArray[np.int32], keys: NDArray[np.uint64], lengths: Sequence[int]) -> EventBatch:
    count = len(rows)
    kinds, ts = np.full(count, _VIEW, dtype=np.uint8), np.full(count, _DAY)
    return EventBatch(kinds, rows, np.repeat(keys, lengths), ts, np.full(count, np.nan))
