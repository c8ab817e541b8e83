"""Hard rules and editors' rules."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.catalog import Catalog
from recsys.config import SensitivityRule
from recsys.rules import Eligibility, keep_away
from recsys.rules_editor import EditorRule, EditorRules
from tests.builders import NOW, article

T = NOW.timestamp()
CATALOG = Catalog.of(
    [
        article("plain", section="World", language="en", site="main"),
        article("hidden", is_hidden=True),
        article("future", hours_old=-1.0),
        article("over", expires_at=NOW),
        article("german", language="de"),
        article("other-site", site="other"),
        article("sport", section="Sport", content_type="gallery"),
        article("old", hours_old=1000.0),
        article("dateless", published_at=None),
    ]
)
ALL = np.arange(len(CATALOG), dtype=np.int32)


def allowed(**filters: object) -> set[str]:
    eligible = Eligibility(now=T, **filters)  # type: ignore[arg-type]
    return {CATALOG.ids[row] for row in ALL[eligible.mask(CATALOG, ALL)]}


def test_hidden_embargoed_and_expired_articles_never_pass() -> None:
    assert allowed() == {"plain", "german", "other-site", "sport", "old", "dateless"}


def test_a_known_other_language_or_site_is_kept_out_and_an_unknown_one_passes() -> None:
    english, main = CATALOG.languages.code("en"), CATALOG.sites.code("main")
    assert allowed(language=english) == allowed() - {"german"}
    assert allowed(site=main) == allowed() - {"other-site"}


def test_an_age_limit_that_was_asked_for_keeps_unknown_ages_out() -> None:
    assert allowed(max_age_hours=100.0) == {"plain", "german", "other-site", "sport"}


def test_sections_types_and_exclusions_filter() -> None:
    sport = CATALOG.sections.code("Sport")
    assert allowed(sections=(sport,)) == {"sport"}
    assert "sport" not in allowed(blocked_sections=(sport,))
    assert "sport" not in allowed(blocked_types=(CATALOG.content_types.code("gallery"),))
    assert "plain" not in allowed(excluded=np.array([0], np.int32))


@given(
    st.sampled_from([-1, 0, 1]),
    st.none() | st.integers(-1, 1),
    st.none() | st.floats(1, 2000),
    st.lists(st.integers(0, 8), max_size=4),
)
def test_the_reason_names_a_filter_exactly_where_the_mask_removes(
    language: int, site: int | None, age: float | None, excluded: list[int]
) -> None:
    gone = np.unique(np.array(excluded, dtype=np.int32))
    eligible = Eligibility(now=T, language=language, site=site, max_age_hours=age, excluded=gone)
    mask = eligible.mask(CATALOG, ALL)
    assert [eligible.reason(CATALOG, row) is None for row in ALL.tolist()] == mask.tolist()


@given(st.permutations(ALL.tolist()), st.integers(0, 9))
def test_first_reads_on_until_it_has_enough(order: list[int], n: int) -> None:
    eligible = Eligibility(now=T)
    rows = np.array(order, dtype=np.int32)
    assert eligible.first(CATALOG, rows, n).tolist() == rows[eligible.mask(CATALOG, rows)][:n].tolist()


def test_a_sensitive_context_keeps_its_sections_and_types_away() -> None:
    catalog = Catalog.of(
        [article("crash", sensitivity=["tragedy"]), article("x", section="Jokes", content_type="quiz")]
    )
    rules = [
        SensitivityRule(
            labels=("tragedy",), keep_away_sections=("Jokes", "Absent"), keep_away_types=("quiz",)
        )
    ]
    assert keep_away(catalog, 0, rules) == (
        (catalog.sections.code("Jokes"),),
        (catalog.content_types.code("quiz"),),
    )
    assert keep_away(catalog, 1, rules) == ((), ())
    assert keep_away(catalog, None, rules) == ((), ())


def rules_of(**fields: object) -> EditorRules:
    return EditorRules.of(1, [{"id": "r", **fields}])


def test_a_rule_hides_pins_and_boosts_on_its_surfaces_only() -> None:
    rules = rules_of(
        surfaces=["popular"],
        hide=["old", "absent"],
        pin=[{"article_id": "plain", "position": 2}],
        boost=[{"filter": {"section": "Sport"}, "factor": 3.0}],
    )
    hidden, pins, boosts = rules.for_list("popular", NOW, CATALOG, None)
    assert (hidden, pins, boosts[0].factor) == ([7], {2: 0}, 3.0)
    assert [boosts[0].filter.matches(CATALOG, row) for row in (0, 6)] == [False, True]
    assert rules.for_list("latest", NOW, CATALOG, None) == ([], {}, [])


def test_validity_begins_with_from_and_ends_before_until() -> None:
    rules = rules_of(
        hide=["old"], validity={"from": NOW.isoformat(), "until": (NOW + timedelta(hours=1)).isoformat()}
    )
    at = {
        hours: rules.for_list("latest", NOW + timedelta(hours=hours), CATALOG, None)[0]
        for hours in (-0.1, 0, 0.5, 1)
    }
    assert at == {-0.1: [], 0: [7], 0.5: [7], 1: []}


def test_a_condition_needs_its_context_article() -> None:
    rules = rules_of(hide=["old"], condition={"section": "Sport"})
    assert rules.for_list("related", NOW, CATALOG, 6)[0] == [7]
    assert rules.for_list("related", NOW, CATALOG, 0)[0] == []
    assert rules.for_list("related", NOW, CATALOG, None)[0] == []


def test_a_disabled_rule_does_nothing() -> None:
    assert rules_of(hide=["old"], enabled=False).for_list("latest", NOW, CATALOG, None)[0] == []


@pytest.mark.parametrize(
    "bad",
    [{"pin": [{"article_id": "a", "position": 0}]}, {"boost": [{"filter": {}, "factor": 0}]}, {"hides": []}],
)
def test_a_wrong_rule_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EditorRule.model_validate({"id": "r", **bad})
