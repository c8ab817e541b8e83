"""From checked parameters to an answer: the lists of one request."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi import Request

from recsys.answering import Rival, left_to_chance, lists_of
from recsys.exploration import Draws
from recsys.pipeline import Query, Slate
from serving import answers, guard, wire
from serving.device import device_of
from serving.exposing import Exposing
from serving.pace import Stopwatch
from serving.problems import Problem
from serving.reply import Reply
from serving.served import Served
from serving.service import Service
from serving.sides import Sides, sides_of
from serving.trust import new_nonce
from serving.wire import ReadParams


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for lists.

    Attributes:
        params: checked.
        surfaces: the lists, in order.
        article_id, url: what names the article being read.
        history: what the browser keeps of its reader's past, oldest first.
        page: whether the answer is a page of lists.
        started: ``perf_counter`` at which the request came in.
    """

    params: ReadParams
    surfaces: list[str]
    article_id: str | None = None
    url: str | None = None
    history: Sequence[str] = ()
    page: bool = False
    started: float = 0.0


def serve(service: Service, request: Request, asked: Asked) -> Reply:
    """The answer.

    Raises:
        Problem: who may not ask, and with ``strict`` what is unknown.
    """
    if not service.ready:
        raise Problem(
            503, "the service is starting or stopping; try again shortly", headers={"Retry-After": "1"}
        )
    guard.require_read(request, service.keys)
    service.urgent.look()
    served, params = service.current(), asked.params
    who = wire.reader_of(service, request, params)
    context = wire.context_row(served, asked.article_id, asked.url, params.strict)
    if params.strict and who is not None and asked.surfaces == ["for_you"]:
        _require_known(served, who)
    sides = sides_of(service, request, params, asked.surfaces, who, context[0])
    if sides.served is not served:
        served = service.current(sides.served)
    watch = _stopwatch(service, asked)
    query = _query(service, served, asked, who, watch)
    context_id = served.state.catalog.ids[query.context] if query.context is not None else asked.article_id
    told = sides.told(asked.surfaces)
    answer = answers.Answer(service, served, context_id, params.explain, asked.page, told)
    if who is None and not asked.history:
        slates = _slates(service, served, asked, query)
        watch.begins("encoding")
        reply = answer.public(slates)
        watch.finish()
        service.telemetry.staged(watch.stages, watch.candidates)
        reply.lasting = not watch.left_out
        return reply
    return _personal(service, sides, asked, query, who, answer, watch, device_of(request))


def _query(
    service: Service, served: Served, asked: Asked, who: tuple[str, str] | None, watch: Stopwatch | None
) -> Query:
    """What is asked, in the rows of one bundle, with the editors' rules."""
    context = wire.context_row(served, asked.article_id, asked.url, asked.params.strict)
    reader = wire.past_of(served, who, asked.history)
    query = wire.query_of(service, served, asked.params, context, reader, watch)
    return wire.with_rules(service, served, query, asked.surfaces)


def _stopwatch(service: Service, asked: Asked) -> Stopwatch:
    budget = None if asked.params.timeout_ms is None else asked.params.timeout_ms / 1e3
    return Stopwatch(service.costs, asked.started or time.perf_counter(), budget)


def _personal(
    service: Service,
    sides: Sides,
    asked: Asked,
    query: Query,
    who: tuple[str, str] | None,
    answer: answers.Answer,
    watch: Stopwatch,
    device: str | None,
) -> Reply:
    nonce, served = new_nonce(), sides.served
    # a history that the browser keeps is not logged, so what follows from it is not either
    if not asked.history and service.features.wants(nonce.hex(), served):
        query = replace(query, witness=[])
    slates = _slates(service, served, asked, query)
    if who is not None:
        watch.begins("exploration")
        draws = Draws(served.state.config.exploration.seed, nonce)
        rival = _rival(service, sides, asked, who)
        slates = left_to_chance(served.explorer, slates, query, draws, rival, asked.page)
    watch.begins("encoding")
    request_id, reply = answer.personal(slates, who, nonce)
    watch.finish()
    service.telemetry.staged(watch.stages, watch.candidates)
    if query.witness:
        service.features.take(served, request_id, query.now, answer.context_id, query.witness)
    if answer.experiment is not None:
        service.telemetry.sides.labels(answer.experiment["id"], answer.experiment["variant"]).inc()
    if who is not None and sides.counts:
        own, session_id = bool(asked.history), asked.params.session_id
        exposed = Exposing(service, sides, query, request_id, who, answer.context_id, own, session_id, device)
        service.exposures.take(exposed.of(slates, asked.surfaces, asked.page, asked.started))
    return reply


def _rival(service: Service, sides: Sides, asked: Asked, who: tuple[str, str]) -> Rival | None:
    if sides.rival is None or sides.drafted is None:
        return None
    names = (sides.drafted.variants[0].name, sides.drafted.variants[1].name)
    query = _query(service, sides.rival, asked, who, None)
    return Rival(sides.rival.funnel, query, names, sides.drafted.surfaces)


def _slates(service: Service, served: Served, asked: Asked, query: Query) -> dict[str, Slate]:
    slates, lost = lists_of(served.funnel, asked.surfaces, query, asked.page)
    if asked.page:
        service.telemetry.utility_lost.observe(lost)
    if service.live.is_behind():
        slates = {n: replace(one, fallback=one.fallback or "store_behind") for n, one in slates.items()}
    service.live.asked.note(served, query, asked.surfaces, asked.page)
    for name, slate in slates.items():
        if slate.fallback is not None:
            service.telemetry.fallback(name, slate.fallback)
    return slates


def _require_known(served: Served, who: tuple[str, str]) -> None:
    past = wire.past_of(served, who, [])
    if past is None or len(past.rows) == 0:
        raise Problem(404, "nothing is known of this reader", who[0])
