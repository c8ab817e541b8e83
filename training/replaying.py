"""A served list made again from the log: the bundle, the articles, the events and the rules of its moment."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.answering import Rival, left_to_chance, lists_of
from recsys.arrivals import apply_all
from recsys.asked import Asked
from recsys.bundle import Registry, open_bundle
from recsys.config import Config, under
from recsys.embedder import embedding_text, text_digest
from recsys.errors import BundleError, DataError
from recsys.experiments.definition import Experiment, Value
from recsys.experiments.running import Run
from recsys.exploration import Draws
from recsys.exploring import Explorer
from recsys.exposed import Exposed, Known
from recsys.lists_before import ListsBefore
from recsys.pipeline import Funnel, Query, Slate
from recsys.profile import reader_key
from recsys.rules_editor import EditorRules
from recsys.schemas import Article
from recsys.snapshot import read_state
from recsys.state import State
from recsys.store import Store
from recsys.trust import nonce_of

# a ranking that is the same for all readers may have been some seconds old (serving/freshness.py)
# a kept ranking was made some milliseconds before the moment that is logged
_CLOSE = 1e-5
Leaning = Callable[[str, float], bool]


@dataclass
class Replayed:
    """One answer made again.

    Attributes:
        request_id: of it.
        lists: by surface, the ids as logged and as made again.
        differences: each in words; none means identical.
        causes: what could not be known again.
    """

    request_id: str
    lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        told = {"identical": not self.differences, "differences": self.differences, "causes": self.causes}
        return {"request_id": self.request_id, **told, "lists": self.lists}


@dataclass(frozen=True)
class Made:
    """Lists of one answer before anything is left to chance.

    Attributes:
        funnel: that made them.
        query: they were made for.
        slates: by surface.
    """

    funnel: Funnel
    query: Query
    slates: Mapping[str, Slate]


class Replayer:
    """Makes answers again; several that follow each other in time share one walk through the log.

    Args:
        registry: holds the bundles.
        store: of the service.
        config: that the service was started with, None for the bundle's own.
        leaned: whether serving leaned away from what a version had learned, at a unix time.
    """

    def __init__(self, registry: Registry, store: Store, config: Config | None, leaned: Leaning) -> None:
        self._registry, self._store, self._config, self._leaned = registry, store, config, leaned
        self._then: _Then | None = None
        with store.snapshot() as snapshot:
            self._rules = dict(snapshot.rules())
            self._runs = [Run.model_validate(run) for _, run in snapshot.experiments()]

    def replay(self, request_id: str) -> Replayed:
        """Make the lists of one answer again.

        Raises:
            DataError: the log does not have it, or not what was asked.
            BundleError: the bundle that answered is gone.
        """
        shown = self._store.find_exposures(request_id)
        if not shown:
            raise DataError(
                f"the log has no list of {request_id!r}: it is older than [serving] exposure_log_days, was "
                "not sampled, was erased with its reader, or depended on no reader (those have a list_id)"
            )
        first, found = shown[0], Replayed(request_id)
        if first.known is None or first.asked is None:
            raise DataError(
                f"the list {request_id!r} came by import or from an older service: nothing to replay"
            )
        asked = Asked.from_json(first.asked)
        version, kept = str(first.model_version), KeptRankings()
        # rankings that were kept from earlier requests are made as of then
        for seq, at in sorted({each.ranked for each in shown if each.ranked is not None}):
            kept.wanted = frozenset(each.surface for each in shown if each.ranked == (seq, at))
            earlier = self._at(version, first.known._replace(event_seq=seq), at)
            self._again(earlier.state, shown, at, asked, kept)
        kept.wanted = frozenset()
        then = self._at(version, first.known, first.ts)
        slates = self._again(then.state, shown, first.ts, asked, kept)
        for each in shown:
            _compare(found, each, slates[each.surface], then.state.catalog.ids)
        found.causes += _causes(found, asked, then)
        return found

    def _again(
        self, state: State, shown: Sequence[Exposed], ts: float, asked: Asked, kept: "KeptRankings"
    ) -> Mapping[str, Slate]:
        first, sides = replace(shown[0], ts=ts), _Sides.of(shown, self._runs)
        made = self._made(state, first, asked, kept, sides.overrides)
        nonce = nonce_of(first.request_id)
        if nonce is None:
            return made.slates
        rival = None
        if sides.drafted is not None:
            one, other = sides.drafted.variants
            theirs = self._under(state, first, {**sides.overrides, **other.overrides})
            rival = Rival(Funnel(theirs), made.query, (one.name, other.name), sides.drafted.surfaces)
        draws = Draws(state.config.exploration.seed, nonce)
        explorer = Explorer(made.funnel)
        return left_to_chance(explorer, made.slates, made.query, draws, rival, asked.page)

    def near(
        self,
        first: Exposed,
        version: str,
        kept: "KeptRankings | None" = None,
        shown: Sequence[Exposed] = (),
    ) -> Made:
        """The lists of an answer before anything is left to chance.

        Unlike ``replay`` it never goes back in the log: what is asked should come in the order of what was
        known, and an article may be known some moments early.

        Args:
            first: a list of the answer, with what was asked and known, and when.
            version: bundle that makes them.
            kept: rankings of earlier moments; those that it wants are put there.
            shown: the answer's lists, to be made under their sides of experiments; without, under none.
        """
        known, then = first.known or Known(0, 0, 0), self._then
        if then is not None and then.version == version:
            known = then.at_least(known)
        state = self._at(version, known, first.ts).state
        asked = Asked.from_json(first.asked or {})
        overrides = _Sides.of(shown, self._runs).overrides if shown else {}
        return self._made(state, first, asked, KeptRankings() if kept is None else kept, overrides)

    def _made(
        self,
        state: State,
        first: Exposed,
        asked: Asked,
        kept: "KeptRankings",
        overrides: Mapping[str, Value],
    ) -> Made:
        kind, name = first.reader
        reader = state.histories.of(reader_key(f"{kind[0]}:{name}"))
        query = self._with_rules(state, asked.query(state.catalog, first.ts, reader), first, asked)
        funnel = Funnel(self._under(state, first, overrides))
        funnel.remember(kept)
        return Made(funnel, query, lists_of(funnel, asked.surfaces, query, asked.page)[0])

    def _under(self, state: State, first: Exposed, overrides: Mapping[str, Value]) -> State:
        """The state as it was read then, by a side and with or without what was learned."""
        config = under(state.config, overrides, "an experiment")
        leaned = self._leaned(str(first.model_version), first.ts)
        return state.under(config.without_learning() if leaned else config)

    def _with_rules(self, state: State, query: Query, first: Exposed, asked: Asked) -> Query:
        version = first.known.rules_version if first.known else 0
        rules, when = (
            EditorRules.of(version, self._rules.get(version, [])),
            datetime.fromtimestamp(first.ts, UTC),
        )
        if not rules.rules:
            return query
        found = {name: rules.for_list(name, when, state.catalog, query.context) for name in asked.surfaces}
        return replace(
            query,
            hidden={name: hidden for name, (hidden, _, _) in found.items()},
            pins={name: pins for name, (_, pins, _) in found.items()},
            boosts={name: boosts for name, (_, _, boosts) in found.items()},
        )

    def _at(self, version: str, known: Known, now: float) -> "_Then":
        then = self._then
        if then is None or then.version != version or not then.is_before(known):
            then = self._then = _Then(self._registry, version, self._store, self._config)
        then.advance(known, now)
        return then


class _Sides(NamedTuple):
    """The experiments that an answer was under.

    Attributes:
        overrides: of all sides, by dotted key.
        drafted: the experiment that interleaved its lists, None without.
    """

    overrides: dict[str, Value]
    drafted: Experiment | None = None

    @classmethod
    def of(cls, shown: Sequence[Exposed], runs: Sequence[Run]) -> "_Sides":
        """From the lists of one answer.

        Raises:
            DataError: an experiment or a side that the store does not know.
        """
        overrides, drafted = dict[str, Value](), None
        # in the order in which they were started, as serving lays one over the other
        names = {each.experiment_id: each.variant for each in shown if each.experiment_id is not None}
        then = [run for run in runs if run.started_at.timestamp() <= shown[0].ts]
        last = {run.experiment.id: run for run in then if run.experiment.id in names}
        if len(last) < len(names):
            gone = ", ".join(names.keys() - last.keys())
            raise DataError(f"the list was under the experiment {gone}, which the store does not know")
        for name, run in sorted(last.items(), key=lambda entry: entry[1].number):
            experiment = run.experiment
            if experiment.kind == "interleaving":
                drafted, side = experiment, experiment.control
            else:
                found = experiment.variant(str(names[name]))
                if found is None:
                    raise DataError(f"the experiment {name} has no variant {names[name]!r}")
                side = found
            overrides |= side.overrides
        return cls(overrides, drafted)


class KeptRankings:
    """Rankings of earlier moments; see ``recsys.slate.Memo``.

    Attributes:
        wanted: surfaces whose rankings are kept now.
    """

    def __init__(self) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._values: dict[Hashable, object] = {}

    def get(self, key: Hashable) -> object | None:
        """What was kept under ``key``."""
        return self._values.get(key)

    def put(self, key: Hashable, value: object) -> None:
        """Keep a ranking of a wanted surface."""
        if isinstance(key, tuple) and key[0] in self.wanted:
            self._values[key] = value


class _Then:
    """A bundle's state that follows the store up to what a worker knew."""

    def __init__(self, registry: Registry, version: str, store: Store, config: Config | None) -> None:
        try:
            bundle = open_bundle(registry.path(version))
        except BundleError as error:
            raise BundleError(f"the bundle that answered cannot be used: {error}") from error
        self.version, self._store = version, store
        self.state = read_state(bundle, config)
        watermark = bundle.manifest["watermark"]
        self._watermark = float("-inf") if watermark is None else float(watermark)
        self._model_id = str(bundle.manifest["embedder"]["model_id"])
        since = None if watermark is None else datetime.fromtimestamp(self._watermark, UTC)
        self._lists = ListsBefore(self.state, store, since)
        self._events = self._articles = self.aged_out = self.vectors_gone = 0

    def is_before(self, known: Known) -> bool:
        """Whether it has followed the store no further than this."""
        return self._events <= known.event_seq and self._articles <= known.article_seq

    def at_least(self, known: Known) -> Known:
        """What was known, or what it has followed already where that is more."""
        return known._replace(
            event_seq=max(known.event_seq, self._events), article_seq=max(known.article_seq, self._articles)
        )

    def advance(self, known: Known, now: float) -> None:
        """Follow the store to what was known at unix time ``now``."""
        history = self._store.article_history(self._articles, known.article_seq)
        self.aged_out += known.article_seq - self._articles - len(history)
        self._articles = known.article_seq
        pairs: list[tuple[Article, NDArray[np.float32] | None]] = []
        for change in history:
            if change.article is None:
                apply_all(self.state, pairs)
                pairs = []
                self.state.remove_article(change.article_id)
            else:
                pairs.append((change.article, self._vector(change.article)))
        apply_all(self.state, pairs)
        self._count(known.event_seq, now)

    def _count(self, upto: int, now: float) -> None:
        while self._events < upto:
            rows = [(seq, event) for seq, event in self._store.events_after(self._events) if seq <= upto]
            self._events = rows[-1][0] if rows else upto
            # what came before the watermark is in the bundle
            fresh = [event for _, event in rows if event.ts.timestamp() > self._watermark]
            for event in fresh:
                # a click counts what its list was expected to be clicked, so the list comes first
                self._lists.upto(event.ts)
            self.state.apply_events(fresh, now)

    def _vector(self, article: Article) -> NDArray[np.float32] | None:
        text = embedding_text(article, self.state.config.embedding.body_chars)
        if not text or not self.state.index.lexical.lexicon.reads(article.language):
            return None
        digest = text_digest(text, self._model_id)
        found = self._store.get_vectors([digest]).get(digest)
        self.vectors_gone += found is None
        return found


def _causes(found: Replayed, asked: Asked, then: _Then) -> list[str]:
    """What could not be known again; a browser's own history always is, the rest where lists differ."""
    causes = ["the browser sent its own history, which is never stored"] if asked.own_history else []
    if found.differences and then.aged_out:
        causes.append(f"{then.aged_out:,} superseded versions of articles are no longer kept")
    if found.differences and then.vectors_gone:
        causes.append(f"{then.vectors_gone:,} articles have no vector in the store")
    if found.differences and not causes:
        causes.append(
            "the service ran with another configuration (--config) or with several workers, left out stages "
            "for want of time, or counted events in another order than that of their times"
        )
    return causes


def _chances(listed: Exposed | Slate) -> list[float]:
    """Propensities of a list, 1 where nothing was left to chance."""
    items = listed.article_ids if isinstance(listed, Exposed) else listed.items
    given = listed.propensities or [None] * len(items)
    return [1.0 if chance is None else chance for chance in given]


def _compare(found: Replayed, logged: Exposed, slate: Slate, ids: Sequence[str]) -> None:
    then, now = list(logged.article_ids), [ids[item.row] for item in slate.items]
    found.lists[logged.surface] = {"logged": then, "again": now}
    for place in range(max(len(then), len(now))):
        was, is_ = (each[place] if place < len(each) else "nothing" for each in (then, now))
        if was != is_:
            found.differences.append(f"{logged.surface} place {place + 1}: {was} was shown, {is_} comes now")
    if then == now:
        for place, (score, item) in enumerate(zip(logged.scores, slate.items, strict=True), 1):
            if score is not None and abs(score - item.score) > _CLOSE * max(1.0, abs(score)):
                found.differences.append(
                    f"{logged.surface} place {place}: the score was {score:.6f}, it is {item.score:.6f} now"
                )
        for place, (was_, is_now) in enumerate(zip(_chances(logged), _chances(slate), strict=True), 1):
            if abs(was_ - is_now) > _CLOSE:
                found.differences.append(
                    f"{logged.surface} place {place}: the propensity was {was_:.6f}, it is {is_now:.6f} now"
                )
    if logged.fallback != slate.fallback:
        found.differences.append(
            f"{logged.surface}: fallback was {logged.fallback}, it is {slate.fallback} now"
        )
