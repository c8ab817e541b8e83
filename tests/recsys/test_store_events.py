"""Events in a SQLite file: one statement for many gives what one for each gives."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.store.sqlite import SqliteStore
from tests.builders import event


@given(
    st.lists(
        st.lists(st.integers(0, 30), max_size=40) | st.integers(200, 900).map(lambda n: list(range(n))),
        max_size=4,
    )
)
def test_numbers_rise_in_the_order_of_arrival_and_repeats_have_none(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    store, known, stored = SqliteStore(str(tmp_path_factory.mktemp("s") / "s.db")), set(), []
    for batch in batches:
        numbers = store.append_events([event(f"e{name}", f"a{at}") for at, name in enumerate(batch)])
        for at, (name, number) in enumerate(zip(batch, numbers, strict=True)):
            assert (number is None) == (name in known)
            if number is not None:
                stored.append((number, f"e{name}", f"a{at}"))
            known.add(name)
    assert all(before[0] < later[0] for before, later in pairwise(stored))
    assert [(seq, e.event_id, e.article_id) for seq, e in store.events_after(0)] == stored
    store.close()
