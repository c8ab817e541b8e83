"""The features of a candidate, one home for serving, evaluation and training.

Every feature is a (n,) float64 array; NaN means it cannot be computed for that candidate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys import in_list, recency
from recsys.candidates import Floats, Rows
from recsys.catalog import UNKNOWN
from recsys.counted_features import COUNTED, COUNTED_NEUTRAL
from recsys.errors import ConfigError
from recsys.profile import Reader
from recsys.state import State


class Seen(NamedTuple):
    """What one list was ranked by.

    Attributes:
        surface: the kind of list.
        count_at: unix seconds at which counters were read.
        rows: (n,) its candidates.
        names: the f features.
        matrix: (n, f) their values, NaN where missing.
    """

    surface: str
    count_at: float
    rows: Rows
    names: tuple[str, ...]
    matrix: Floats


@dataclass(frozen=True, slots=True)
class Moment:
    """When and for whom features are computed.

    Attributes:
        now: unix seconds.
        context: row of the article being read, None without.
        reader: the reader's past, None without.
        count_at: unix seconds at which counters are read: ``now``, or the log's watermark where the
            log has no recent events.
        witness: is given what lists are ranked by, None where nobody asks.
    """

    now: float
    context: int | None
    reader: Reader | None
    count_at: float
    witness: list[Seen] | None = None


def similarity(state: State, rows: Rows, context: int | None) -> Floats:
    """Cosine with the context article, -1 to 1; by TF-IDF where the embedding model does not read both."""
    if context is None:
        return np.full(len(rows), np.nan)
    return state.index.similarities(rows, np.array([context]))[:, 0].astype(np.float64)


def interests(state: State, rows: Rows, reader: Reader | None) -> Floats:
    """How much closer to the reader's openings than the catalogue is on average, -1 to 1.

    Closeness is a mean of cosines in which near openings count more (``profile.softness``), so that a
    reader of two interests finds both; a plain mean would look between them.
    """
    past = _embedded(state, reader)
    if len(past) == 0:
        return np.full(len(rows), np.nan)
    index, softness = state.index, state.config.profile.softness
    near = _soft_mean(index.similarities(rows, past), softness)
    # what is not embedded is compared by words, which are usually not alike at all
    usual = index.usual(past)
    return np.asarray(near - np.where(index.has[rows], usual, 0.0))


def _embedded(state: State, reader: Reader | None) -> Rows:
    """The reader's openings that have a vector, newest first."""
    if reader is None:
        return np.zeros(0, np.int32)
    return np.asarray(reader.rows[state.index.placed(reader.rows)], dtype=np.int32)


def _mean(values: NDArray[Any]) -> NDArray[Any]:
    """(n,) mean of each row over what is not missing; NaN where all is."""
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(values.mean(axis=1))
    counted = (~missing).sum(axis=1)
    sums = np.where(missing, 0, values).sum(axis=1)
    return np.asarray(np.where(counted, sums / np.maximum(counted, 1), np.nan), dtype=values.dtype)


def section_match(state: State, rows: Rows, context: int | None, reader: Reader | None) -> Floats:
    """Same section as the context article, or the section's recency-weighted share of the reader's past."""
    sections = state.catalog.section
    if context is not None:
        same = (sections[rows] == sections[context]) & (sections[rows] != UNKNOWN)
        return np.asarray(same, dtype=np.float64)
    if reader is None or len(reader.rows) == 0:
        return np.zeros(len(rows))
    past = sections[reader.rows]
    weights = np.exp2(-np.arange(len(past)) / state.config.profile.recency_half_life_reads)
    # code -1 is counted at place 0, and says nothing
    own = np.bincount(past + 1, weights, minlength=len(state.catalog.sections.names) + 1)
    own[0] = 0.0
    total = float(own.sum())
    return np.asarray(own[sections[rows] + 1] / total if total else np.zeros(len(rows)))


def section_shares(state: State, reader: Reader | None, at: float) -> Floats | None:
    """(s,) share of a list that each section should have for a reader; None without a past.

    What the reader opens more than others do, recency-weighted; the less they have read, the more of
    what everybody reads is mixed in (as if by five openings).

    Args:
        state: what is known.
        reader: with a past.
        at: unix seconds at which everybody's openings are counted.
    """
    state.regroup()
    sections = np.zeros(0, np.int32) if reader is None else state.catalog.section[reader.rows]
    weights = np.exp2(-np.arange(len(sections)) / state.config.profile.recency_half_life_reads)
    known = sections != UNKNOWN
    if not known.any():
        return None
    count = len(state.catalog.sections.names)
    own = np.bincount(sections[known], weights[known], minlength=count)
    counts, total = state.popularity, float(own.sum())
    longest = int(np.argmax(counts.openings.half_lives))
    masses = counts.openings.read_groups(at, longest, "section", np.arange(count, dtype=np.int32))
    usual = masses / masses.sum() if masses.sum() > 0 else np.full(count, 1.0 / count)
    more = np.maximum(own / total - usual, 0.0)
    more = more / more.sum() if more.any() else usual
    return np.asarray((total * more + 5.0 * usual) / (total + 5.0))


def learned_matrix(state: State, rows: Rows, moment: Moment, names: Sequence[str]) -> Floats:
    """The features that a ranker is learned on.

    Args:
        state: what is known.
        rows: (n,) candidates.
        moment: when and for whom.
        names: f of ``FEATURE_NAMES``.

    Returns:
        (n, f) float64, NaN where a feature cannot be computed.
    """
    view = _View(state, rows, moment)
    raw = {name: LEARNED[name](view) for name in dict.fromkeys(in_list.base_of(name) for name in names)}
    return np.stack([in_list.form_of(name, raw, NEUTRAL) for name in names], axis=1)


def check_names(names: Sequence[str]) -> None:
    """Raise ``ConfigError`` unless a ranker can be learned on these features."""
    unknown = sorted(set(names) - set(FEATURE_NAMES))
    if unknown:
        raise ConfigError(
            f"ranker.features: {', '.join(unknown)}; allowed are {', '.join(LEARNED)}, and each of them "
            f"with {' or '.join(in_list.FORMS)} behind it (place within the list)"
        )


class _View:
    """One list's candidates, with what several features share computed once."""

    def __init__(self, state: State, rows: Rows, moment: Moment) -> None:
        state.regroup()
        self.state, self.rows, self.moment = state, rows, moment
        reader = moment.reader
        self.past = reader.rows if reader is not None else np.zeros(0, np.int32)
        self._overall: dict[float, float] = {}

    @property
    def nothing(self) -> Floats:
        """(n,) of nothing known."""
        return np.full(len(self.rows), np.nan)

    @cached_property
    def cosines(self) -> NDArray[np.float32]:
        """(n, k) with each embedded opening, newest first; NaN where they cannot be compared."""
        return self.state.index.similarities(self.rows, _embedded(self.state, self.moment.reader))

    def of_cosines(self, summary: Callable[[NDArray[np.float32]], Floats]) -> Floats:
        """A summary of the cosines, NaN where none is known."""
        return summary(self.cosines) if self.cosines.shape[1] else self.nothing

    def groups(self, level: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Codes of what was read and of the candidates."""
        codes: NDArray[np.int32] = getattr(self.state.catalog, level)
        return codes[self.past], codes[self.rows]

    @cached_property
    def longest(self) -> float:
        """The longest half-life of click-through rates."""
        return max(self.state.config.popularity.ctr_half_lives_hours)

    def overall_rate(self, half_life_hours: float) -> float:
        """Click-through rate of everything."""
        found = self._overall.get(half_life_hours)
        if found is None:
            found = self.state.popularity.overall_ctr(self.moment.count_at, half_life_hours)
            self._overall[half_life_hours] = found
        return found

    def group_rates(self, level: str, half_life_hours: float) -> Floats:
        """Click-through rate of each candidate's group; NaN without group."""
        codes: NDArray[np.int32] = getattr(self.state.catalog, level)[self.rows]
        at, overall = self.moment.count_at, self.overall_rate(half_life_hours)
        return self.state.popularity.group_ctr(at, level, codes, half_life_hours, overall)

    def group_lift(self, level: str) -> Floats:
        """Logarithm of the group's click-through rate over everything's, at the longest half-life."""
        return _log_lift(self.group_rates(level, self.longest), self.overall_rate(self.longest))

    def usual_rates(self, half_life_hours: float) -> Floats:
        """Click-through rate of each candidate's subsection, else its section, else everything."""
        overall = self.overall_rate(half_life_hours)
        usual = self.group_rates("subsection", half_life_hours)
        for level in ("section", None):
            missing = np.isnan(usual)
            if not missing.any():
                break
            wider = overall if level is None else self.group_rates(level, half_life_hours)
            usual = np.where(missing, wider, usual)
        return usual

    @cached_property
    def author_lift(self) -> Floats:
        """How much better than usual the other articles of the same author do; NaN without author."""
        codes, counts = self.state.catalog.author[self.rows], self.state.popularity
        if (codes == UNKNOWN).all():
            return self.nothing
        usual = self.usual_rates(self.longest)
        return counts.author_lift(self.moment.count_at, self.rows, codes, usual)

    def own_lift(self, half_life_hours: float) -> Floats:
        """Logarithm of the article's click-through rate over everything's.

        Where an article has few impressions its author's rate stands in, else its subsection's.
        """
        overall, lift = self.overall_rate(half_life_hours), self.author_lift
        usual, signed = self.usual_rates(half_life_hours), ~np.isnan(lift)
        if signed.any():
            usual = np.where(signed, usual * np.exp(lift), usual)
        rates = self.state.popularity.ctr(self.moment.count_at, self.rows, half_life_hours, usual)
        return _log_lift(rates, overall)


def _log_lift(rates: Floats, usual: Floats | float) -> Floats:
    return np.asarray(np.log(np.maximum(rates, 1e-6) / np.maximum(usual, 1e-6)))


def _soft_mean(cosines: NDArray[np.float32], softness: float) -> Floats:
    """Between mean (0) and maximum (infinity): log of the mean of exp(softness x), over softness."""
    if softness == 0.0:
        return _mean(cosines.astype(np.float64))
    return np.asarray(np.log(_mean(np.exp(softness * cosines.astype(np.float64)))) / softness)


def _recency_mean(cosines: NDArray[np.float32], half_life_reads: float) -> Floats:
    weights = np.exp2(-np.arange(cosines.shape[1]) / half_life_reads)
    missing = np.isnan(cosines)
    if not missing.any():
        return np.asarray(cosines.astype(np.float64) @ weights / weights.sum())
    counted = ~missing @ weights
    sums = np.where(missing, 0.0, cosines).astype(np.float64) @ weights
    return np.where(counted > 0, sums / np.where(counted > 0, counted, 1.0), np.nan)


def _share(view: _View, level: str) -> Floats:
    """Recency-weighted share of the reader's past in the candidate's group."""
    past, offered = view.groups(level)
    weights = np.exp2(-np.arange(len(past)) / view.state.config.profile.recency_half_life_reads)
    weights = np.where(past == UNKNOWN, 0.0, weights)
    total = float(weights.sum())
    if total == 0.0:
        return view.nothing
    shares = (offered[:, None] == past) @ weights / total
    return np.where(offered == UNKNOWN, np.nan, shares)


def _tag_share(view: _View) -> Floats:
    """Recency-weighted share of the reader's past that has a tag of the candidate's; NaN without tags.

    Tags are whatever the site's articles carry: keywords, people, places, teams.
    """
    tags = view.state.catalog.tags
    past = [(tags[row], place) for place, row in enumerate(view.past.tolist()) if row in tags]
    if not past:
        return view.nothing
    half_life = view.state.config.profile.recency_half_life_reads
    weights = [2.0 ** (-place / half_life) for _, place in past]
    found = [
        sum(w for w, (own, _) in zip(weights, past, strict=True) if not own.isdisjoint(tags[row]))
        if row in tags
        else np.nan
        for row in view.rows.tolist()
    ]
    return np.asarray(np.array(found) / sum(weights), dtype=np.float64)


def _counted(compute: Callable[[State, Rows, float], Floats], view: _View) -> Floats:
    return compute(view.state, view.rows, view.moment.count_at)


LEARNED: dict[str, Callable[[_View], Floats]] = {
    "interests_soft": lambda v: v.of_cosines(lambda c: _soft_mean(c, 5.0)),
    "interests_recent": lambda v: v.of_cosines(
        lambda c: _recency_mean(c, v.state.config.profile.recency_half_life_reads)
    ),
    "section_share": lambda v: _share(v, "section"),
    "subsection_share": lambda v: _share(v, "subsection"),
    "tag_share": _tag_share,
    "section_affinity": lambda v: v.state.learned.sections.of(*v.groups("section")),
    "subsection_affinity": lambda v: v.state.learned.subsections.of(*v.groups("subsection")),
    "topic_affinity": lambda v: v.state.learned.topics.affinity(v.past, v.rows),
    "section_ctr": lambda v: v.group_lift("section"),
    "subsection_ctr": lambda v: v.group_lift("subsection"),
    "author_ctr": lambda v: v.author_lift,
    "ctr_4h": lambda v: v.own_lift(4.0),
    "ctr_24h": lambda v: v.own_lift(24.0),
    "ctr_168h": lambda v: v.own_lift(168.0),
    "age": lambda v: recency.log_age(v.state, v.rows, v.moment.now),
    **{name: partial(_counted, compute) for name, compute in COUNTED.items()},
}

# what depends on the reader's past
OF_READERS = frozenset(
    name for name in LEARNED if name.endswith(("_share", "_affinity")) or "interests" in name
)

FEATURE_NAMES = (*LEARNED, *in_list.names_of(LEARNED))

# where a feature says nothing: a learned curve is 0 there, so that being new costs nothing
NEUTRAL = {
    **dict.fromkeys(("section_affinity", "subsection_affinity", "topic_affinity"), 0.0),
    **dict.fromkeys(("section_ctr", "subsection_ctr", "author_ctr", "ctr_4h", "ctr_24h", "ctr_168h"), 0.0),
    **COUNTED_NEUTRAL,
    **dict.fromkeys(in_list.names_of(LEARNED), 0.0),
}


def covisited(state: State, rows: Rows, context: int | None, reader: Reader | None) -> Floats:
    """Read by those who read the context article or what the reader opened lately, 0 to 1.

    The similarity saturates, so that among articles that are often read together the text decides.
    """
    past = reader.rows if reader is not None else np.zeros(0, np.int32)
    past = past if context is None else np.array([context], np.int32)
    learned = state.learned.covisitation
    if len(past) == 0 or len(learned) == 0:
        return np.full(len(rows), np.nan)
    found = learned.reached_with(past, rows)
    return np.asarray(found / (found + learned.config.half_at))


def log_share(masses: Floats, highest: float) -> Floats:
    """Masses on a logarithmic scale from 0 to 1, where the highest article has 1."""
    if highest <= 0:
        return np.zeros(len(masses))
    return np.asarray(np.log1p(masses) / np.log1p(max(highest, float(masses.max(initial=0.0)))))


def popularity(state: State, rows: Rows, at: float, half_life_hours: float) -> Floats:
    """Decayed distinct readers on a logarithmic scale, 0 to 1."""
    counts = state.popularity
    column = counts.column(half_life_hours)
    masses = counts.openings.read(at, column, rows)
    return log_share(masses, counts.tops[column].highest(at))


def engagement(state: State, rows: Rows, at: float) -> Floats:
    """Decayed read minutes, shares, saves and comments on a logarithmic scale, 0 to 1."""
    counts = state.popularity
    return log_share(counts.engagement.read(at, 0, rows), counts.most_engaging.highest(at))


def click_rate(state: State, rows: Rows, at: float) -> Floats:
    """Smoothed click-through rate on a scale where the prior has one half, 0 to 1."""
    rate = state.popularity.ctr(at, rows)
    return np.asarray(rate / (rate + state.config.popularity.ctr_prior))


def priority(state: State, rows: Rows) -> Floats:
    """The editors' priority, 0 to 1; none is 0."""
    return np.nan_to_num(state.catalog.priority[rows])
