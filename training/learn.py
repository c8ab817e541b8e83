"""What a log teaches: which groups and articles are read together, and a ranker per surface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.affinity import Affinity
from recsys.config import Config
from recsys.covisitation import Covisitation, Trails
from recsys.errors import ConfigError
from recsys.features import LEARNED, learned_matrix
from recsys.learned import Learned
from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.ranker import AdditiveRanker
from recsys.schemas import EVENT_TYPES, Exposure
from recsys.state import State
from training.fit_ranker import Examples, fit_ranker, gain_on_later
from training.moments import Moments
from training.readers import EventLog, read_events

Clicks = dict[tuple[str, str], frozenset[str]]
# told of every list that teaches: exposure, state, query, rows and labels of the known candidates, features
Watch = Callable[[Exposure, State, Query, NDArray[np.int32], NDArray[np.bool_], NDArray[np.float64]], None]
OPENED = (EVENT_TYPES.index("view"), EVENT_TYPES.index("click"))
_DAY = 86_400.0
_ODD = np.uint64(0x9E3779B97F4A7C15)
_LATER = 0.25
RANKED = ("related", "for_you")


@dataclass(frozen=True)
class Lessons:
    """What was learned, and what a person should know of it."""

    learned: Learned
    notes: list[str]


def clicks_of(data: Path) -> Clicks:
    """Clicked articles by (request_id, surface)."""
    found: dict[tuple[str, str], set[str]] = {}
    for event in read_events(data):
        if event.type == "click" and event.request_id is not None:
            found.setdefault((event.request_id, event.surface or "for_you"), set()).add(event.article_id)
    return {key: frozenset(ids) for key, ids in found.items()}


def learn(
    state: State,
    log: EventLog,
    exposures: Sequence[Exposure],
    clicks: Clicks,
    say: Callable[[str], None],
    watch: Watch | None = None,
) -> Lessons:
    """Replay a log through a state and learn from it on the way.

    What is read together is learned for the final bundle from the whole log; for the ranker's own
    lessons only from what lies before its first list, so that no click explains itself.

    Args:
        state: without events; afterwards it has counted the whole log.
        log: with impressions, in time order.
        exposures: served lists, in time order.
        clicks: of these lists.
        say: told of each step.
        watch: told of each list that teaches.
    """
    config = state.config
    unknown = sorted(set(config.ranker.features) - set(LEARNED))
    if unknown:
        raise ConfigError(f"ranker.features: {', '.join(unknown)}; allowed are {', '.join(LEARNED)}")
    first = _first_lesson(exposures)
    state.learned = _together(state, log.between(-np.inf, first), exposures)
    moments = Moments(state, log)
    teaching = [e for e in exposures if e.ts.timestamp() > first]
    examples = _examples(moments, teaching, clicks, config, watch)
    moments.until(np.inf)
    notes, rankers = [], {}
    for surface, found in examples.items():
        ranker, note = _ranker(surface, found, config)
        say(note)
        notes.append(note)
        if ranker is not None:
            rankers[surface] = ranker
    return Lessons(replace(_together(state, log, exposures), rankers=rankers), notes)


def _first_lesson(exposures: Sequence[Exposure]) -> float:
    """Unix seconds after which lists teach the ranker.

    Where the log gives readers' pasts itself, all do; else the first 40% of the time is left to
    what is read together.
    """
    if not exposures or sum(bool(e.history) for e in exposures) > len(exposures) / 2:
        return float("-inf")
    begin, end = exposures[0].ts.timestamp(), exposures[-1].ts.timestamp()
    return begin + 0.4 * (end - begin)


def _together(state: State, log: EventLog, exposures: Sequence[Exposure]) -> Learned:
    """Affinities and co-visitation of readers' pasts."""
    rows, readers, ts = openings(state, log, exposures)
    config, size = state.config, len(state.catalog)
    state.popularity.resize(size)
    state.index.resize(size)
    starts = np.flatnonzero(np.diff(readers, prepend=readers[:1] - np.uint64(1)))
    affinities = []
    for level in ("section", "subsection"):
        codes = getattr(state.catalog, level)
        groups = int(codes[:size].max(initial=-1)) + 1
        affinities.append(Affinity().fit(np.split(codes[rows], starts)[1:], groups))
    trails = trails_of(rows, readers, ts, config)
    covisitation = Covisitation(config.covisitation).fit(trails, size)
    return Learned(affinities[0], affinities[1], covisitation, {})


def openings(
    state: State, log: EventLog, exposures: Sequence[Exposure]
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.float64]]:
    """Every reader's openings by reader and time, each article once a reader; undated pasts come first."""
    opened = log.take(np.isin(log.types, OPENED))
    row_of = np.array([state.catalog.refer(name) for name in log.article_ids] or [0], dtype=np.int32)
    rows, readers, ts = [row_of[opened.articles]], [opened.readers], [opened.ts]
    for exposure in _first_pasts(exposures):
        past = [state.catalog.refer(name) for name in exposure.history]
        rows.append(np.array(past, dtype=np.int32))
        readers.append(np.full(len(past), reader_key(exposure.reader), dtype=np.uint64))
        ts.append(exposure.ts.timestamp() - _DAY - np.arange(len(past), 0, -1.0))
    all_rows, all_readers, all_ts = np.concatenate(rows), np.concatenate(readers), np.concatenate(ts)
    order = np.lexsort((all_ts, all_readers))
    keys = all_readers[order] ^ (all_rows[order].astype(np.uint64) * _ODD)
    _, once = np.unique(keys, return_index=True)
    kept = order[np.sort(once)]
    return all_rows[kept], all_readers[kept], all_ts[kept]


def _first_pasts(exposures: Sequence[Exposure]) -> list[Exposure]:
    """Each reader's first list with a past: later pasts may hold what was clicked in these lists."""
    first: dict[str, Exposure] = {}
    for exposure in exposures:
        if exposure.history:
            first.setdefault(exposure.reader, exposure)
    return list(first.values())


def trails_of(
    rows: NDArray[np.int32], readers: NDArray[np.uint64], ts: NDArray[np.float64], config: Config
) -> Trails:
    """Openings cut into visits; a visit ends after a pause."""
    pause = config.covisitation.visit_gap_hours * 3600.0
    breaks = np.ones(len(rows), dtype=bool)
    breaks[1:] = (readers[1:] != readers[:-1]) | (np.diff(ts) > pause)
    latest = float(ts.max(initial=0.0))
    weights = np.exp2((ts - latest) / (config.covisitation.half_life_days * _DAY))
    return Trails(rows, np.cumsum(breaks), weights)


def _examples(
    moments: Moments,
    exposures: Sequence[Exposure],
    clicks: Clicks,
    config: Config,
    watch: Watch | None,
) -> dict[str, Examples]:
    """Features of every list that has a click and another article, as they were when it was served."""
    names = config.ranker.features
    lag = config.train.serving_lag_minutes * 60.0
    found = {surface: Examples(names) for surface in RANKED}
    usable = [e for e in exposures if e.surface in RANKED and clicks.get((e.request_id, e.surface))]
    for exposure in usable[-config.ranker.max_lists :]:
        state = moments.until(exposure.ts.timestamp() - lag)
        query, rows = moments.query(state, exposure)
        chosen = clicks[(exposure.request_id, exposure.surface)]
        labels = np.array([item.article_id in chosen for item in exposure.items])
        known = np.array([state.catalog.is_known(row) for row in rows.tolist()])
        if not labels[known].any() or labels[known].all():
            continue
        funnel = Funnel(state)
        scores = funnel.score(exposure.surface, query, rows[known])
        matrix = learned_matrix(state, rows[known], funnel.moment(query, exposure.surface), names)
        found[exposure.surface].add(exposure.ts.timestamp(), scores, matrix, labels[known])
        if watch is not None:
            watch(exposure, state, query, rows[known], labels[known], matrix)
    return found


def _ranker(surface: str, examples: Examples, config: Config) -> tuple[AdditiveRanker | None, str]:
    """A ranker that helps on later lists than those it was fitted on, or none; and why."""
    if len(examples) < config.ranker.min_lists:
        return None, (
            f"{surface}: {len(examples):,} lists with clicks, {config.ranker.min_lists:,} are needed to "
            "learn a ranker; the content blend ranks"
        )
    most = config.surfaces.of(surface).learned_share
    earlier, later = examples.split(_LATER)
    gain = gain_on_later(fit_ranker(earlier, config.ranker, most), later)
    if gain <= 0:
        return None, (
            f"{surface}: curves fitted on the earlier lists do not help on the later {len(later):,} (AUC "
            f"{gain:+.4f}); the content blend ranks"
        )
    return fit_ranker(examples, config.ranker, most), (
        f"{surface}: ranker learned from {len(examples):,} lists; AUC {gain:+.4f} over the content blend on "
        f"the later {len(later):,} when fitted on the earlier"
    )
