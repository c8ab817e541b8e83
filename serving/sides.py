"""Which sides of experiments a request is under, and what serves them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from recsys.catalog import UNKNOWN, Catalog
from recsys.experiments.definition import Experiment, Value
from recsys.experiments.running import Assigned, Running
from recsys.experiments.running import Request as Facts
from serving import guard
from serving.problems import Problem
from serving.served import Served
from serving.service import Service
from serving.wire import ReadParams

INTERLEAVED = "interleaved"


class Sides(NamedTuple):
    """What one request is under.

    Attributes:
        served: the bundle, state and configuration that make its lists.
        assigned: the experiments that cover any of them.
        rival: makes the lists that these are interleaved with, None where nothing is.
        drafted: the experiment that interleaves.
    """

    served: Served
    assigned: Sequence[Assigned] = ()
    rival: Served | None = None
    drafted: Experiment | None = None

    def of(self, surface: str) -> tuple[Experiment, str] | None:
        """The experiment that covers one list, and the name of its side."""
        for each in self.assigned:
            if surface in each.experiment.surfaces:
                interleaves = each.experiment.kind == "interleaving"
                return each.experiment, INTERLEAVED if interleaves else each.variant.name
        return None

    def told(self, surfaces: Sequence[str]) -> dict[str, str] | None:
        """What the answer says: of several experiments that of the first list that is covered."""
        found = next((each for each in map(self.of, surfaces) if each is not None), None)
        return None if found is None else {"id": found[0].id, "variant": found[1]}

    @property
    def counts(self) -> bool:
        """Whether the answer belongs into the log: not where somebody asked to see a side."""
        return all(each.counts for each in self.assigned)


def sides_of(
    service: Service,
    request: Request,
    params: ReadParams,
    surfaces: Sequence[str],
    who: tuple[str, str] | None,
    context: int | None,
) -> Sides:
    """The sides of one request; one that nobody reads, or that no experiment covers, is under none.

    Args:
        service: of the experiments.
        request: for the key that it carries.
        params: checked.
        surfaces: lists asked for.
        who: the reader.
        context: row of the article being read, in the bundle in service.

    Raises:
        Problem: ``experiment`` names what it cannot.
    """
    served, running = service.served, service.live.running
    named, may_override = _named(params), False
    if named:
        may_override = guard.has_secret(request, service.keys)
        _require_allowed(running, named, may_override)
    if who is None or not running:
        return Sides(served)
    catalog = served.state.catalog
    facts = Facts(
        user_id=who[1] if who[0] == "user_id" else None,
        session_id=params.session_id,
        surfaces=surfaces,
        site=params.site or _name(catalog, "sites", catalog.site, context),
        language=params.language or _name(catalog, "languages", catalog.language, context),
        section=_name(catalog, "sections", catalog.section, context),
        named=named,
        may_override=may_override,
    )
    found = running.of_request(facts, service.clock.instant())
    return _served(service, found) if found else Sides(served)


def _served(service: Service, assigned: Sequence[Assigned]) -> Sides:
    """What serves these sides; one whose bundle is not there is left out, and so is not counted."""
    kept: list[Assigned] = []
    overrides: dict[str, Value] = {}
    version, drafted = None, None
    for each in assigned:
        interleaves = each.experiment.kind == "interleaving"
        sides = each.experiment.variants if interleaves else (each.variant,)
        missing = {side.model_version for side in sides} - {None, *_versions(service)}
        if missing:
            service.telemetry.sides_missing.labels(each.experiment.id).inc()
            continue
        first = sides[0]
        if (interleaves and drafted) or (first.model_version and version not in (None, first.model_version)):
            # one answer comes from one bundle, and of two sides at most
            continue
        version, drafted = version or first.model_version, each.experiment if interleaves else drafted
        kept.append(each)
        overrides |= first.overrides
    base = _bundle(service, version)
    if drafted is None:
        return Sides(base.side(overrides), kept)
    other = drafted.variants[1]
    rival = base if other.model_version is None else _bundle(service, other.model_version)
    return Sides(base.side(overrides), kept, rival.side(overrides | other.overrides), drafted)


def _bundle(service: Service, version: str | None) -> Served:
    return service.served if version in (None, service.served.version) else service.live.beside[str(version)]


def _versions(service: Service) -> set[str]:
    return {service.served.version, *service.live.beside}


def _named(params: ReadParams) -> Mapping[str, str]:
    if params.experiment is None:
        return {}
    name, _, variant = params.experiment.rpartition(":")
    if not name or not variant:
        raise Problem(422, f"experiment: {params.experiment!r} names no side; write ID:VARIANT", "experiment")
    return {name: variant}


def _require_allowed(running: Running, named: Mapping[str, str], may_override: bool) -> None:
    for name, wanted in named.items():
        experiment = running.find(name)
        if experiment is None:
            continue
        if experiment.variant(wanted) is None:
            known = ", ".join(variant.name for variant in experiment.variants)
            raise Problem(422, f"experiment: {name} has no variant {wanted!r}; it has {known}", "experiment")
        if experiment.assignment == "hash" and not may_override:
            raise Problem(
                403,
                f"experiment: the service assigns the readers of {name}; with the secret key a side can be "
                "looked at",
                "experiment",
            )


def _name(catalog: Catalog, vocabulary: str, codes: NDArray[np.int32], row: int | None) -> str | None:
    if row is None:
        return None
    names: list[str] = getattr(catalog, vocabulary).names
    return None if codes[row] == UNKNOWN else names[codes[row]]
