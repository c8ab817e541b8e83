"""Text is clean after one pass, and stays so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.schemas import Article
from recsys.text import clean

DIRTY = {
    "LIFESTYLE&nbsp": "LIFESTYLE",
    "Health &nbsp;": "Health",
    "Q&amp;A": "Q&A",
    "Q&amp;amp;A": "Q&A",
    "<p>One</p><p>two</p>": "One two",
    "A<br/>B": "A B",
    "in <b>bold</b>": "in bold",
    "x<script>alert(1)</script>y": "xy",
    "  much \t\n space  ": "much space",
    "Cafe\u0301": "Caf\u00e9",
    "5 < 6 and 7 > 3": "5 < 6 and 7 > 3",
    "soft\u00adhyphen": "softhyphen",
    "&lt;b&gt;twice&lt;/b&gt;": "twice",
    "AT&T": "AT&T",
    "R&D &copy; 2026": "R&D \u00a9 2026",
}


@pytest.mark.parametrize(("dirty", "expected"), DIRTY.items())
def test_dirty_text_becomes_what_a_reader_should_see(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


@given(
    st.text(alphabet=st.sampled_from("ab &;<>/nbspltg#38\u00a0\n\u0301"), max_size=60) | st.text(max_size=60)
)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert "&nbsp" not in once
    assert once == once.strip()


@given(st.integers(1, 300))
def test_deeply_nested_entities_end(depth: int) -> None:
    assert "nbsp" not in clean("&" + "amp;" * depth + "nbsp;x")


def test_an_article_is_clean_whichever_field_was_dirty() -> None:
    made = Article(
        article_id="a",
        title="<i>T</i>&nbsp;x",
        abstract="a&amp;b",
        section="LIFESTYLE&nbsp",
        tags=["x&nbsp", " "],
    )
    assert (made.title, made.abstract, made.section, made.tags) == ("T x", "a&b", "LIFESTYLE", ["x"])
