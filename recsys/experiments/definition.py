"""What an experiment is: who takes part, what its sides do differently, what decides.

A definition is TOML, ``[[experiment]]`` with two or more ``[[experiment.variant]]``; docs/experiments.md
explains every key. Once an experiment runs, its definition stays as it was started.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from recsys.schemas import Id, Instant, Surface

METRICS = (
    *("ctr", "clicks_per_reader", "read_seconds_per_reader", "page_views_per_session"),
    *("sessions_per_reader", "diversity", "fresh_share", "latency_ms", "fallback_share", "hides_per_reader"),
)
DEFAULT_GUARDRAIL = "page_views_per_session"
Share = Annotated[float, Field(ge=0, le=1)]
Value = bool | int | float | str | list[Any]


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"{name!r} is no metric; the metrics are {', '.join(METRICS)}")
    return name


Metric = Annotated[str, AfterValidator(_metric)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _flat(value: Any) -> Any:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``: TOML reads dotted keys without quotes as tables."""
    return dict(_leaves(value)) if isinstance(value, Mapping) else value


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, below in value.items():
        if isinstance(below, Mapping):
            yield from _leaves(below, f"{above}{key}.")
        else:
            yield f"{above}{key}", below


class Variant(_Part):
    """One side of an experiment.

    Attributes:
        name: as exposures carry it.
        weight: share of the readers who take part.
        overrides: configuration keys with the values that this side has, ``surfaces.related.diversity``.
        model_version: of the bundle that this side is served from; None for the one in service.
    """

    name: Id
    weight: Annotated[float, Field(gt=0, le=1)]
    overrides: Annotated[dict[str, Value], BeforeValidator(_flat)] = {}
    model_version: Id | None = None


class Guardrail(_Part):
    """A metric that must not be harmed.

    Attributes:
        metric: its name.
        margin: relative harm that is tolerated, 0.01 for one per cent.
    """

    metric: Metric
    margin: Share = 0.0


def _guardrails(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return [{"metric": each} if isinstance(each, str) else each for each in value]


class Eligibility(_Part):
    """Who may take part; what is empty asks for nothing.

    Attributes:
        sites, languages: of the request; a request that does not say takes no part where they are named.
        sections: of the article being read.
    """

    sites: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


class Experiment(_Part):
    """One experiment.

    Attributes:
        id: its name everywhere.
        unit: whom a side is given to: ``user`` (signed in), or ``session`` (a browser).
        surfaces: lists that it changes.
        start, end: from when to when it is planned; outside nobody takes part.
        primary_metric: decides.
        variants: two or more, the first is the control.
        salt: of the assignment; None takes the id.
        guardrails: must not be harmed; page views per session where none is named.
        secondary_metrics: reported, never decide.
        minimum_effect: relative effect worth finding, 0.02 for two per cent.
        holdout: share of readers kept out. Those kept out of one experiment are kept out of every other one
            that has at least the same share, so that a group exists that sees none of them.
        layer: experiments of one layer share no reader; None is a layer of its own.
        traffic: share of the layer's readers.
        assignment: ``hash``, or ``external``: the caller names the side.
        kind: ``ab``, or ``interleaving``: every reader sees one list made of both sides.
        outcome_days: how long after a reader's first exposure the always-valid interval counts.
        eligibility: who may take part.
    """

    id: Id
    unit: Literal["user", "session"]
    surfaces: Annotated[tuple[Surface, ...], Field(min_length=1)]
    start: Instant
    end: Instant
    primary_metric: Metric
    variants: Annotated[tuple[Variant, ...], Field(alias="variant", min_length=2, max_length=16)]
    salt: str | None = None
    guardrails: Annotated[tuple[Guardrail, ...], BeforeValidator(_guardrails)] = (
        Guardrail(metric=DEFAULT_GUARDRAIL),
    )
    secondary_metrics: tuple[Metric, ...] = ()
    minimum_effect: Annotated[float, Field(gt=0, lt=10)] = 0.01
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    layer: Id | None = None
    traffic: Annotated[float, Field(gt=0, le=1)] = 1.0
    assignment: Literal["hash", "external"] = "hash"
    kind: Literal["ab", "interleaving"] = "ab"
    outcome_days: Annotated[float, Field(gt=0, le=90)] = 7.0
    eligibility: Eligibility = Eligibility()

    @model_validator(mode="after")
    def _sides_differ(self) -> "Experiment":
        names = [variant.name for variant in self.variants]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"experiment {self.id}: two variants are called {name!r}; name each once")
        total = math.fsum(variant.weight for variant in self.variants)
        if abs(total - 1.0) > 1e-6:
            raise ValueError(
                f"experiment {self.id}: the weights of its variants sum to {total:g}, not to 1; "
                "to take in fewer readers set `traffic`"
            )
        if self.end <= self.start:
            raise ValueError(f"experiment {self.id}: end = {self.end} is not after start = {self.start}")
        if self.kind == "interleaving" and len(names) != 2:
            raise ValueError(f"experiment {self.id}: interleaving compares two variants, not {len(names)}")
        return self

    @property
    def control(self) -> Variant:
        """The side that others are compared with."""
        return self.variants[0]

    def variant(self, name: str) -> Variant | None:
        """The side of that name."""
        return next((each for each in self.variants if each.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The definition as JSON values, from which it can be made again."""
        return self.model_dump(mode="json", by_alias=True)

    def config_hash(self) -> str:
        """Short hash of the definition: two that differ anywhere have two."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
