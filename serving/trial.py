"""Whether a loaded bundle may go into service: it is asked what was asked lately, and must answer."""

import math
from collections.abc import Sequence
from dataclasses import replace

from recsys.asked import Asked, past_like
from recsys.errors import BundleError
from recsys.pipeline import Slate
from serving.served import Served

_FULL = 10
LISTS = ("related", "popular", "latest", "must_reads")


def answer(served: Served, asked: Asked, now: float) -> dict[str, Slate]:
    """The lists of one request, with a made-up past where it had a reader."""
    catalog = served.state.catalog
    query = asked.query(catalog, now, past_like(catalog) if asked.for_reader else None)
    if query.context is None and asked.context_id is None and "related" in asked.surfaces:
        newest = catalog.newest()
        query = replace(query, context=int(newest[0]) if len(newest) else None)
    if asked.page:
        return served.funnel.page(asked.surfaces, query)[0]
    return {asked.surfaces[0]: served.funnel.slate(asked.surfaces[0], query)}


def is_full(served: Served, surface: str, now: float) -> bool:
    """Whether a list has all its places."""
    slates = answer(served, Asked((surface,), page=False, limit=_FULL), now)
    return len(slates[surface].items) >= _FULL


def require_good(served: Served, asked: Sequence[Asked], full: frozenset[str], now: float) -> None:
    """Ask a bundle everything; it is warm afterwards.

    Args:
        served: not in service yet.
        asked: requests that it must answer.
        full: lists that have all their places with the bundle in service.
        now: unix seconds.

    Raises:
        BundleError: nothing may be listed, a request raises, a score is no number, or a list is short
            that is full now.
    """
    version = served.version
    for each in asked:
        told = f"{'page' if each.page else 'list'} {','.join(each.surfaces)}"
        try:
            slates = answer(served, each, now)
        except Exception as error:  # whatever it raises would be a failed request in service
            raise BundleError(
                f"bundle {version} cannot answer a request of the kind that is asked ({told}): {error!r}; "
                "the one in service stays; train again"
            ) from error
        for slate in slates.values():
            _require_items(served, slate, told)
    short = [name for name in sorted(full) if not is_full(served, name, now)]
    if short:
        raise BundleError(
            f"bundle {version} leaves lists short that are full now ({', '.join(short)}): it has "
            f"{len(served.state.catalog.newest()):,} articles to show; train it on the whole catalogue, or "
            "start the service anew with it if that is what you want"
        )


def _require_items(served: Served, slate: Slate, told: str) -> None:
    cards = served.state.catalog.cards
    for item in slate.items:
        if not math.isfinite(item.score) or cards[item.row] is None:
            raise BundleError(
                f"bundle {served.version} answers a request ({told}) with an article without score or "
                "card; the one in service stays; train again"
            )


def require_articles(served: Served, now: float) -> None:
    """Raise a ``BundleError`` if there is nothing that may be listed."""
    catalog = served.state.catalog
    newest = catalog.newest()
    if not len(newest) or not (~(catalog.published[newest] > now) & (catalog.expires[newest] > now)).any():
        raise BundleError(
            f"bundle {served.version} has no article that may be listed now; the one in service stays"
        )
