"""The additive ranker of a bundle beside its floor and its reference, refitted on the same lists."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.bundle import Bundle
from recsys.candidates import Rows
from recsys.catalog import epoch
from recsys.config import Config
from recsys.errors import DataError
from recsys.features import learned_matrix
from recsys.pipeline import Funnel, Query
from recsys.profile import reader_key
from recsys.ranker import AdditiveRanker
from recsys.schemas import Article, Exposure
from recsys.state import State
from training.attribution import Labels, labels_of
from training.clicklog import read_click_log
from training.evaluate import opened_state, within
from training.fit import replay
from training.fit_ranker import Examples
from training.judging import blend_only
from training.learn import RANKED
from training.moments import Moments, as_counted
from training.readers import EventLog, read_articles, read_event_log, read_exposures
from training.references import JudgedLists, Scorer, compare, fit_references

Floats = NDArray[np.float64]
Say = Callable[[str], None]


def beside_references(
    bundle: Bundle,
    data: Path,
    models: Path,
    *,
    span: tuple[datetime | None, datetime | None] = (None, None),
    seed: int = 0,
    say: Say = lambda _: None,
) -> list[dict[str, Any]]:
    """Fit logistic regression and boosting on the lists the bundle's ranker was fitted on; judge all.

    Args:
        bundle: whose ranker is judged; for a list without one, that which is learned on the way.
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
    articles = list(read_articles(data))
    state = opened_state(bundle, articles, models, say)
    say("the lists of the fit once more")
    examples, rankers = _fitted_lists(bundle, data, state, articles)
    exposures = sorted(read_exposures(data), key=lambda exposure: (exposure.ts, exposure.request_id))
    clicks = labels_of(data, state.config.clicklog)
    log = as_counted(state, read_event_log(data), exposures, clicks)
    judged = _judged_lists(bundle, state, log, within(exposures, span), clicks)
    found: list[dict[str, Any]] = []
    for surface, fitted in examples.items():
        if judged[surface].labels:
            say(f"{surface}: fitting the floor and the references on {len(fitted):,} lists")
            ranker = state.learned.rankers.get(surface, rankers[surface])
            scorer = _additive(ranker, state.config, surface)
            rows = compare(scorer, fit_references(fitted, seed), judged[surface], seed)
            found += [{"surface": surface, **row} for row in rows]
    if not found:
        counts = ", ".join(f"{len(judged[s].labels):,} of {s}" for s in RANKED)
        raise DataError(
            f"references need {state.config.ranker.min_lists:,} or more lists with clicks of one kind before "
            f"the bundle's end (there are: {', '.join(examples) or 'none'}) and some of it to judge (there "
            f"are {counts}); give the data that the bundle was trained on, and what came later"
        )
    return found


class _Keeper:
    """Keeps the lists that each ranker is fitted on, while it is learned."""

    def __init__(self) -> None:
        self.examples: dict[str, Examples] = {}
        self.rankers: dict[str, AdditiveRanker] = {}

    def begins(self, log: EventLog, exposures: Sequence[Exposure]) -> None:
        """See ``learn.Watch``."""

    def later(
        self, state: State, exposure: Exposure, query: Query, rows: Rows, labels: NDArray[np.bool_]
    ) -> None:
        """See ``learn.Watch``."""

    def fitted(
        self, surface: str, ranker: AdditiveRanker, earlier: Examples, later: Examples, config: Config
    ) -> None:
        """See ``learn.Watch``: the lists in their order."""
        whole = Examples(earlier.names)
        for part in (earlier, later):
            columns = (part.ts, part.blend, part.matrices, part.labels, part.weights, part.looked)
            for one in zip(*columns, strict=True):
                whole.add(*one)
        self.examples[surface], self.rankers[surface] = whole, ranker

    def as_dict(self) -> dict[str, Any]:
        """See ``learn.Watch``."""
        return {}


def _fitted_lists(
    bundle: Bundle, data: Path, state: State, articles: Sequence[Article]
) -> tuple[dict[str, Examples], dict[str, AdditiveRanker]]:
    """What the bundle's rankers were fitted on, by the same steps as in training."""
    told, watermark = bundle.manifest.get("fit_until"), bundle.manifest["watermark"]
    ends = float("-inf") if watermark is None else float(watermark)
    if told is not None:
        ends = datetime.fromisoformat(told).astimezone(UTC).timestamp()
    created = datetime.fromisoformat(bundle.manifest["created"]).timestamp()
    published = {article.article_id: epoch(article.published_at, np.nan) for article in articles}
    cleaned = read_click_log(data, state.config, published, until=ends, now=created)
    blank, keeper = State(state.config, state.catalog, state.index, state.neighbours), _Keeper()
    replay(blank, cleaned.log, cleaned.exposures, cleaned.labels, watch=keeper)
    return keeper.examples, keeper.rankers


def _additive(ranker: AdditiveRanker, config: Config, surface: str) -> Scorer:
    factors = config.surfaces.of(surface).factors

    def score(blend: Floats, matrix: Floats) -> Floats:
        return np.asarray(blend + ranker.parts(matrix, factors).sum(axis=1))

    return score


def _judged_lists(
    bundle: Bundle, state: State, log: EventLog, wanted: Sequence[Exposure], clicks: Labels
) -> dict[str, JudgedLists]:
    """Features of judged lists with a click and another article, each with what was known at its moment."""
    watermark = bundle.manifest["watermark"]
    known_upto = float("-inf") if watermark is None else float(watermark)
    live = blend_only(state)
    early = State(state.config, state.catalog, state.index, state.neighbours, learned=live.learned)
    moments, lag = Moments(live, log, known_upto), state.config.train.serving_lag_minutes * 60.0
    found = {surface: JudgedLists() for surface in RANKED}
    for exposure in wanted:
        labels = clicks.of(exposure)[0]
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
