"""What was served, as records for the log."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recsys.asked import Asked
from recsys.exposed import Exposed, Known, Ranked
from recsys.pipeline import Query, Slate
from serving.served import Served
from serving.service import Service


@dataclass(frozen=True, slots=True)
class Exposing:
    """One personal answer.

    Attributes:
        service: of the clock and the rules.
        served: what made the lists.
        query: what they were made for.
        request_id: of the answer.
        reader: ``user_id`` or ``session_id``, and the id.
        context_id: article being read.
        own_history: whether the browser sent a history.
    """

    service: Service
    served: Served
    query: Query
    request_id: str
    reader: tuple[str, str]
    context_id: str | None
    own_history: bool = False

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
        served, ids = self.served, self.served.state.catalog.ids
        asked = Asked.of(self.query, surfaces, page, served.state.catalog, self.own_history).to_json()
        known = Known(served.event_seq, served.article_seq, self.service.live.rules.version)
        given = {} if served.memo is None else served.memo.given
        kept = {name: Ranked(mark.events, mark.since) for name, mark in given.items()}
        took = round((time.perf_counter() - started) * 1e3, 3)
        return [
            Exposed(
                request_id=self.request_id,
                surface=surface,
                ts=self.query.now,
                reader=self.reader,
                article_ids=[ids[item.row] for item in slate.items],
                scores=[item.score for item in slate.items],
                sources=[item.sources[0] if item.sources else None for item in slate.items],
                propensities=slate.propensities,
                context_article_id=self.context_id,
                model_version=served.version,
                fallback=slate.fallback,
                took_ms=took,
                known=known,
                asked=asked,
                ranked=kept.get(surface),
            )
            for surface, slate in slates.items()
        ]
