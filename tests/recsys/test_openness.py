"""Which articles are open: the kept masks equal what is worked out anew, whatever changes in between."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.catalog import UNKNOWN, Catalog
from tests.builders import NOW, article

HOURS = st.integers(-3, 3)
CHANGE = st.tuples(
    st.integers(0, 5), HOURS, st.one_of(st.none(), HOURS), st.booleans(), st.sampled_from((None, "en", "de"))
)
ASK = st.tuples(HOURS, st.sampled_from((None, "en", "de")))


def expected(catalog: Catalog, now: float, language: int) -> list[bool]:
    size = len(catalog)
    found = catalog.servable[:size] & ~(catalog.published[:size] > now) & (catalog.expires[:size] > now)
    spoken = catalog.language[:size]
    return (found & ((language == UNKNOWN) | (spoken == language) | (spoken == UNKNOWN))).tolist()


@given(st.lists(st.one_of(CHANGE, ASK), max_size=25))
def test_kept_masks_equal_fresh_ones(steps: list[tuple]) -> None:
    catalog = Catalog()
    for step in steps:
        if len(step) == 5:
            number, published, expires, hidden, language = step
            catalog.put(
                article(
                    f"a{number}",
                    published_at=NOW + timedelta(hours=published),
                    expires_at=None if expires is None else NOW + timedelta(hours=expires),
                    is_hidden=hidden,
                    language=language,
                )
            )
            if published == 3:
                catalog.remove(f"a{number}")
            if hidden:
                catalog.refer(f"only-referred-{number}")
        else:
            now, code = NOW.timestamp() + 3600.0 * step[0], catalog.languages.code(step[1])
            assert catalog.open_at(now, code).tolist() == expected(catalog, now, code)


def test_a_mask_that_was_handed_out_does_not_change() -> None:
    catalog = Catalog.of([article("a"), article("b")])
    before = catalog.open_at(NOW.timestamp())
    catalog.remove("a")
    assert before.tolist() == [True, True]
    assert catalog.open_at(NOW.timestamp()).tolist() == [False, True]
    assert np.shares_memory(catalog.open_at(NOW.timestamp()), catalog.open_at(NOW.timestamp() + 1.0))
