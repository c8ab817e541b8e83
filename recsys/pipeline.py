"""The funnel: candidates, eligibility, features, blending, re-ranking, slate.

One fixed order of stages for every surface; what differs is configuration.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys import page as joint
from recsys.blending import follows_reader, rank, recipe_of, topic_first
from recsys.candidates import Candidates, Floats, Rows
from recsys.catalog import UNKNOWN
from recsys.config import SurfaceConfig
from recsys.features import Moment, section_shares
from recsys.listing import items_of
from recsys.reranking import Variety, one_version_each, rerank, without_versions_of
from recsys.retrieval import Need, generate
from recsys.rules import Eligibility, keep_away
from recsys.rules_editor import Boost
from recsys.slate import Item, Memo, Query, Slate
from recsys.state import State

__all__ = ["Funnel", "Item", "Query", "Slate"]

KEEPS_FIRST = frozenset(("latest", "popular"))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A list before assembly.

    Attributes:
        surface: the kind of list.
        candidates: best first, one version of each story.
        fallback: why it is not what was asked for, None if it is.
        hurried: whether stages were left out because time was short.
    """

    surface: str
    candidates: Candidates
    fallback: str | None
    hurried: bool = False


@dataclass(frozen=True, slots=True)
class _Scoring:
    """What the candidates of one list are found and scored by."""

    used: str
    query: Query
    moment: Moment
    eligible: Eligibility
    pinned: Sequence[int]
    skipped: frozenset[str] = frozenset()


class Funnel:
    """Ranked lists from a state.

    Args:
        state: what is known; read, never changed.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._memo: Memo | None = None

    def remember(self, memo: Memo) -> None:
        """Keep rankings that are the same for all readers from one request to the next."""
        self._memo = memo

    @property
    def remembers(self) -> bool:
        """Whether rankings are kept."""
        return self._memo is not None

    def slate(self, surface: str, query: Query) -> Slate:
        """One list."""
        pins = self._pins([surface], query)[surface]
        ranked = self._ranking(surface, query, query.limit, pins)
        if pins:
            rows = joint.assemble([self._wish(ranked, query, pins, len(ranked.candidates))]).lists[surface]
        else:
            rows = ranked.candidates.rows[: query.limit].tolist()
        return _finished(ranked, rows, query)

    def page(self, surfaces: Sequence[str], query: Query) -> tuple[dict[str, Slate], float]:
        """All lists of a page, assembled jointly; with the share of utility that sharing cost."""
        if len(surfaces) == 1:
            return {surfaces[0]: self.slate(surfaces[0], query)}, 0.0
        pins = self._pins(surfaces, query)
        # room for what other lists take, pinned there or chosen
        depth = query.limit * len(surfaces) + sum(map(len, pins.values()))
        ranked = {name: self._ranking(name, query, depth, pins[name]) for name in surfaces}
        query.begins("assembly")
        # beyond it nothing can be needed: every other list may take as many as it has places
        reach = depth + query.limit
        assembly = joint.assemble([self._wish(ranked[name], query, pins[name], reach) for name in surfaces])
        winners: dict[int, list[str]] = {}
        for loser, given in assembly.yielded.items():
            for row in given:
                winners.setdefault(row, []).append(loser)
        slates = {name: _finished(ranked[name], assembly.lists[name], query, winners) for name in surfaces}
        return slates, assembly.utility_lost

    def score(self, surface: str, query: Query, rows: Rows) -> Floats:
        """Scores of given articles without filters, for evaluation; NaN where nothing is known.

        Args:
            surface: whose weights.
            query: the moment.
            rows: (n,) catalogue rows in any order.

        Returns:
            (n,) scores. An article that the catalogue lacks is scored by its counts, and has NaN where
            nothing was counted either.
        """
        scores, known = np.full(len(rows), np.nan), self.scorable(rows)
        scores[known] = self.scored(surface, query, rows[known]).scores
        return scores

    def scorable(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) of which articles anything is known: the article itself, or that it was shown or opened."""
        counts, catalog = self.state.popularity, self.state.catalog
        known = np.array([catalog.is_known(row) for row in rows.tolist()], dtype=bool)
        return known | counts.openings.any_mass(rows) | counts.impressions.any_mass(rows)

    def scored(self, surface: str, query: Query, rows: Rows) -> Candidates:
        """Articles of which something is known, with the parts of their scores, in the order given."""
        given = Candidates.of(rows, np.zeros(len(rows), np.uint8))
        if len(rows) == 0:
            return given
        return rank(self.state, given, self.moment(query, surface), self._config(surface), surface)

    def eligibility(self, query: Query, surface: str) -> Eligibility:
        """The hard filters of one list of a request."""
        catalog, context = self.state.catalog, query.context
        by_editors = query.hidden.get(surface, ())
        hidden = query.reader.hidden if query.reader is not None else ()
        own = () if context is None else (context,)
        sections, types = keep_away(catalog, context, self.state.config.sensitivity)
        language = query.language
        if language is None:
            language = UNKNOWN if context is None else int(catalog.language[context])
        return Eligibility(
            now=query.now,
            excluded=np.array([*query.exclude, *hidden, *by_editors, *own], dtype=np.int32),
            duplicate=UNKNOWN if context is None else int(catalog.duplicate[context]),
            sections=query.sections,
            max_age_hours=query.max_age_hours,
            language=language,
            site=query.site,
            blocked_sections=sections,
            blocked_types=types,
        )

    def explain(
        self, surface: str, query: Query, row: int
    ) -> tuple[str | None, dict[str, float], int | None]:
        """Why an article is in a list or not.

        Returns:
            The filter that removed it or None; its score parts as they stand in the list, or would
            stand were it among the candidates; its rank among the candidates (1-based) or None where
            another version of its story stands in for it.
        """
        removed = self.eligibility(self.effective(surface, query)[1], surface).reason(self.state.catalog, row)
        if removed is None:
            for depth in (query.limit, len(self.state.catalog)):
                found = self._rank(surface, query, depth, query.limit).candidates
                place = np.flatnonzero(found.rows == row)
                if len(place):
                    parts = found.parts[place[0]].tolist()
                    return None, dict(zip(found.names, parts, strict=True)), int(place[0]) + 1
        return removed, self._parts_in_company(surface, query, row), None

    def _parts_in_company(self, surface: str, query: Query, row: int) -> dict[str, float]:
        """What the parts of an article would be beside the list's candidates: some depend on company."""
        used, query, _ = self.effective(surface, query)
        config, moment = self._config(used), self._moment(query, used)[0]
        need = Need(used, query.limit + 10, config.half_life_hours)
        others = generate(
            self.state, need, self.eligibility(query, surface), moment.context, query.reader
        ).rows
        rows = np.append(others[others != row], np.int32(row)).astype(np.int32)
        scored = rank(self.state, Candidates.of(rows, np.zeros(len(rows), np.uint8)), moment, config, used)
        return dict(zip(scored.names, scored.parts[-1].tolist(), strict=True))

    def _config(self, surface: str) -> SurfaceConfig:
        return self.state.config.surfaces.of(surface)

    def _half_life(self, surface: str) -> float:
        return recipe_of(self.state, self._config(surface), surface).half_life_hours

    def effective(self, surface: str, query: Query) -> tuple[str, Query, str | None]:
        """The surface whose recipe is used, and why it is not the one asked for."""
        if surface == "for_you":
            if query.reader is None or len(query.reader.rows) == 0:
                return "must_reads", query, "cold_reader"
            return surface, replace(query, exclude=[*query.exclude, *query.reader.rows.tolist()]), None
        if surface == "related":
            if query.context_unknown:
                return surface, query, "unknown_article"
            if query.context is not None and not self.state.index.placed(np.array([query.context]))[0]:
                return surface, query, "article_not_embedded"
        return surface, query, None

    def moment(self, query: Query, surface: str) -> Moment:
        """When and for whom the features of one list are computed."""
        return self._moment(query, surface)[0]

    def _moment(self, query: Query, surface: str) -> tuple[Moment, bool]:
        counts = self.state.popularity
        column = counts.column(self._half_life(surface))
        highest = counts.tops[column].highest(query.now)
        stale = 0 < highest < counts.config.stale_below or (highest == 0 and counts.watermark > 0)
        count_at = counts.watermark if stale else query.now
        context = query.context if surface in ("related",) else None
        return Moment(query.now, context, query.reader, count_at, query.witness), stale

    def _ranking(self, surface: str, query: Query, depth: int, pins: dict[int, int]) -> _Ranked:
        """A ranking, one that was kept where it is the same for all readers."""
        used = self.effective(surface, query)[0]
        shared = self._memo is not None and query.for_everyone() and not query.boosts.get(surface)
        context = query.context if surface == "related" else None
        if not shared or follows_reader(self.state, self._config(used), used, context, query.reader):
            return self._rank(surface, query, depth, query.limit, list(pins.values()))
        key = (surface, depth, self._asked(surface, query), tuple(pins.values()))
        found = self._memo.get(key)  # type: ignore[union-attr]
        if not isinstance(found, _Ranked):
            found = self._rank(surface, query, depth, query.limit, list(pins.values()))
            if not found.hurried:
                self._memo.put(key, found)  # type: ignore[union-attr]
        return found

    def _asked(self, surface: str, query: Query) -> Hashable:
        """All of a query that a ranking which does not follow the reader rests on."""
        cold = query.reader is None or len(query.reader.rows) == 0
        narrowed = (query.sections, query.max_age_hours, query.language, query.site, query.diversity)
        hidden = tuple(query.hidden.get(surface, ()))
        return (
            query.limit, query.context, query.context_unknown, cold and surface == "for_you", narrowed,
            hidden, query.window_hours, query.rising,
        )  # fmt: skip

    def _rank(
        self, surface: str, query: Query, depth: int, limit: int, pinned: Sequence[int] = ()
    ) -> _Ranked:
        used, query, fallback = self.effective(surface, query)
        moment, stale = self._moment(query, used)
        skipped = frozenset(stage for stage in ("covisited",) if not query.begins(stage))
        scoring = _Scoring(used, query, moment, self.eligibility(query, surface), pinned, skipped)
        ordered, left_out = self._candidates(scoring, query.boosts.get(surface, ()), depth)
        skipped |= left_out
        query.found(surface, len(ordered))
        if len(ordered) == 0:
            return _Ranked(surface, ordered, fallback or "nothing_eligible")
        variety = self._variety(used, query, moment, limit)
        if not variety.is_none:
            if query.begins("variety"):
                places = min(depth, 2 * limit)
                ordered = rerank(ordered, self.state.catalog, self.state.index, places, variety)
            else:
                skipped |= {"variety"}
        if stale and used == "popular":
            fallback = fallback or "stale_log"
        return _Ranked(surface, ordered, fallback or ("timeout" if skipped else None), bool(skipped))

    def _variety(self, used: str, query: Query, moment: Moment, limit: int) -> Variety:
        config = self._config(used)
        diversity = config.diversity if query.diversity is None else query.diversity
        if used in KEEPS_FIRST and query.diversity is None:
            diversity = 0.0
        shares = section_shares(self.state, query.reader, moment.count_at) if config.calibration else None
        pool = self.state.config.candidates.rerank_pool
        return Variety(diversity, config.section_spread, pool, config.calibration, shares, limit)

    def _candidates(
        self, scoring: "_Scoring", boosts: Sequence[Boost], depth: int
    ) -> tuple[Candidates, frozenset[str]]:
        """Scored candidates, best first, one version of each story; ``depth`` of them while there are.

        What is pinned goes first: an article behind a version that a pin displaces may stay.

        Every generator brings all eligible articles where fewer than asked for are left, so fewer
        candidates than asked for means that nothing more can be had.

        Returns:
            The candidates, and the stages that were left out because time was short.
        """
        catalog, count = self.state.catalog, depth + 10
        while True:
            scored, skipped = self._scored(scoring, count)
            scored = self._boosted(scored, boosts)
            ordered = scored.ordered(catalog.published[scored.rows], catalog.id_ranks)
            ordered = one_version_each(without_versions_of(scoring.pinned, ordered, catalog), catalog)
            if len(ordered) >= depth or len(scored) < count:
                return ordered, skipped
            count *= 8

    def _scored(self, scoring: "_Scoring", count: int) -> tuple[Candidates, frozenset[str]]:
        used, query, moment = scoring.used, scoring.query, scoring.moment
        config, skipped = self._config(used), scoring.skipped
        query.begins("candidates")
        if used == "popular" and (query.window_hours is not None or query.rising):
            return self._counted(query, scoring.eligible, count), frozenset()
        need = Need(used, count, self._half_life(used), "covisited" not in skipped)
        candidates = generate(self.state, need, scoring.eligible, moment.context, query.reader)
        if not query.begins("curves"):
            skipped |= {"curves"}
        ranked = rank(self.state, candidates, moment, config, used, skipped)
        return topic_first(self.state, ranked, config, used), skipped - scoring.skipped

    def _counted(self, query: Query, eligible: Eligibility, need: int) -> Candidates:
        """Popular by a plain window or by increase, filled up with the newest."""
        counts, size = self.state.popularity, len(self.state.catalog)
        if query.rising:
            values = counts.rising(query.now)
        else:
            values = counts.recent.counts(query.now, query.window_hours or 24.0, size)
        order = np.flatnonzero(values > 0).astype(np.int32)
        order = order[np.argsort(-values[order], kind="stable")]
        latest = eligible.first(self.state.catalog, self.state.catalog.newest(), need)
        found = Candidates.union(
            [("popular", eligible.first(self.state.catalog, order, need)), ("latest", latest)]
        )
        share = values[found.rows] / max(float(values.max(initial=0.0)), 1e-12)
        return found.with_parts(share[:, None], ("rising" if query.rising else "popularity",))

    def _boosted(self, candidates: Candidates, boosts: Sequence[Boost]) -> Candidates:
        if not boosts or len(candidates) == 0:
            return candidates
        factors = np.ones(len(candidates))
        for boost in boosts:
            hit = [boost.filter.matches(self.state.catalog, row) for row in candidates.rows.tolist()]
            factors *= np.where(hit, boost.factor, 1.0)
        return candidates.plus_part("boost", np.abs(candidates.scores) * (factors - 1.0))

    def _pins(self, surfaces: Sequence[str], query: Query) -> dict[str, dict[int, int]]:
        """Row by position of each list; an article pinned in several lists stays in the first."""
        taken: set[int] = set()
        found: dict[str, dict[int, int]] = {}
        for surface in surfaces:
            eligible = self.eligibility(query, surface)
            places = found[surface] = {}
            for position, row in query.pins.get(surface, {}).items():
                fits = position <= query.limit and row not in taken
                if fits and eligible.reason(self.state.catalog, row) is None:
                    places[position] = row
                    taken.add(row)
        return found

    def _wish(self, ranked: _Ranked, query: Query, pins: dict[int, int], reach: int) -> joint.Wish:
        candidates = ranked.candidates
        return joint.Wish(
            name=ranked.surface,
            rows=candidates.rows[:reach].tolist(),
            utilities=joint.comparable(candidates.scores)[:reach],
            limit=query.limit,
            pinned=pins,
            keeps_first=ranked.surface in KEEPS_FIRST,
        )


def _finished(
    ranked: _Ranked, rows: Sequence[int], query: Query, winners: Mapping[int, Sequence[str]] | None = None
) -> Slate:
    pinned = set(query.pins.get(ranked.surface, {}).values())
    items = items_of(ranked.candidates, rows, pinned, winners)
    return Slate(ranked.surface, items, ranked.fallback, ranked=ranked.candidates)
