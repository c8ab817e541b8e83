"""What was served, as records for the log."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.asked import Asked
from recsys.exposed import Exposed, Known, Ranked
from recsys.pipeline import Query, Slate
from serving.service import Service
from serving.sides import Sides


@dataclass(frozen=True, slots=True)
class Exposing:
    """One personal answer.

    Attributes:
        service: of the clock and the rules.
        sides: what made the lists, under which experiments.
        query: what they were made for.
        request_id: of the answer.
        reader: ``user_id`` or ``session_id``, and the id.
        context_id: article being read.
        own_history: whether the browser sent a history.
        session_id: of the browser, also where the reader is a user.
        device: that the request came from.
    """

    service: Service
    sides: Sides
    query: Query
    request_id: str
    reader: tuple[str, str]
    context_id: str | None
    own_history: bool = False
    session_id: str | None = None
    device: str | None = None

    def of(
        self, slates: Mapping[str, Slate], surfaces: Sequence[str], page: bool, started: float
    ) -> list[Exposed]:
        """One record for each list.

        Args:
            slates: the lists by surface.
            surfaces: in the order asked for.
            page: whether they were assembled jointly.
            started: ``perf_counter`` at which the request came in.
        """
        served = self.sides.served
        asked = Asked.of(self.query, surfaces, page, served.state.catalog, self.own_history).to_json()
        known = Known(served.event_seq, served.article_seq, self.service.live.rules.version)
        given = {} if served.memo is None else served.memo.given
        kept = {name: Ranked(mark.events, mark.since) for name, mark in given.items()}
        shared = {
            "session_id": self.session_id if self.reader[0] == "user_id" else None,
            "context_article_id": self.context_id,
            "model_version": served.version,
            "device": self.device,
            "took_ms": round((time.perf_counter() - started) * 1e3, 3),
            "known": known,
            "asked": asked,
        }
        return [self._exposed(slate, kept.get(surface), shared) for surface, slate in slates.items()]

    def _exposed(self, slate: Slate, kept: Ranked | None, shared: Mapping[str, Any]) -> Exposed:
        ids, side = self.sides.served.state.catalog.ids, self.sides.of(slate.surface)
        return Exposed(
            request_id=self.request_id,
            surface=slate.surface,
            ts=self.query.now,
            reader=self.reader,
            article_ids=[ids[item.row] for item in slate.items],
            scores=[item.score for item in slate.items],
            sources=[item.sources[0] if item.sources else None for item in slate.items],
            propensities=slate.propensities,
            experiment_id=None if side is None else side[0].id,
            variant=None if side is None else side[1],
            fallback=slate.fallback,
            ranked=kept,
            **shared,
        )
