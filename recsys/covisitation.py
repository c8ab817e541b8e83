"""Which articles are read by the same readers, near each other in time: learned from a log, kept live.

A pair of openings counts by how close the two are in the reader's order; the article that was read
later counts fully, the earlier one by ``backward``. Counts decay forward in time. A count becomes a
similarity by dividing by the article's own mass, with a shrinkage that keeps pairs seen once from
the top (the item-to-item scheme of Linden, Smith, York, IEEE Internet Computing 2003, with the
shrinkage of Koren, KDD 2008). A second step from the best neighbours to theirs reaches articles
that few readers opened together: a random walk on the graph of pairs (Cooper, Lee, Radinsky, Siantos,
"Random Walks in Recommender Systems", WWW 2014).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config import CovisitationConfig
from recsys.growing_rows import GrowingRows
from recsys.unique_rows import UniqueRows

_AT_ONCE = 500_000
_DAY = 86_400.0
_MAX_EXPONENT = 60.0


@dataclass(frozen=True, slots=True)
class Trails:
    """What readers opened, one visit after the other.

    Attributes:
        rows: (m,) int32 articles, within a visit oldest first and each once.
        visits: (m,) rising numbers; equal ones belong together.
        weights: (m,) what an opening counts, by its age at ``latest``.
        latest: unix seconds of the latest opening.
    """

    rows: NDArray[np.int32]
    visits: NDArray[np.int64]
    weights: NDArray[np.float64]
    latest: float = 0.0


class Sums(NamedTuple):
    """What articles were reached with.

    Attributes:
        rows: (m,) int32, each once, in no order.
        values: (m,) float64, positive.
    """

    rows: NDArray[np.int32]
    values: NDArray[np.float64]

    def best(self, n: int) -> "Sums":
        """The ``n`` highest, best first, ties by row."""
        rows, values = self
        if n < len(rows):
            highest = np.argpartition(-values, n)[:n]
            rows, values = rows[highest], values[highest]
        order = np.lexsort((rows, -values))
        return Sums(rows[order], values[order])


@dataclass(frozen=True, slots=True)
class PairSums:
    """What pairs of articles count together, in both directions.

    Attributes:
        left, right: (p,) int64 different articles.
        together: (p,) float64 sums.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    together: NDArray[np.float64]


class Covisitation:
    """For each article the articles that its readers also read.

    Attributes:
        masses_: (n,) weights of the openings at ``landmark_``.
        landmark_, latest_: unix seconds that weights are relative to; of the latest opening.
    """

    def __init__(self, config: CovisitationConfig) -> None:
        self.config = config
        none = np.zeros((0, config.neighbours))
        self._rows, self._together = _tables(none.astype(np.int32), none.astype(np.float32))
        self.masses_ = np.zeros(0)
        self.landmark_ = self.latest_ = 0.0
        # what divides the weight of a pair, by how far apart its articles were opened
        self._apart = np.arange(1.0, config.reach + 1.0) ** config.closeness
        self._version = 0
        self._unique, self._counted = UniqueRows(), False
        self._answered: tuple[tuple[bytes, int], Sums] | None = None

    @property
    def rows_(self) -> NDArray[np.int32]:
        """(n, k) articles in no order, -1 where there are fewer."""
        return self._rows.whole()

    @property
    def together_(self) -> NDArray[np.float32]:
        """(n, k) weights of the pairs at ``landmark_``."""
        return self._together.whole()

    def __len__(self) -> int:
        return len(self._rows)

    def fit(self, trails: Trails, size: int) -> "Covisitation":
        """Count pairs and keep each article's best.

        Args:
            trails: openings of readers.
            size: number of articles.
        """
        return self.fit_sums(self.pair_sums(trails, size), trails, size)

    def pair_sums(self, trails: Trails, size: int) -> PairSums:
        """What pairs within reach count; see ``fit``."""
        table = _Pairs(size)
        for gap in range(1, self.config.reach + 1):
            for start in range(0, len(trails.rows) - gap, _AT_ONCE):
                self._count(trails, gap, slice(start, start + _AT_ONCE), table)
        return table.sums()

    def fit_sums(self, sums: PairSums, trails: Trails, size: int) -> "Covisitation":
        """Keep each article's best of pairs that were counted elsewhere."""
        self.masses_ = np.bincount(trails.rows, trails.weights, minlength=size).astype(np.float64)
        self.landmark_ = self.latest_ = trails.latest
        self._counted = False
        self._version += 1
        similarities = self._similarity(sums.together, self.masses_[sums.left], self.masses_[sums.right])
        shape = (size, self.config.neighbours)
        self._rows, self._together = _tables(
            *_best(sums.left, sums.right, similarities, sums.together, shape)
        )
        return self

    def _count(self, trails: Trails, gap: int, part: slice, table: "_Pairs") -> None:
        after = slice(part.start + gap, part.stop + gap)
        visits = trails.visits[after]
        same = trails.visits[part][: len(visits)] == visits
        earlier = trails.rows[part][: len(visits)][same].astype(np.int64)
        later = trails.rows[after][same].astype(np.int64)
        weight = trails.weights[after][same] / gap**self.config.closeness
        table.add(earlier, later, weight)
        table.add(later, earlier, self.config.backward * weight)

    def opened(self, before: NDArray[np.int32], row: int, ts: float) -> None:
        """Count one more opening.

        Args:
            before: (p,) what the reader opened before in this visit, most recent first, without ``row``.
            row: the article opened now.
            ts: unix seconds.
        """
        self._make_room(max(row, int(before.max(initial=-1))) + 1)
        self._version += 1
        self.latest_ = max(self.latest_, ts)
        weight = self._weight_at(ts)
        self.masses_[row] += weight
        self._counted = True
        before = before[: self.config.reach]
        if len(before) == 0:
            return
        weights = weight / self._apart[: len(before)]
        self._lead_on(before, row, weights)
        self._lead_back(row, before, self.config.backward * weights)

    def _weight_at(self, ts: float) -> float:
        """What an opening at ``ts`` weighs; moves the landmark long before weights grow too large."""
        half_life = self.config.half_life_days * _DAY
        if not self._counted:
            # looked up once: the sum over all articles would cost more than the pairs
            self._counted = bool(self.masses_.any())
            self.landmark_ = self.landmark_ if self._counted or not len(self) else ts
        exponent = (ts - self.landmark_) / half_life
        if exponent > _MAX_EXPONENT:
            steps = np.floor(exponent)
            for _, part in self._together.parts():
                part *= np.float32(np.exp2(-steps))
            self.masses_ *= np.exp2(-steps)
            self.landmark_ += float(steps * half_life)
            exponent -= steps
        return float(np.exp2(max(exponent, -_MAX_EXPONENT)))

    def _lead_on(self, earlier: NDArray[np.int32], row: int, weights: NDArray[np.float64]) -> None:
        """Add pairs from several articles to one; a new pair takes the place of the weakest."""
        for number, own, chosen in self._rows.parted(earlier):
            linked, together = self._rows.part(number), self._together.part(number)
            hit, added = linked[own] == row, weights[chosen]
            known = hit.any(axis=1)
            place = np.where(known, hit.argmax(axis=1), together[own].argmin(axis=1))
            had = together[own, place]
            wins = known | (added >= had)
            own, place = own[wins], place[wins]
            linked[own, place] = row
            together[own, place] = np.where(known, had + added, added)[wins]

    def _lead_back(self, row: int, others: NDArray[np.int32], weights: NDArray[np.float64]) -> None:
        """Add pairs from one article to several; new pairs take the places of the weakest."""
        linked, together = self._rows.line(row), self._together.line(row)
        hit = linked == others[:, None]
        known = hit.any(axis=1)
        together[hit[known].argmax(axis=1)] += weights[known].astype(np.float32)
        fresh = np.flatnonzero(~known)[: len(linked)]
        if len(fresh):
            weakest = np.argpartition(together, len(fresh) - 1)[: len(fresh)]
            wins = weights[fresh] >= together[weakest]
            linked[weakest[wins]] = others[fresh[wins]]
            together[weakest[wins]] = weights[fresh[wins]]

    def _make_room(self, size: int) -> None:
        if size <= len(self):
            return
        # eight bytes an article, where the tables have eight hundred: they give room in their own way
        size = max(size, len(self) + len(self) // 64 + 16)
        self.masses_ = np.concatenate((self.masses_, np.zeros(size - len(self.masses_))))
        self._rows.reserve(size)
        self._together.reserve(size)

    def _similarity(
        self, together: NDArray[np.float64], own: NDArray[np.float64], other: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        balance = self.config.popularity_balance
        shrunk = together * together / (together + self.config.shrinkage + 1e-12)
        if balance:
            return np.asarray(shrunk / ((own + 1.0) ** (1.0 - balance) * (other + 1.0) ** balance))
        return np.asarray(shrunk / (own + 1.0))

    def _links(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(r, k) neighbours of rows, -1 for none, and their similarities, as of the latest opening."""
        others = self._rows.take(rows)
        now = float(np.exp2((self.landmark_ - self.latest_) / (self.config.half_life_days * _DAY)))
        own = self.masses_[rows][:, None] * now
        # the other articles' masses are only looked up where they count
        other = self.masses_[others] * now if self.config.popularity_balance else own
        return others, self._similarity(self._together.take(rows) * now, own, other)

    def of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Articles read with one article and how much, best first."""
        if row >= len(self):
            return np.zeros(0, np.int32), np.zeros(0)
        others, similarities = (found[0] for found in self._links(np.array([row])))
        order = np.lexsort((others, -similarities))
        order = order[(others >= 0)[order]]
        return others[order], similarities[order]

    def scores(self, past: NDArray[np.int32]) -> Sums:
        """Sums of similarity to what was read, (k,) most recent first, recent ones counting more."""
        past = past[: self.config.past]
        weights = self.config.recency ** np.arange(len(past))
        inside = past < len(self)
        return self._step(past[inside], np.asarray(weights[inside], dtype=np.float64))

    def reached(self, past: NDArray[np.int32]) -> Sums:
        """``scores`` and, ``walk`` times, what the best of them lead on to.

        The answer to the last question is kept: candidates are found by it and then scored by it.
        """
        key = (past.tobytes(), self._version)
        if self._answered is None or self._answered[0] != key:
            self._answered = (key, self._reach(past))
        return self._answered[1]

    def reached_with(self, past: NDArray[np.int32], rows: NDArray[np.integer]) -> NDArray[np.float64]:
        """(n,) with what ``rows`` are ``reached``, 0 where they are not."""
        return self._unique.looked_up(*self.reached(past), rows)

    def scores_of(self, past: NDArray[np.int32], rows: NDArray[np.integer]) -> NDArray[np.float64]:
        """(n,) ``scores`` of ``rows``, 0 where they have none."""
        return self._unique.looked_up(*self.scores(past), rows)

    def _reach(self, past: NDArray[np.int32]) -> Sums:
        first = self.scores(past)
        inside = first.rows < len(self)
        rows, values = first.rows[inside], first.values[inside]
        if not self.config.walk or len(rows) == 0:
            return first
        others, led = self._led_on(*Sums(rows, values).best(self.config.walk_width))
        return self._summed(
            np.concatenate((first.rows, others)), np.concatenate((first.values, self.config.walk * led))
        )

    def _step(self, rows: NDArray[np.integer], weights: NDArray[np.float64]) -> Sums:
        return self._summed(*self._led_on(rows, weights))

    def _summed(self, rows: NDArray[np.int32], values: NDArray[np.float64]) -> Sums:
        """Sums by article."""
        last, which = self._unique.of(rows)
        return Sums(rows[last], np.bincount(which, values, minlength=len(last)).astype(np.float64))

    def _led_on(
        self, rows: NDArray[np.integer], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Neighbours of several articles, one after the other, and their similarity times ``weights``."""
        others, similarities = self._links(rows)
        values = similarities * weights[:, None]
        linked = (others >= 0) & (values > 0.0)
        return others[linked], values[linked]

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for the bundle."""
        times = np.array([self.landmark_, self.latest_])
        return {"rows": self.rows_, "together": self.together_, "masses": self.masses_, "times": times}

    def restore(
        self,
        rows: NDArray[np.int32],
        together: NDArray[np.float32],
        masses: NDArray[np.float64],
        times: NDArray[np.float64],
    ) -> None:
        """Take over what ``state`` gave; the arrays are changed by ``opened``."""
        self._rows, self._together = _tables(rows, together)
        self.masses_ = masses
        self.landmark_, self.latest_ = float(times[0]), float(times[1])
        self._counted = False
        self._version += 1


def _tables(rows: NDArray[np.int32], together: NDArray[np.float32]) -> tuple[GrowingRows, GrowingRows]:
    return GrowingRows(rows, -1), GrowingRows(together, 0.0)


class _Pairs:
    """Sums of weights by pair, folded together as they come so that memory stays bounded."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._keys, self._sums = np.zeros(0, np.int64), np.zeros(0)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        self._count = 0

    def add(self, left: NDArray[np.int64], right: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        self._waiting.append((left * self._size + right, weights))
        self._count += len(left)
        if self._count >= 4 * _AT_ONCE:
            self._fold()

    def _fold(self) -> None:
        if self._waiting:
            keys = np.concatenate((self._keys, *(keys for keys, _ in self._waiting)))
            weights = np.concatenate((self._sums, *(weights for _, weights in self._waiting)))
            self._keys, place = np.unique(keys, return_inverse=True)
            self._sums = np.asarray(np.bincount(place, weights, minlength=len(self._keys)), dtype=np.float64)
            self._waiting, self._count = [], 0

    def sums(self) -> PairSums:
        """Everything added; a row is never paired with itself."""
        self._fold()
        left, right = np.divmod(self._keys, self._size)
        apart = left != right
        return PairSums(left[apart], right[apart], self._sums[apart])


def _best(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    similarities: NDArray[np.float64],
    together: NDArray[np.float64],
    shape: tuple[int, int],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    size, keep = shape
    rows = np.full(shape, -1, dtype=np.int32)
    values = np.zeros(shape, dtype=np.float32)
    order = np.lexsort((right, -similarities, left))
    left, right, together = left[order], right[order], together[order]
    starts = np.searchsorted(left, np.arange(size))
    place = np.arange(len(left)) - starts[left] if len(left) else np.zeros(0, np.int64)
    inside = place < keep
    rows[left[inside], place[inside]] = right[inside]
    values[left[inside], place[inside]] = together[inside]
    return rows, values
