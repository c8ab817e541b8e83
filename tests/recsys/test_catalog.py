"""The catalogue keeps what it was told, also through a restart."""

import numpy as np
import pytest

from recsys.catalog import Catalog, canonical_url
from tests.builders import article


def test_a_restored_catalogue_is_the_same() -> None:
    made = Catalog.of(
        [
            article(
                "a",
                section="World",
                language="en",
                editor_priority=0.5,
                story_id="s",
                sensitivity=["tragedy"],
                tags=["Berlin", "election"],
            ),
            article("b", url="https://www.example.org/b?x=1", is_hidden=True),
        ]
    )
    made.refer("only-mentioned")
    columns, names = made.state()
    again = Catalog.restore(columns, names)
    for name in ("published", "servable", "section", "language", "story", "priority"):
        np.testing.assert_array_equal(getattr(again, name)[:3], getattr(made, name)[:3])
    assert again.ids == made.ids
    assert again.row_by_url("http://example.org/b/") == 1
    assert again.sensitivity == {0: frozenset(["tragedy"])}
    assert again.tags == {0: frozenset(["Berlin", "election"])}
    assert [again.is_known(row) for row in range(3)] == [True, True, False]
    assert again.newest().tolist() == made.newest().tolist() == [0]


def test_an_article_joins_the_references_that_came_before_it() -> None:
    catalog = Catalog()
    row = catalog.refer("late")
    assert not catalog.servable[row]
    assert catalog.put(article("late")) == row
    assert catalog.servable[row]


def test_unknown_dates_come_last_and_ties_go_by_id() -> None:
    catalog = Catalog.of(
        [article("b"), article("x", published_at=None), article("a"), article("new", hours_old=1)]
    )
    assert [catalog.ids[row] for row in catalog.newest()] == ["new", "a", "b", "x"]


def test_growth_keeps_every_row() -> None:
    catalog = Catalog.of([article(f"a{i}", hours_old=float(i)) for i in range(500)])
    assert [catalog.ids[row] for row in catalog.newest()] == [f"a{i}" for i in range(500)]


@pytest.mark.parametrize(
    "url", ["https://Example.org/a/", "http://www.example.org/a?utm=1", "//example.org/a#x", "example.org/a"]
)
def test_spellings_of_one_url_are_one(url: str) -> None:
    assert canonical_url(url) == "example.org/a"


def test_the_template_gives_articles_without_url_one() -> None:
    catalog = Catalog.of([article("a")], url_template="https://site.test/{article_id}")
    assert b'"url":"https://site.test/a"' in (catalog.cards[0] or b"")
