"""Ranking quality against the known truth of a simulated newsroom."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recsys.counters import HOUR
from recsys.pipeline import Funnel, Query
from recsys.profile import Reader, reader_key
from recsys.state import State
from tests.quality.newsrooms import END
from training.judging import blend_only
from training.readers import read_event_log
from training.simulation.world import KINDS, World, reader_name

Floats = NDArray[np.float64]
NOW = END.timestamp()
_LIVE_HOURS, _CANDIDATES, _QUERIES = 72.0, 30, 400
_LIST, _EACH, _READS, _OF_PAST = 10, 3, 4, 0.25


def ndcg(scores: Floats, gains: Floats, k: int = 10) -> float:
    """Graded nDCG with linear gains (Jarvelin and Kekalainen, TOIS 2002)."""
    discounts = 1.0 / np.log2(np.arange(2.0, k + 2.0))
    got = gains[np.argsort(-scores, kind="stable")[:k]]
    best = np.sort(gains)[::-1][:k]
    return float(got @ discounts[: len(got)] / max(float(best @ discounts[: len(best)]), 1e-12))


def live_rows(world: World, hours: float = _LIVE_HOURS) -> NDArray[np.int32]:
    """Articles of the last hours."""
    age = (NOW - world.published) / HOUR
    return np.flatnonzero((age >= 0) & (age <= hours)).astype(np.int32)


def past_of(state: State, user: int) -> Reader:
    """What a reader opened."""
    return state.histories.of(reader_key(f"u:{reader_name(user)}"))


def ranking_quality(
    world: World,
    state: State,
    surface: Literal["related", "for_you"],
    seed: int,
    by: Literal["funnel", "blend", "popularity", "random"] = "funnel",
) -> float:
    """Mean nDCG@10 over readers at the end of the log, on live articles drawn at random."""
    rng = np.random.default_rng((seed, 3))
    live = live_rows(world)
    everybody = np.flatnonzero(world.kinds != KINDS.index("cold"))
    wanted = world.appeal(live, NOW) * world.quality[live]
    judge = Funnel(blend_only(state) if by == "blend" else state)
    found = []
    for user in rng.choice(everybody, size=_QUERIES).tolist():
        interest = wanted * world.interests[user, world.sections[live]]
        context = int(live[rng.choice(len(live), p=interest / interest.sum())])
        rows = rng.choice(live[live != context], size=min(_CANDIDATES, len(live) - 1), replace=False)
        noise = rng.random(len(rows))
        reader = past_of(state, user)
        if len(reader.rows) == 0:
            continue
        query = Query(now=NOW, context=context if surface == "related" else None, reader=reader)
        if by == "popularity":
            scores = state.popularity.openings.read(NOW, state.popularity.column(4.0), rows)
        else:
            scores = noise if by == "random" else judge.score(surface, query, rows)
        found.append(ndcg(scores, world.attractiveness(np.array([user]), rows, NOW)))
    return float(np.mean(found))


def click_rates(world: World, state: State, seed: int) -> float:
    """Mean nDCG@10 of the smoothed click-through rate against quality x appeal, nobody in particular.

    Among articles of an age that the simulated policy treats alike, so that their positions differ by
    prominence, which readers do not care for.
    """
    rng = np.random.default_rng((seed, 4))
    age = (NOW - world.published) / HOUR
    live = np.flatnonzero((age > 3.0) & (age < world.scenario.cutoff_hours - 3.0)).astype(np.int32)
    worth = world.appeal(live, NOW) * world.quality[live]
    rates = state.popularity.ctr(NOW, live)
    found = []
    for _ in range(_QUERIES):
        some = rng.choice(len(live), size=min(_CANDIDATES, len(live)), replace=False)
        found.append(ndcg(rates[some], worth[some]))
    return float(np.mean(found))


def two_interests(world: World, state: State) -> dict[str, float]:
    """Share of for_you lists that hold at least three articles of each interest, beside a mean vector's."""
    served, blurred, judged = 0, 0, 0
    live = live_rows(world)
    for user in np.flatnonzero(world.kinds == KINDS.index("two_interests")).tolist():
        reader = past_of(state, user)
        liked = np.flatnonzero(world.interests[user] >= world.scenario.liked)
        reads = [(world.sections[reader.rows] == section).sum() for section in liked]
        if min(reads) < max(_READS, _OF_PAST * len(reader.rows)):
            continue
        judged += 1
        slate = Funnel(state).slate("for_you", Query(now=NOW, limit=_LIST, reader=reader))
        served += _holds_both(world, np.array([item.row for item in slate.items]), liked)
        fresh = np.setdiff1d(live, reader.rows)
        mean = state.index.take(reader.rows).mean(axis=0)
        nearest = fresh[np.argsort(-(state.index.take(fresh) @ mean))[:_LIST]]
        blurred += _holds_both(world, nearest, liked)
    return {
        "two interests: readers judged": float(judged),
        "two interests: lists with 3 or more of each": served / max(judged, 1),
        "two interests: the same of one mean vector": blurred / max(judged, 1),
    }


def _holds_both(world: World, rows: NDArray[np.integer], liked: NDArray[np.integer]) -> bool:
    return all(int((world.sections[rows] == section).sum()) >= _EACH for section in liked)


def decayed_and_frozen(world: World, data: Path) -> dict[str, float]:
    """nDCG@10 of the next opening in the whole catalogue, on the last third of the log."""
    log = read_event_log(data)
    opened = log.take(log.types == 0)
    row_of = {article.article_id: row for row, article in enumerate(world.articles)}
    rows = np.array([row_of[name] for name in log.article_ids])[opened.articles]
    ts = opened.ts
    cut = float(ts[0] + 2.0 * (ts[-1] - ts[0]) / 3.0)
    frozen = np.bincount(rows[ts <= cut], minlength=len(row_of)).astype(np.float64)
    mass, last = np.zeros(len(row_of)), float(ts[0])
    found: list[tuple[float, float]] = []
    for row, at in zip(rows.tolist(), ts.tolist(), strict=True):
        mass *= 2.0 ** (-(at - last) / (4.0 * HOUR))
        last = at
        if at > cut:
            found.append((_gain_of(mass, row), _gain_of(frozen, row)))
        mass[row] += 1.0
    decayed, still = np.array(found).mean(axis=0).tolist()
    return {
        "decayed counts (4 h), nDCG@10 of the next opening": decayed,
        "frozen counts, nDCG@10 of the next opening": still,
        "decayed over frozen counts, nDCG@10 of the next opening": decayed / max(still, 1e-9),
    }


def _gain_of(counts: Floats, row: int) -> float:
    rank = 1 + int((counts > counts[row]).sum())
    return 1.0 / np.log2(rank + 1.0) if counts[row] > 0 and rank <= 10 else 0.0
