"""A served list and its line: canonical, with what else the log knows."""

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from recsys.exposed import Exposed, Kept, Known, exposed_of_line, exposure_of_line, line_of
from recsys.schemas import SURFACES, Exposure, ExposureItem

ids = st.text('aZ9é🌧丸-"', min_size=1, max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
chances = st.floats(0.0, 1.0, exclude_min=True)


@st.composite
def shown(draw: st.DrawFn) -> Exposed:
    names = draw(st.lists(ids, max_size=5))
    several: Any = {"min_size": len(names), "max_size": len(names)}
    maybe = st.none() | ids
    kind = draw(st.sampled_from(["user_id", "session_id"]))
    return Exposed(
        draw(ids),
        draw(st.sampled_from(SURFACES)),
        # what a microsecond is a part of
        round(draw(st.floats(0, 4e9)), 3),
        (kind, draw(ids)),
        tuple(names),
        tuple(draw(st.lists(st.none() | numbers, **several))),
        tuple(draw(st.lists(maybe, **several))),
        tuple(draw(st.lists(chances, **several))),
        draw(maybe) if kind == "user_id" else None,
        *(draw(maybe) for _ in range(7)),
        took_ms=draw(st.none() | st.floats(0, 1e9)),
        known=draw(st.none() | st.builds(Known, *3 * [st.integers(0, 2**53)])),
        asked=draw(st.none() | st.dictionaries(ids, numbers | st.lists(ids, max_size=2), max_size=3)),
    )


@given(shown())
def test_a_line_is_a_canonical_exposure_and_gives_the_slots_back(exposed: Exposed) -> None:
    line = exposed.line()
    assert line.endswith(b"\n")
    assert exposed_of_line(line) == exposed
    fields = orjson.loads(line)
    known, asked = fields.pop("known", None), fields.pop("asked", None)
    canonical = Exposure.model_validate(fields)
    assert [item.article_id for item in canonical.items] == list(exposed.article_ids)
    assert [item.propensity for item in canonical.items] == list(exposed.propensities or ())
    read = exposure_of_line(line)
    assert {name: getattr(read, name) for name in Exposure.model_fields} == dict(canonical)
    assert isinstance(read, Kept) == (known is not None or asked is not None)
    assert line_of(read) == line_of(exposure_of_line(line_of(read)))
    assert exposed_of_line(line_of(read)) == exposed


def test_without_propensities_every_place_was_certain() -> None:
    exposed = Exposed("r", "latest", 0.5, ("session_id", "s"), ["a", "b"], [1.0, None], [None, "latest"])
    assert exposure_of_line(exposed.line()) == Exposure(
        request_id="r",
        surface="latest",
        ts=datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        session_id="s",
        items=[
            ExposureItem(article_id="a", position=1, score=1.0, propensity=1.0),
            ExposureItem(article_id="b", position=2, propensity=1.0, source="latest"),
        ],
    )
