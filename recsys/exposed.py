"""A served list on its way to the log: plain slots, and one line of JSON straight from them.

The line is a canonical exposure with two more fields: what was known when the list was made, and what
was asked, from which the list can be made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from recsys.schemas import Exposure, ExposureItem


class Known(NamedTuple):
    """How far a worker had followed the store: last event, change of an article, version of the rules."""

    event_seq: int
    article_seq: int
    rules_version: int


class Ranked(NamedTuple):
    """What a ranking rested on that was kept from an earlier request: its last event, its unix time."""

    event_seq: int
    at: float


class Kept(Exposure):
    """An exposure with what its log knows beyond the canonical fields.

    Attributes:
        known: see ``Exposed``.
        asked: see ``Exposed``.
        ranked: see ``Exposed``.
    """

    known: Known | None = None
    asked: dict[str, Any] | None = None
    ranked: Ranked | None = None


@dataclass(slots=True)
class Exposed:
    """A list that was served.

    Attributes:
        request_id: of the answer; with ``surface`` the key.
        surface: kind of the list.
        ts: unix seconds.
        reader: ``user_id`` or ``session_id``, and the id.
        article_ids: the n listed, from the first place on.
        scores, sources: n each, None where there is none.
        propensities: n in (0, 1]; None where all are 1.
        session_id: of the browser, where the reader is a user.
        context_article_id: the article being read.
        experiment_id, variant, model_version, device, site, fallback: as in ``Exposure``.
        took_ms: milliseconds.
        known: what the worker knew.
        asked: values of the query that JSON can hold.
        ranked: of a ranking that was kept; None where it was made for this list.

    Example:
        >>> Exposed("r", "latest", 0.0, ("user_id", "u"), ["a"], [0.5], ["latest"]).line()[:40]
        b'{"request_id":"r","surface":"latest","ts'
    """

    request_id: str
    surface: str
    ts: float
    reader: tuple[str, str]
    article_ids: Sequence[str]
    scores: Sequence[float | None]
    sources: Sequence[str | None]
    propensities: Sequence[float | None] | None = None
    session_id: str | None = None
    context_article_id: str | None = None
    experiment_id: str | None = None
    variant: str | None = None
    model_version: str | None = None
    device: str | None = None
    site: str | None = None
    fallback: str | None = None
    took_ms: float | None = None
    known: Known | None = None
    asked: Mapping[str, Any] | None = None
    ranked: Ranked | None = None

    def line(self) -> bytes:
        """One line of JSON; fields without a value are left out."""
        places = zip(
            self.article_ids,
            self.scores,
            (1.0,) * len(self.article_ids) if self.propensities is None else self.propensities,
            self.sources,
            strict=True,
        )
        items = [
            {"article_id": name, "position": at, "score": score, "propensity": chance, "source": source}
            for at, (name, score, chance, source) in enumerate(places, 1)
        ]
        kind, reader_id = self.reader
        found = {
            "request_id": self.request_id,
            "surface": self.surface,
            "ts": datetime.fromtimestamp(self.ts, UTC),
            kind: reader_id,
            "items": items,
        }
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None:
                found[name] = value
        return orjson.dumps(found, tuple, _OPTIONS)


_OPTIONAL = (
    *(
        "session_id",
        "context_article_id",
        "experiment_id",
        "variant",
        "model_version",
        "device",
        "site",
        "fallback",
    ),
    *("took_ms", "known", "asked", "ranked"),
)
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY


def line_of(shown: Exposure | Exposed) -> bytes:
    """The line of a list, in either form."""
    if isinstance(shown, Exposed):
        return shown.line()
    return orjson.dumps(shown.model_dump(exclude_defaults=True), tuple, _OPTIONS)


def seconds_of(shown: Exposure | Exposed) -> float:
    """Unix seconds of a list, in either form."""
    return shown.ts if isinstance(shown, Exposed) else shown.ts.timestamp()


def exposure_of_line(line: bytes) -> Exposure:
    """The exposure of a line; of our own lines, which were checked when they were written."""
    fields = orjson.loads(line)
    fields["ts"] = datetime.fromisoformat(fields["ts"])
    fields["items"] = [ExposureItem.model_construct(**item) for item in fields["items"]]
    if fields.get("known") is None and fields.get("asked") is None:
        return Exposure.model_construct(**fields)
    if fields.get("known") is not None:
        fields["known"] = Known(*fields["known"])
    if fields.get("ranked") is not None:
        fields["ranked"] = Ranked(*fields["ranked"])
    return Kept.model_construct(**fields)


def exposed_of_line(line: bytes) -> Exposed:
    """The slots of a line; positions follow from the order of its items."""
    fields = orjson.loads(line)
    items = fields.pop("items")
    kind = "user_id" if fields.get("user_id") is not None else "session_id"
    known, ranked = fields.get("known"), fields.get("ranked")
    reader_id = fields.pop(kind)
    return Exposed(
        fields["request_id"],
        fields["surface"],
        datetime.fromisoformat(fields["ts"]).timestamp(),
        (kind, reader_id),
        tuple(item["article_id"] for item in items),
        tuple(item.get("score") for item in items),
        tuple(item.get("source") for item in items),
        tuple(item.get("propensity") for item in items),
        known=None if known is None else Known(*known),
        ranked=None if ranked is None else Ranked(*ranked),
        **{name: fields.get(name) for name in _OPTIONAL if name not in ("known", "ranked")},
    )
