"""What a log teaches: which groups and articles are read together, and a ranker per surface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.affinity import Affinity
from recsys.age import AgeCurves
from recsys.candidates import Rows
from recsys.config import Config
from recsys.covisitation import Covisitation, Trails
from recsys.examination import Examination
from recsys.features import check_names, learned_matrix
from recsys.learned import Learned
from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.ranker import AdditiveRanker
from recsys.schemas import EVENT_TYPES, Exposure
from recsys.state import State
from training.attribution import Labels
from training.counting import covisited
from training.examination import learn_examination
from training.fit_ranker import Examples, fit_ranker, gain_on_later
from training.fit_topics import fit_topics
from training.learn_age import Openings, learn_age
from training.list_lessons import learn_recipes
from training.metrics import auc
from training.moments import with_impressions
from training.readers import EventLog
from training.replayed import ReplayedMoments
from training.shown import shown_places

# told of every list that teaches: exposure, state, query, rows of its known candidates, all lists so far
OfList = Callable[[Exposure, State, Query, Rows, Examples], None]
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


class Watch(Protocol):
    """Notes metrics while a ranker is learned; ``training.fit_metrics`` has the one that is used."""

    def begins(self, log: EventLog, exposures: Sequence[Exposure]) -> None:
        """The log that is learned from, in time order."""

    def later(
        self, state: State, exposure: Exposure, query: Query, rows: Rows, labels: NDArray[np.bool_]
    ) -> None:
        """A list of the last share, as it was served."""

    def fitted(
        self, surface: str, ranker: AdditiveRanker, earlier: Examples, later: Examples, config: Config
    ) -> None:
        """A ranker fitted on the earlier lists."""

    def as_dict(self) -> dict[str, Any]:
        """What was noted."""


def learn(
    state: State,
    log: EventLog,
    exposures: Sequence[Exposure],
    clicks: Labels,
    say: Callable[[str], None],
    watch: Watch | None = None,
    each: OfList | None = None,
) -> Lessons:
    """Replay a log through a state and learn from it on the way.

    What is read together is learned for the final bundle from the whole log; for the ranker's own
    lessons only from what lies before its first list, so that no click explains itself.

    Args:
        state: without events; afterwards it has counted the whole log.
        log: in time order.
        exposures: served lists, in time order.
        clicks: of these lists.
        say: told of each step.
        watch: told of lists and rankers.
        each: told of each list that teaches.
    """
    config = state.config
    check_names(config.ranker.features)
    if watch is not None:
        watch.begins(log, exposures)
    first = _first_lesson(exposures)
    truths = _truths(state, log, exposures, clicks)
    for note in truths.notes:
        say(note)
    recipes, told = learn_recipes(state, log, exposures, lambda part: _pairs(state, part, exposures))
    for note in told:
        say(note)
    per_click = config.popularity.impressions_per_click
    log = with_impressions(log, exposures, clicks, per_click, truths.examination)
    early = _together(state, log.between(-np.inf, first), exposures)
    state.learned = replace(early, age=truths.age, examination=truths.examination, recipes=recipes)
    taught = [e for e in exposures if e.ts.timestamp() > first and teaches(e, clicks)]
    taught = taught[-config.ranker.max_lists :]
    moments = ReplayedMoments(state, log, taught, config.train.serving_lag_minutes * 60.0)
    examples = _examples(moments, taught, clicks, config, watch, each)
    moments.finish()
    notes, rankers = [*truths.notes, *told], {}
    for surface, (found, plain) in examples.items():
        if surface in recipes and len(plain) and _mean_auc(found) < _mean_auc(plain):
            # what is read next in the whole catalogue misleads among the few that are shown
            del recipes[surface]
            found = plain
            notes.append(f"{surface}: the learned weights rank shown lists worse; those configured stay")
        ranker, note = _ranker(surface, found, config, watch)
        say(note)
        notes.append(note)
        if ranker is not None:
            rankers[surface] = ranker
    everything = _together(state, log, exposures)
    return Lessons(
        replace(
            everything,
            rankers=rankers,
            recipes=recipes,
            age=truths.age,
            examination=truths.examination,
        ),
        notes,
    )


@dataclass(frozen=True)
class _Truths:
    """What holds for all articles: examination by position, appeal by age."""

    examination: Examination
    age: AgeCurves
    notes: list[str]


def _truths(state: State, log: EventLog, exposures: Sequence[Exposure], clicks: Labels) -> _Truths:
    rows, _, ts = openings(state, log, ())
    shown = shown_places(state.catalog, exposures, clicks)
    looked = learn_examination(shown, state.config.examination)
    age = learn_age(state.catalog, shown, looked.examination, Openings(rows, ts), state.config.age_curve)
    return _Truths(looked.examination, age.curves, looked.notes + age.notes)


def _first_lesson(exposures: Sequence[Exposure]) -> float:
    """Unix seconds after which lists teach the ranker.

    Where the log gives readers' pasts itself, all do; else the first 40% of the time is left to
    what is read together.
    """
    if not exposures or sum(bool(e.history) for e in exposures) > len(exposures) / 2:
        return float("-inf")
    begin, end = exposures[0].ts.timestamp(), exposures[-1].ts.timestamp()
    return begin + 0.4 * (end - begin)


def _pairs(state: State, log: EventLog, exposures: Sequence[Exposure]) -> Covisitation:
    """What is read together alone, for the lessons of lists."""
    trails = trails_of(*openings(state, log, exposures), state.config)
    return covisited(trails, len(state.catalog), state.config.covisitation, state.config.clicklog)


def _together(state: State, log: EventLog, exposures: Sequence[Exposure]) -> Learned:
    """Affinities and co-visitation of readers' pasts."""
    rows, readers, ts = openings(state, log, exposures)
    config, size = state.config, len(state.catalog)
    state.popularity.resize(size)
    state.index.resize(size)
    starts = np.flatnonzero(np.diff(readers, prepend=readers[:1] - np.uint64(1)))
    pasts = np.split(rows, starts)[1:]
    affinities = []
    for level in ("section", "subsection"):
        codes = getattr(state.catalog, level)
        groups = int(codes[:size].max(initial=-1)) + 1
        affinities.append(Affinity().fit((codes[past] for past in pasts), groups))
    trails = trails_of(rows, readers, ts, config)
    covisitation = covisited(trails, size, config.covisitation, config.clicklog)
    vectors = state.index.take(np.arange(size))
    topics = fit_topics(vectors, pasts, config.topics, config.train.seed)
    return Learned(affinities[0], affinities[1], covisitation, topics, {})


def openings(
    state: State, log: EventLog, exposures: Sequence[Exposure]
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.float64]]:
    """Every reader's openings by reader and time, each article once a reader; undated pasts come first."""
    log = log.believed()
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
    return Trails(rows, np.cumsum(breaks), weights, latest)


def teaches(exposure: Exposure, clicks: Labels) -> bool:
    """Whether a list is of a kind that has a ranker, and was clicked."""
    return exposure.surface in RANKED and bool(clicks.get((exposure.request_id, exposure.surface)))


def _examples(
    moments: ReplayedMoments,
    lists: Sequence[Exposure],
    clicks: Labels,
    config: Config,
    watch: Watch | None = None,
    each: OfList | None = None,
) -> dict[str, tuple[Examples, Examples]]:
    """Features of every list that has a click and another article, as they were when it was served.

    Twice: on top of the weights in force, and on top of the configured ones where these are others.
    """
    names = config.ranker.features
    found = {surface: (Examples(names), Examples(names)) for surface in RANKED}
    recipes = moments.recipes
    for number, exposure in enumerate(lists):
        state = moments.at(number)
        query, rows = moments.query(exposure)
        labels, weights = clicks.of(exposure)
        known = np.array([state.catalog.is_known(row) for row in rows.tolist()])
        if not labels[known].any() or labels[known].all():
            continue
        funnel = Funnel(state)
        scores = funnel.score(exposure.surface, query, rows[known])
        matrix = learned_matrix(state, rows[known], funnel.moment(query, exposure.surface), names)
        # a list that is mostly of articles without text says little of what text is worth
        weight = weights[known] * float(known.mean()) ** 2
        positions = np.array([item.position for item in exposure.items])[known]
        looked = state.learned.examination.of(exposure.surface, positions)
        ts = exposure.ts.timestamp()
        inforce, plain = found[exposure.surface]
        inforce.add(ts, scores, matrix, labels[known], weight, looked)
        if exposure.surface in recipes:
            state.learned = replace(state.learned, recipes={})
            scores = funnel.score(exposure.surface, query, rows[known])
            state.learned = replace(state.learned, recipes=recipes)
            plain.add(ts, scores, matrix, labels[known], weight, looked)
        if watch is not None and number >= (1.0 - _LATER) * len(lists):
            watch.later(state, exposure, query, rows[known], labels[known])
        if each is not None:
            each(exposure, state, query, rows[known], inforce)
    return found


def _mean_auc(examples: Examples) -> float:
    pairs = zip(examples.blend, examples.labels, strict=True)
    return float(np.mean([auc(scores, labels) for scores, labels in pairs]))


def _ranker(
    surface: str, examples: Examples, config: Config, watch: Watch | None = None
) -> tuple[AdditiveRanker | None, str]:
    """A ranker that helps on later lists than those it was fitted on, or none; and why."""
    if len(examples) < config.ranker.min_lists:
        return None, (
            f"{surface}: {len(examples):,} lists with clicks, {config.ranker.min_lists:,} are needed to "
            "learn a ranker; the content blend ranks"
        )
    most = config.surfaces.of(surface).learned_share
    earlier, later = examples.split(_LATER)
    fitted = fit_ranker(earlier, config.ranker, most)
    gain = gain_on_later(fitted, later, config.examination.max_weight)
    if watch is not None:
        watch.fitted(surface, fitted, earlier, later, config)
    if gain <= 0:
        return None, (
            f"{surface}: curves fitted on the earlier lists do not help on the later {len(later):,} (AUC "
            f"{gain:+.4f}); the content blend ranks"
        )
    return fit_ranker(examples, config.ranker, most), (
        f"{surface}: ranker learned from {len(examples):,} lists; AUC {gain:+.4f} over the content blend on "
        f"the later {len(later):,} when fitted on the earlier"
    )
