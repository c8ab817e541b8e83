"""Two policies at the moments of a log: the one that served, made again, and the one that is judged."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.catalog import Catalog
from recsys.exploration import Draws
from recsys.exploring import Explorer, Policy
from recsys.exposed import Exposed, Known, Ranked
from recsys.pipeline import Slate
from recsys.randomising import Alone, Mixture, drawn
from recsys.trust import nonce_of
from training.ope.log import Answer
from training.replaying import KeptRankings, Made, Replayer

# of each branch that leaves something to chance, to see what the log's policy never shows
_SAMPLES = 2
_CLOSE = 1e-6
_NOT_THERE = -1
Named = Mapping[str, float]


@dataclass(frozen=True)
class Compared:
    """One logged list under both policies; articles by id.

    Attributes:
        shown: as logged.
        rewards: of its places.
        target: chance of each place under the judged policy, given what was shown above.
        next, at: what that policy may put at each place, given what was shown above, and whatever is above.
        alone: its list where nothing is left to chance.
        logged_at: chance of each article at its place under the logging policy; None where that could
            not be made again.
        unsupported, unsupported_at: share of the judged policy's lists, and of its articles by place,
            that the logging policy never shows; NaN where that could not be made again.
    """

    shown: Exposed
    rewards: Sequence[float]
    target: Sequence[float]
    next: Sequence[Named]
    at: Sequence[Named]
    alone: Sequence[str]
    logged_at: Sequence[float] | None
    unsupported: float
    unsupported_at: float


class Policies:
    """Compares two policies list by list.

    Args:
        logged: makes the lists again as they were served.
        judged: makes those of the policy that was not.
        version: bundle of the judged policy, None for each list's own.
        learned_until: unix seconds up to which that bundle knows the log.
    """

    def __init__(self, logged: Replayer, judged: Replayer, version: str | None, learned_until: float) -> None:
        self._logged, self._judged = logged, judged
        self._version, self._learned_until = version, learned_until
        self._kept: dict[str, KeptRankings] = {}
        self.left_out: Counter[str] = Counter()

    def keep(self, answer: Answer, ranked: Ranked) -> None:
        """Make rankings again that an answer was given from an earlier moment.

        Args:
            answer: as logged.
            ranked: of some of its lists.
        """
        kept, first = self._kept.setdefault(answer.first.request_id, KeptRankings()), answer.first
        kept.wanted = frozenset(each.surface for each in answer.lists if each.ranked == ranked)
        known = (first.known or Known(0, 0, 0))._replace(event_seq=ranked.event_seq)
        earlier = replace(first, ts=ranked.at, known=known)
        self._logged.near(earlier, str(first.model_version), kept, answer.lists)
        kept.wanted = frozenset()

    def compare(self, answer: Answer, rewards: Mapping[str, Sequence[float]]) -> list[Compared]:
        """The lists of one answer.

        Args:
            answer: as logged.
            rewards: of its lists, by surface.
        """
        first, found = answer.first, []
        if first.ts < self._learned_until:
            self.left_out["the judged bundle has learned from what came after"] += 1
            return []
        own, kept = str(first.model_version), self._kept.pop(first.request_id, None)
        served = self._logged.near(first, own, kept, answer.lists)
        other = self._judged.near(first, self._version or own)
        policies = self._served(served, first)
        for shown in answer.lists:
            slate = other.slates.get(shown.surface)
            if slate is None or len(slate.items) != len(shown.article_ids):
                self.left_out["lists of another length"] += 1
                continue
            policy = Explorer(other.funnel).policy(other.query, shown.surface, other.slates)
            both = _Both(policy, other, policies.get(shown.surface), served, shown)
            found.append(both.compared(rewards[shown.surface]))
        return found

    def _served(self, served: Made, first: Exposed) -> dict[str, tuple[Policy | None, Slate]]:
        """By surface how the served lists came about (None: nothing was left to chance), and the lists."""
        explorer, nonce = Explorer(served.funnel), nonce_of(first.request_id)
        if nonce is None:
            return {}
        seed = served.funnel.state.config.exploration.seed
        given = explorer.explored(served.query, served.slates, Draws(seed, nonce))
        chosen = explorer.policies(served.query, served.slates, given)
        return {name: (chosen.get(name), slate) for name, slate in given.items()}


class _Both:
    """One list under both policies."""

    def __init__(
        self,
        policy: Policy,
        other: Made,
        logged: tuple[Policy | None, Slate] | None,
        served: Made,
        shown: Exposed,
    ) -> None:
        self._policy, self._shown = policy, shown
        self._other, self._served = other.funnel.state.catalog, served.funnel.state.catalog
        self._logged = self._made_again(logged)

    def _made_again(self, logged: tuple[Policy | None, Slate] | None) -> Mixture | None:
        """How the logged list came about, where it comes again with the chances that were logged."""
        if logged is None:
            return None
        policy, slate = logged
        same = [self._served.ids[item.row] for item in slate.items] == list(self._shown.article_ids)
        ours, theirs = chances_of(slate.propensities, len(slate.items)), logged_chances(self._shown)
        if not same or not np.allclose(ours, theirs, rtol=0.0, atol=_CLOSE):
            return None
        return (
            Mixture([(1.0, Alone([item.row for item in slate.items]))]) if policy is None else policy.mixture
        )

    def compared(self, rewards: Sequence[float]) -> Compared:
        """Everything that estimators need."""
        policy, ids = self._policy, self._other.ids
        rows = rows_of(self._other, self._shown.article_ids)
        places = range(len(rows))
        at = [policy.mixture.at(place) for place in places]
        logged_at = None
        if self._logged is not None:
            own = rows_of(self._served, self._shown.article_ids)
            logged_at = [self._logged.at(place).get(row, 0.0) for place, row in enumerate(own)]
        unsupported, unsupported_at = self._unsupported(at)
        return Compared(
            self._shown,
            rewards,
            policy.mixture.chances(rows),
            [_named(policy.mixture.following(rows[:place]), ids) for place in places],
            [_named(each, ids) for each in at],
            [ids[row] for row in policy.rows],
            logged_at,
            unsupported,
            unsupported_at,
        )

    def _unsupported(self, at: Sequence[Mapping[int, float]]) -> tuple[float, float]:
        if self._logged is None:
            return float("nan"), float("nan")
        missing = 0.0
        for number, (share, branch) in enumerate(self._policy.mixture.branches):
            label, draws = f"{self._shown.surface} judged {number}", Draws(0, self._shown.request_id.encode())
            times = 1 if isinstance(branch, Alone) else _SAMPLES
            for sample in range(times):
                rows = drawn(branch, len(at), draws, f"{label} {sample}")
                missing += share / times * (min(self._logged.chances(self._translated(rows))) == 0.0)
        missing_at = 0.0
        for place, chances in enumerate(at):
            known = self._logged.at(place)
            rows = self._translated(list(chances))
            missing_at += sum(
                chance for row, chance in zip(rows, chances.values(), strict=True) if row not in known
            ) / len(at)
        return missing, missing_at

    def _translated(self, rows: Sequence[int]) -> list[int]:
        return rows_of(self._served, [self._other.ids[row] for row in rows])


def rows_of(catalog: Catalog, article_ids: Sequence[str]) -> list[int]:
    """Catalogue rows of ids, -1 for one that is not there."""
    rows = (catalog.row(article_id) for article_id in article_ids)
    return [_NOT_THERE if row is None else row for row in rows]


def chances_of(propensities: Sequence[float | None] | None, count: int) -> list[float]:
    """Propensities of a list, 1 where nothing was left to chance."""
    given = propensities or [None] * count
    return [1.0 if chance is None else chance for chance in given]


def logged_chances(shown: Exposed) -> list[float]:
    """Propensities of a logged list."""
    return chances_of(shown.propensities, len(shown.article_ids))


def _named(chances: Mapping[int, float], ids: Sequence[str]) -> Named:
    return {ids[row]: chance for row, chance in chances.items()}
