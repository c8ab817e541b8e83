"""The carrier keeps its arrays together."""

import numpy as np

from recsys.candidates import SOURCE_BIT, Candidates, source_names


def made() -> Candidates:
    groups = [("latest", np.array([5, 1, 3], np.int32)), ("similar", np.array([3, 7], np.int32))]
    return Candidates.union(groups)


def test_an_article_of_two_generators_stands_once_with_both_sources() -> None:
    found = made()
    assert found.rows.tolist() == [1, 3, 5, 7]
    assert source_names(int(found.sources[1])) == ["similar", "latest"]
    assert found.sources[3] == SOURCE_BIT["similar"]


def test_the_score_is_the_sum_of_its_parts_also_after_one_more() -> None:
    parts = np.arange(8.0).reshape(4, 2)
    scored = made().with_parts(parts, ("a", "b")).plus_part("c", np.ones(4))
    np.testing.assert_allclose(scored.scores, parts.sum(axis=1) + 1)
    np.testing.assert_allclose(scored.parts.sum(axis=1), scored.scores)
    assert scored.names == ("a", "b", "c")


def test_take_moves_every_array_alike() -> None:
    scored = made().with_parts(np.arange(4.0)[:, None], ("a",))
    taken = scored.take(np.array([3, 0]))
    assert taken.rows.tolist() == [7, 1]
    assert taken.scores.tolist() == [3.0, 0.0]
    assert taken.parts[:, 0].tolist() == [3.0, 0.0]


def test_ties_break_by_recency_then_by_id_and_unknown_ages_come_last() -> None:
    tied = made().with_parts(np.zeros((4, 1)), ("a",))
    published = np.array([10.0, np.nan, 20.0, 10.0])
    ordered = tied.ordered(published, lambda rows: -rows)
    assert ordered.rows.tolist() == [5, 7, 1, 3]


def test_nothing_joined_with_nothing_is_nothing() -> None:
    assert len(Candidates.union([("latest", np.zeros(0, np.int32))])) == 0
