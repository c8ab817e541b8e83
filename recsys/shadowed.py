"""Lists that were shown, scored by a bundle that was not in service; and what the clicks say of both.

Hourly segments of JSON lines lie beside the store. A line names the request and no reader.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from recsys.examination import Examination
from recsys.skill import Tally, clicked_places

SUFFIX = ".jsonl"
SCORERS = ("shadow", "in_service")


@dataclass(frozen=True, slots=True)
class Shadowed:
    """One shown list with the scores of two bundles.

    Attributes:
        request_id, surface: of the exposure.
        at: unix seconds.
        shadow, in_service: versions of the two bundles.
        article_ids: as shown, from the first place on.
        scores: of the shadow, None where it knows nothing of an article.
        shown_scores: of the bundle in service.
    """

    request_id: str
    surface: str
    at: float
    shadow: str
    in_service: str | None
    article_ids: tuple[str, ...]
    scores: tuple[float | None, ...]
    shown_scores: tuple[float | None, ...]

    def line(self) -> bytes:
        """As one line of JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)


def folder_of(store_url: str) -> Path | None:
    """Where the scores of shadows lie; None where the store is no file."""
    scheme, _, path = store_url.partition(":///")
    return Path(f"{path}.shadow") if scheme == "sqlite" and path else None


def read_shadowed(folder: Path, version: str) -> Iterator[Shadowed]:
    """The lists that one version scored, each once; a torn end, as a crash leaves it, is left out."""
    seen: set[tuple[str, str]] = set()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    fields: dict[str, Any] = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                for name in ("article_ids", "scores", "shown_scores"):
                    fields[name] = tuple(fields[name])
                found = Shadowed(**fields)
                key = (found.request_id, found.surface)
                if found.shadow == version and key not in seen:
                    seen.add(key)
                    yield found


def compared(lists: Sequence[Shadowed], clicks: Mapping[str, set[str]], examination: Examination) -> Tally:
    """Both bundles on the clicked lists, by ``SCORERS``.

    Args:
        lists: from ``read_shadowed``.
        clicks: clicked articles by request.
        examination: of places; each request counts as a reader of its own.
    """
    tally = Tally(SCORERS)
    for found in lists:
        clicked = clicked_places(found.article_ids, dict.fromkeys(clicks.get(found.request_id, ())))
        missing = float("nan")
        scores = [
            [missing if score is None else score for score in row]
            for row in (found.scores, found.shown_scores)
        ]
        places = examination.of(found.surface, range(1, len(found.article_ids) + 1))
        tally.add(scores, clicked, places, found.request_id)
    return tally
