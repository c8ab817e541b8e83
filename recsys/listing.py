"""The places of a list: what its candidates were scored by, and why each stands there."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import SOURCE_BIT, Candidates, Rows, source_names
from recsys.reasons import OTHERWISE, reason_of
from recsys.slate import Item


def items_of(
    candidates: Candidates,
    rows: Sequence[int],
    pinned: Collection[int] = (),
    winners: Mapping[int, Sequence[str]] | None = None,
) -> list[Item]:
    """The items of a list.

    Args:
        candidates: the list was chosen from them; a pin need not be among them.
        rows: catalogue rows of the list in order.
        pinned: rows that editors put there.
        winners: by row, the lists that wanted it too.
    """
    names, won_from = candidates.names, winners or {}
    places = _places(candidates.rows, rows)
    scored = candidates.take(places[places >= 0])
    found = zip(scored.sources.tolist(), scored.parts.tolist(), strict=True)
    items = []
    for at, (row, place) in enumerate(zip(rows, places.tolist(), strict=True)):
        mask, parts = (0, []) if place < 0 else next(found)
        if row in pinned:
            mask |= SOURCE_BIT["pin"]
        told = reason_of(names, parts) if parts else OTHERWISE
        reason = "Chosen by the editors" if row in pinned else told
        won = tuple(won_from.get(row, ()))
        items.append(Item(row, at + 1, sum(parts), names, parts, source_names(mask), reason, won))
    return items


def _places(rows: Rows, wanted: Sequence[int]) -> NDArray[np.intp]:
    """Where each wanted row stands among ``rows``, -1 where it does not."""
    if list(wanted) == rows[: len(wanted)].tolist():
        return np.arange(len(wanted))
    place_of = {row: place for place, row in enumerate(rows.tolist())}
    return np.array([place_of.get(row, -1) for row in wanted], dtype=np.intp)
