"""Experiments that were started: what was started when, in which part of its layer, and what runs now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from recsys.errors import UsageError
from recsys.experiments.assignment import Sides
from recsys.experiments.definition import Experiment, Variant
from recsys.schemas import Instant

_ROOM = 1e-9


class Run(BaseModel):
    """An experiment as it was started; nothing of it changes but its end and what is said of it.

    Attributes:
        number: of the run, from 1; 0 before the store has given one.
        experiment: its definition, frozen.
        config_hash: of the definition.
        started_at, stopped_at: when; None while it runs.
        low: where its readers begin in its layer, in [0, 1).
        reason: why it was stopped.
        decision: what was decided, in the decider's words.
        reports: what reports said, oldest first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = 0
    experiment: Experiment
    config_hash: str
    started_at: Instant
    stopped_at: Instant | None = None
    low: float = 0.0
    reason: str | None = None
    decision: str | None = None
    reports: tuple[dict[str, Any], ...] = ()

    def runs_at(self, now: datetime) -> bool:
        """Whether readers take part: started, not stopped, inside its dates."""
        return (
            self.stopped_at is None
            and self.started_at <= now
            and self.experiment.start <= now < self.experiment.end
        )

    def stands_at(self, now: datetime) -> bool:
        """Whether its readers are spoken for: not stopped and not over."""
        return self.stopped_at is None and now < self.experiment.end

    def stopped(self, at: datetime, reason: str, decision: str | None = None) -> "Run":
        """The same run, ended."""
        return self.model_copy(update={"stopped_at": at, "reason": reason, "decision": decision})

    def to_json(self) -> dict[str, Any]:
        """As JSON values, from which it can be made again."""
        return self.model_dump(mode="json", by_alias=True)


def begin(experiment: Experiment, runs: Sequence[Run], now: datetime) -> Run:
    """The run that an experiment starts beside those that stand.

    A standing run of the same experiment is replaced: only its weights may have changed, and it keeps its
    place in the layer, so that every reader of a side that grew stays there.

    Args:
        experiment: to be started.
        runs: all that were ever started.
        now: of the start.

    Raises:
        UsageError: it is over, stands already in another form, or shares lists or readers with another.
    """
    if now >= experiment.end:
        raise UsageError(
            f"experiment {experiment.id} ended at {experiment.end.isoformat()}; give it a later `end`"
        )
    standing = [run for run in runs if run.stands_at(now)]
    before = next((run for run in standing if run.experiment.id == experiment.id), None)
    if before is not None and _but_weights(before.experiment) != _but_weights(experiment):
        raise UsageError(
            f"experiment {experiment.id} runs since {before.started_at.isoformat()} with another "
            "definition; while it runs only `weight` may change: stop it first, or give this one another id"
        )
    others = [run for run in standing if run is not before]
    for run in others:
        _require_apart(experiment, run.experiment)
    low = before.low if before is not None else _place(experiment, others)
    return Run(experiment=experiment, config_hash=experiment.config_hash(), started_at=now, low=low)


def _but_weights(experiment: Experiment) -> dict[str, Any]:
    fields = experiment.to_json()
    return {**fields, "variant": [{**each, "weight": None} for each in fields["variant"]]}


def _require_apart(new: Experiment, other: Experiment) -> None:
    shared = sorted(set(new.surfaces) & set(other.surfaces))
    same_layer = new.layer is not None and new.layer == other.layer
    if same_layer and new.unit != other.unit:
        raise UsageError(
            f"experiments {new.id} and {other.id} share the layer {new.layer!r} and divide it by different "
            f"units, {new.unit} and {other.unit}; a person could be in both: give both the same unit"
        )
    if shared and not same_layer:
        raise UsageError(
            f"experiments {new.id} and {other.id} both change {', '.join(shared)}; put both in one `layer` "
            "and give each a share of it with `traffic`, so that no reader is in both"
        )


def _place(experiment: Experiment, others: Iterable[Run]) -> float:
    """The first free place of its layer that is wide enough."""
    if experiment.layer is None:
        return 0.0
    inside = [run for run in others if run.experiment.layer == experiment.layer]
    low = 0.0
    for run in sorted(inside, key=lambda run: run.low):
        if low + experiment.traffic <= run.low + _ROOM:
            return low
        low = max(low, run.low + run.experiment.traffic)
    if low + experiment.traffic <= 1.0 + _ROOM:
        return low
    taken = ", ".join(f"{run.experiment.id} ({run.experiment.traffic:g})" for run in inside)
    raise UsageError(
        f"the layer {experiment.layer!r} has no room for {experiment.traffic:g} of its readers; there are: "
        f"{taken}. Stop one, or lower `traffic`"
    )


class Request(NamedTuple):
    """What of a request decides whether it is under an experiment.

    Attributes:
        user_id, session_id: of the reader, None where not told or not proved.
        surfaces: lists asked for.
        site, language, section: of the request and the article being read, None where unknown.
        named: sides that the caller names, by experiment id.
        may_override: whether the caller may name sides of experiments that assign by hash.
    """

    user_id: str | None
    session_id: str | None
    surfaces: Sequence[str]
    site: str | None = None
    language: str | None = None
    section: str | None = None
    named: Mapping[str, str] = {}
    may_override: bool = False


class Assigned(NamedTuple):
    """A side for one request.

    Attributes:
        experiment, variant: which.
        counts: whether what is shown belongs to the experiment; what somebody asked to see does not.
    """

    experiment: Experiment
    variant: Variant
    counts: bool = True


class Running:
    """What runs, for requests to look up.

    Args:
        runs: all that were ever started.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs = [(run, Sides(run.experiment, run.low)) for run in runs if run.stopped_at is None]

    @classmethod
    def of(cls, stored: Iterable[Mapping[str, Any]]) -> "Running":
        """From what a store keeps."""
        return cls(Run.model_validate(each) for each in stored)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def find(self, name: str) -> Experiment | None:
        """The definition of one that was started and not stopped."""
        return next((run.experiment for run, _ in self._runs if run.experiment.id == name), None)

    def versions(self, now: datetime) -> set[str]:
        """Bundles that sides are served from, of all that run or will."""
        return {
            variant.model_version
            for run, _ in self._runs
            if run.stands_at(now)
            for variant in run.experiment.variants
            if variant.model_version is not None
        }

    def of_request(self, request: Request, now: datetime) -> list[Assigned]:
        """The sides that a request is under, at most one for each of its lists."""
        found = []
        for run, sides in self._runs:
            experiment = run.experiment
            reader = request.user_id if experiment.unit == "user" else request.session_id
            if reader is None or not run.runs_at(now) or not _is_eligible(experiment, request):
                continue
            named = request.named.get(experiment.id)
            if named is not None and (experiment.assignment == "external" or request.may_override):
                variant = experiment.variant(named)
                counts = experiment.assignment == "external"
            else:
                variant = None if experiment.assignment == "external" else sides.of(reader)
                counts = True
            if variant is not None:
                found.append(Assigned(experiment, variant, counts))
        return found


def _is_eligible(experiment: Experiment, request: Request) -> bool:
    wanted = experiment.eligibility
    return (
        not set(experiment.surfaces).isdisjoint(request.surfaces)
        and (not wanted.sites or request.site in wanted.sites)
        and (not wanted.languages or request.language in wanted.languages)
        and (not wanted.sections or request.section in wanted.sections)
    )
