"""Which sides of experiments a request is under, and what serves them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastapi import Request

from recsys.catalog import UNKNOWN, Catalog
from recsys.experiments.definition import Value
from recsys.experiments.running import Assigned, Running
from recsys.experiments.running import Request as Facts
from serving import guard
from serving.problems import Problem
from serving.served import Served
from serving.service import Service
from serving.wire import ReadParams


class Sides(NamedTuple):
    """What one request is under.

    Attributes:
        served: the bundle, state and configuration that make its lists.
        assigned: the experiments that cover any of them.
    """

    served: Served
    assigned: Sequence[Assigned] = ()

    def of(self, surface: str) -> Assigned | None:
        """The experiment that covers one list."""
        return next((each for each in self.assigned if surface in each.experiment.surfaces), None)

    def told(self, surfaces: Sequence[str]) -> dict[str, str] | None:
        """What the answer says: of several experiments that of the first list that is covered."""
        found = next((each for each in map(self.of, surfaces) if each is not None), None)
        return None if found is None else {"id": found.experiment.id, "variant": found.variant.name}

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
    base, kept, overrides = service.served, [], dict[str, Value]()
    version = None
    for each in assigned:
        wanted = each.variant.model_version
        if wanted is not None and wanted not in _versions(service):
            service.telemetry.sides_missing.labels(each.experiment.id).inc()
            continue
        if wanted is not None and version not in (None, wanted):
            # two bundles cannot make one answer
            continue
        version = version or wanted
        kept.append(each)
        overrides |= each.variant.overrides
    if version is not None and version != base.version:
        base = service.live.beside[version]
    return Sides(base.side(overrides), kept)


def _versions(service: Service) -> set[str]:
    return {service.served.version, *service.live.beside}


def _named(params: ReadParams) -> Mapping[str, str]:
    if params.experiment is None:
        return {}
    name, _, variant = params.experiment.rpartition(":")
    if not name or not variant:
        raise Problem(
            422, f"experiment: {params.experiment!r} names no side; write ID:VARIANT", "experiment"
        )
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


def _name(catalog: Catalog, vocabulary: str, codes: Sequence[int], row: int | None) -> str | None:
    if row is None:
        return None
    names: list[str] = getattr(catalog, vocabulary).names
    return None if codes[row] == UNKNOWN else names[codes[row]]
