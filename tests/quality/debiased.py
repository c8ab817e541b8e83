"""Naive, debiased and oracle estimates from logs in which examination falls with the position."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.catalog import Catalog
from recsys.config import Config, RankerConfig
from recsys.examination import Examination
from recsys.index import ExactIndex, Neighbours
from recsys.state import State
from tests.quality.judged import ndcg
from tests.quality.newsrooms import END
from training.attribution import Labels
from training.examination import learn_examination
from training.fit_ranker import Examples, fit_ranker
from training.moments import Moments, with_impressions
from training.readers import read_event_log, read_events, read_exposures
from training.shown import shown_places
from training.simulation.world import World

Floats = NDArray[np.float64]
_LISTS, _LENGTH, _JUDGED = 12_000, 10, 1_000
_TASTE = 0.8
# one over the usual inverse weight of a click, so that the penalties weigh as much as with offsets
_USUAL = 0.4


def labels_of(data: Path) -> Labels:
    """Clicks of a simulated log, which names the list of each."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for event in read_events(data):
        if event.type == "click" and event.request_id is not None and event.surface is not None:
            found.setdefault((event.request_id, event.surface), {})[event.article_id] = 1.0
    return Labels(found)


def examination_of(world: World, data: Path) -> Examination:
    """What training learns of positions."""
    exposures = list(read_exposures(data))
    shown = shown_places(Catalog.of(world.articles), exposures, labels_of(data))
    return learn_examination(shown, Config().examination).examination


def counted(world: World, data: Path, looked: Examination) -> State:
    """A state that counted a log whose impressions were not confirmed; without vectors and lessons."""
    config, count = Config(), len(world.articles)
    nothing = np.zeros((count, 1), np.float32)
    near = Neighbours(np.zeros((count, 1), np.int32), np.zeros((count, 1), np.float32))
    state = State(config, Catalog.of(world.articles), ExactIndex(nothing), near)
    per_click = config.popularity.impressions_per_click
    log = with_impressions(
        read_event_log(data), list(read_exposures(data)), labels_of(data), per_click, looked
    )
    Moments(state, log).until(END.timestamp() + 1.0)
    return state


def rankers(seed: int, looked: Floats) -> dict[str, float]:
    """nDCG@10 of rankers that know the taste of a reader and what the old policy ordered by.

    Only taste matters to readers; the old policy's favourites stood at the top. ``looked`` are learned
    propensities; ``inverse`` weighs clicks by them instead of offsetting scores, at most ten times.
    """
    rng = np.random.default_rng((seed, 5))
    propensities = 1.0 / np.arange(1.0, _LENGTH + 1.0)
    fits = {name: Examples(("taste", "favoured")) for name in ("naive", "debiased", "inverse", "oracle")}
    for number in range(_LISTS):
        taste, favoured = rng.normal(size=(2, _LENGTH))
        order = np.argsort(-(1.5 * favoured + rng.gumbel(size=_LENGTH)))
        taste, favoured = taste[order], favoured[order]
        liked = rng.random(_LENGTH) < np.minimum(0.2 * np.exp(_TASTE * taste), 1.0)
        blend, matrix = 0.3 * taste + rng.normal(size=_LENGTH), np.column_stack((taste, favoured))
        clicked = liked & (rng.random(_LENGTH) < propensities)
        if clicked.any() and not clicked.all():
            fits["naive"].add(number, blend, matrix, clicked)
            fits["debiased"].add(number, blend, matrix, clicked, looked=looked)
            weights = np.where(clicked, np.minimum(1.0 / looked, 10.0), 0.0)
            fits["inverse"].add(number, blend, matrix, clicked, weights * _USUAL)
        evenly = liked & (rng.random(_LENGTH) < propensities.mean())
        if evenly.any() and not evenly.all():
            fits["oracle"].add(number, blend, matrix, evenly)
    judged = rng.normal(size=(_JUDGED, 3, 30))
    found = {}
    for name, examples in fits.items():
        ranker = fit_ranker(examples, RankerConfig())
        found[name] = float(
            np.mean(
                [
                    ndcg(
                        0.3 * taste
                        + noise
                        + ranker.parts(np.column_stack((taste, favoured)), {}).sum(axis=1),
                        np.minimum(0.2 * np.exp(_TASTE * taste), 1.0),
                    )
                    for taste, favoured, noise in judged
                ]
            )
        )
    return found
