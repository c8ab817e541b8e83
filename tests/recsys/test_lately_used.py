"""Places of keys in the order of use."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from recsys.lately_used import LatelyUsed

_CALLS = st.lists(st.tuples(st.sampled_from(("take", "first to go", "use", "drop")), st.integers(0, 200)))


@given(st.lists(st.integers(0, 200), unique=True, max_size=20), _CALLS)
def test_keys_stand_in_the_order_of_use_and_no_place_is_held_twice(
    begun: list[int], calls: list[tuple[str, int]]
) -> None:
    used, expected = LatelyUsed(begun), OrderedDict((key, place) for place, key in enumerate(begun))
    for what, key in calls:
        if what == "drop":
            assert used.drop(key) == expected.pop(key, None)
        elif key in expected:
            used.use(expected[key])
            expected.move_to_end(key)
        elif what != "use":
            expected[key] = used.take(key, newest=what == "take")
            expected.move_to_end(key, last=what == "take")
        assert list(used) == list(expected.items())
        assert len(set(expected.values())) == len(expected) == len(used)
        assert max(expected.values(), default=0) <= len(begun) + len(calls)
        assert [used.get(one) for one in range(201)] == [expected.get(one) for one in range(201)]
        if expected:
            assert used.oldest() == next(iter(expected))
