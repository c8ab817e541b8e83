"""Training's replayed features are those that the online state would have had, list by list."""

import numpy as np
import pytest

from recsys.config import Config
from recsys.features import FEATURE_NAMES, learned_matrix
from recsys.pipeline import Funnel
from recsys.popularity import Popularity
from recsys.profile import Histories
from recsys.schemas import EVENT_TYPES
from recsys.snapshot import read_state
from recsys.state import State
from tests.conftest import Newsroom
from training.attribution import labels_of
from training.learn import teaches
from training.moments import Moments, with_impressions
from training.readers import EventLog, read_event_log, read_exposures
from training.replayed import ReplayedMoments

LAG = 300.0


def blank(newsroom: Newsroom) -> State:
    """The newsroom's bundle before anything was counted."""
    state = read_state(newsroom.bundle)
    counts, pasts = Popularity(state.config.popularity, len(state.catalog)), Histories(state.config.profile)
    return State(state.config, state.catalog, state.index, state.neighbours, counts, pasts, state.learned)


@pytest.fixture(scope="module")
def log(newsroom: Newsroom) -> EventLog:
    """With impressions that share each list's clicks, so that they count other than one."""
    lists = sorted(read_exposures(newsroom.data), key=lambda exposure: exposure.ts)
    log, labels = read_event_log(newsroom.data), labels_of(newsroom.data, Config().clicklog)
    log = log.take(log.types != EVENT_TYPES.index("impression"))
    return with_impressions(log, lists, labels, Config().popularity.impressions_per_click)


def test_features_and_scores_by_replay_are_those_of_the_stepped_state(
    newsroom: Newsroom, log: EventLog
) -> None:
    clicks = labels_of(newsroom.data, Config().clicklog)
    taught = [e for e in read_exposures(newsroom.data) if teaches(e, clicks)]
    taught = sorted(taught, key=lambda exposure: exposure.ts)[::3]
    stepped, replayed = (
        Moments(blank(newsroom), log),
        ReplayedMoments(blank(newsroom), log, taught, LAG),
    )
    counted = 0
    for number, exposure in enumerate(taught):
        state = stepped.until(exposure.ts.timestamp() - LAG)
        other = replayed.at(number)
        query, rows = stepped.query(state, exposure)
        again, same = replayed.query(exposure)
        np.testing.assert_array_equal(rows, same)
        np.testing.assert_array_equal(query.reader.rows, again.reader.rows)  # type: ignore[union-attr]
        found = []
        for each, asked in ((state, query), (other, again)):
            funnel = Funnel(each)
            moment = funnel.moment(asked, exposure.surface)
            matrix = learned_matrix(each, rows, moment, FEATURE_NAMES)
            scores = [funnel.score(name, asked, rows) for name in (exposure.surface, "must_reads", "popular")]
            found.append((np.array([moment.count_at]), matrix, *scores))
        for ours, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
        counted += int((found[0][1][:, FEATURE_NAMES.index("openings_24h")] > 0).sum())
    # the lists do have counts: the comparison says something
    assert len(taught) > 100 < counted


def test_a_finished_replay_leaves_the_state_that_stepping_leaves(newsroom: Newsroom, log: EventLog) -> None:
    stepped, replayed = Moments(blank(newsroom), log), ReplayedMoments(blank(newsroom), log, [], LAG)
    stepped.until(np.inf)
    replayed.finish()
    for part in ("popularity", "histories"):
        ours, theirs = getattr(replayed._state, part).state(), getattr(stepped.state, part).state()
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values, err_msg=name)
