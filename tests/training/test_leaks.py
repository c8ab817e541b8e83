"""Features know nothing of the future; four planted leaks, and two more, are each caught."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.blending import blend
from recsys.candidates import Candidates
from recsys.config import build_config
from recsys.features import FEATURE_NAMES, learned_matrix
from recsys.pipeline import Funnel
from recsys.schemas import Exposure
from recsys.state import State
from tests import broken
from tests.builders import NOW, scattered
from training.fit import replay
from training.leaks import Compute, Log, find_leaks
from training.learn import RANKED
from training.material import compared
from training.moments import Moments, as_counted
from training.readers import read_articles, read_events, read_exposures
from training.replayed import ReplayedMoments
from training.simulate import simulate

# every part of the blend that a log can move, whatever the defaults leave out
WEIGHTS = {"similarity": 1.0, "interests": 1.0, "covisited": 1.0, "section": 1.0, "popularity": 1.0}
WEIGHTS |= {"ctr": 1.0, "engagement": 1.0, "freshness": 1.0, "priority": 1.0}
CONFIG = build_config(
    {"surfaces": {"for_you": {"weights": WEIGHTS}, "related": {"weights": WEIGHTS}}}, "test"
)
NAMES = FEATURE_NAMES


@dataclass(frozen=True)
class World:
    """Three simulated days, fitted on all but the last 18 hours."""

    log: Log
    fitted: State
    blank: State
    cut: datetime
    judged: list[Exposure]

    @property
    def lag(self) -> float:
        """Seconds."""
        return CONFIG.train.serving_lag_minutes * 60.0


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> World:
    data = tmp_path_factory.mktemp("leaks") / "data"
    simulate(data, seed=3, articles=60, users=40, days=3, end=NOW)
    articles = list(read_articles(data))
    vectors = np.array([scattered(item.article_id) for item in articles])
    log = Log(list(read_events(data)), sorted(read_exposures(data), key=lambda served: served.ts))
    cut = NOW - timedelta(hours=18)
    blank = compared(CONFIG, articles, vectors, "test")[0].state(CONFIG)
    fitted = deepcopy(blank)
    before = log.until(cut.timestamp(), log.exposures[0])
    replay(fitted, before.event_log(), before.exposures, before.labels())
    later = [served for served in log.exposures if served.ts > cut + timedelta(hours=1)]
    ranked = [served for served in later if served.surface in RANKED and log.labels().clicked(served)]
    # most openings since the cut first, so that the replay has something to add to the reader's past
    opened = [event for event in log.events if event.ts > cut and event.type in ("view", "click")]
    ranked.sort(key=lambda s: -sum(e.reader == s.reader and e.ts < s.ts for e in opened))
    return World(log, fitted, blank, cut, ranked[:3])


def parts_of(state: State, moments: Moments, served: Exposure) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Every feature of a list: those that curves are learned on, and the parts of the blend."""
    query, rows = moments.query(state, served)
    moment = Funnel(state).moment(query, served.surface)
    candidates = Candidates.of(rows, np.zeros(len(rows), np.uint8))
    blended = blend(state, candidates, moment, CONFIG.surfaces.of(served.surface), served.surface)
    return np.hstack((learned_matrix(state, rows, moment, NAMES), blended.parts)), (*NAMES, *blended.names)


def ours(world: World) -> Compute:
    """The features as evaluation computes them, on a state that was fitted earlier."""

    def compute(log: Log, served: Exposure) -> NDArray[np.float64]:
        state = deepcopy(world.fitted)
        whole = as_counted(state, log.event_log(), log.exposures, log.labels())
        moments = Moments(state, whole, world.cut.timestamp())
        moments.until(served.ts.timestamp() - world.lag)
        return parts_of(state, moments, served)[0]

    return compute


def names_of(world: World) -> tuple[str, ...]:
    state = deepcopy(world.fitted)
    moments = Moments(state, world.log.event_log(), world.cut.timestamp())
    return parts_of(state, moments, world.judged[0])[1]


def without_impressions(log: Log) -> Log:
    """A log like MIND's: what was shown is known from the lists alone."""
    return Log([event for event in log.events if event.type != "impression"], log.exposures)


@pytest.mark.parametrize("logged", ["impressions", "lists alone"])
def test_our_features_know_nothing_of_the_future_or_of_the_labels(seen: World, logged: str) -> None:
    log = seen.log if logged == "impressions" else without_impressions(seen.log)
    assert find_leaks(ours(seen), log, seen.judged, names_of(seen), seen.lag) == []


@pytest.mark.parametrize("logged", ["impressions", "lists alone"])
def test_our_features_do_move_with_what_came_before(seen: World, logged: str) -> None:
    """Else the test above would hold for features that read nothing."""
    compute, names = ours(seen), names_of(seen)
    log = seen.log if logged == "impressions" else without_impressions(seen.log)
    moved: set[str] = set()
    for served in seen.judged:
        whole = compute(log, served)
        again = compute(Log(log.events[::7], log.exposures), served)
        moved |= {name for at, name in enumerate(names) if whole[:, at].tobytes() != again[:, at].tobytes()}
    assert {"ctr_4h", "ctr_24h", "ctr_168h", "section_ctr", "popularity", "ctr", "interests"} <= moved


def test_the_lists_that_curves_are_fitted_on_know_nothing_of_the_future_either(seen: World) -> None:
    labels, held = seen.log.labels(), seen.log.exposures
    begin, end = held[0].ts, held[-1].ts
    # what is read together, curves of age and examination by position are learned from the whole fit:
    # they are held, and only what a list's own features can have known changes
    taught = [
        s for s in held if s.surface in RANKED and labels.clicked(s) and s.ts > begin + 0.6 * (end - begin)
    ]
    lists = taught[:: len(taught) // 3]

    def compute(log: Log, served: Exposure) -> NDArray[np.float64]:
        state = deepcopy(seen.blank)
        state.learned = seen.fitted.learned
        whole = as_counted(state, log.event_log(), log.exposures, log.labels())
        moments = ReplayedMoments(state, whole, lists, seen.lag)
        at = moments.at(lists.index(served))
        query, rows = moments.query(served)
        return learned_matrix(at, rows, Funnel(at).moment(query, served.surface), NAMES)

    for log in (seen.log, without_impressions(seen.log)):
        assert find_leaks(compute, log, lists[:2], NAMES, seen.lag) == []


PLANTED: list[tuple[Compute, str]] = [
    (broken.future_clicks, "future"),
    (broken.lifetime_totals, "future"),
    (broken.impressions_of_the_day, "future"),
    (broken.read_time_of_the_click, "future"),
    (broken.own_labels, "labels"),
    (broken.without_lag, "future"),
]


@pytest.mark.parametrize(("planted", "seen_by"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_leak_is_caught(seen: World, planted: Compute, seen_by: str) -> None:
    everything = [served for served in seen.log.exposures if served.ts > seen.cut][:120]
    found = find_leaks(planted, seen.log, everything, ["planted"], seen.lag)
    assert any(leak.seen == seen_by for leak in found)


def test_a_replay_that_runs_ahead_is_caught_in_our_own_features(
    seen: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counters themselves, led to the end of the day before a list is looked at."""
    honest: Callable[[Moments, float], State] = Moments.until

    def whole_day(self: Moments, ts: float) -> State:
        return honest(self, (ts // 86_400.0 + 1.0) * 86_400.0)

    monkeypatch.setattr(Moments, "until", whole_day)
    found = find_leaks(ours(seen), seen.log, seen.judged[:1], names_of(seen), seen.lag)
    assert {"ctr_24h", "popularity"} <= {leak.feature for leak in found}
