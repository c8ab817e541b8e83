"""Articles in languages that the embedding model does not read: on topic, never mixed, live."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.bundle import open_bundle
from recsys.catalog import UNKNOWN
from recsys.config import Config, build_config
from recsys.features import Moment, interests, learned_matrix, similarity
from recsys.lexical import TERMS, Lexicon, words
from recsys.lexical_index import LexicalIndex
from recsys.pipeline import Funnel, Query
from recsys.profile import Reader
from recsys.schemas import Article
from recsys.snapshot import read_state, write_state
from recsys.state import State
from tests.builders import DIMENSIONS, NOW, article, row, scattered
from tests.texts import BY_LANGUAGE, articles_in
from training.material import compared

NOW_S = NOW.timestamp()
WANTED = ("interests_soft", "interests_recent")


def english(count: int = 12) -> list[Article]:
    """Articles whose vectors are scattered; their words are those of German texts, to tempt a mix-up."""
    texts = [item.abstract or "" for item in articles_in("de")[:count]]
    return [
        article(f"en-{at}", title=text[:60], abstract=text, language="en") for at, text in enumerate(texts)
    ]


def newsroom_of(*languages: str, config: Config | None = None) -> State:
    """English articles with model vectors and those of ``languages`` without, as training builds them."""
    articles = [*english(), *(item for name in languages for item in articles_in(name))]
    vectors = np.zeros((len(articles), DIMENSIONS), np.float32)
    vectors[:12] = [scattered(item.article_id) for item in articles[:12]]
    settings = config or Config()
    return compared(settings, articles, vectors, "scattered")[0].state(settings)


@pytest.fixture(scope="module")
def mixed() -> State:
    return newsroom_of("de", "tr", "ja")


def in_topic(state: State, name: str, count: int = 4) -> float:
    near = state.neighbours.of(row(state, name))[0][:count]
    sections = state.catalog.section
    return float((sections[near] == sections[row(state, name)]).mean())


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_neighbours_are_on_topic_far_above_chance(mixed: State, language: str) -> None:
    articles = articles_in(language)
    chance = 4 / (len(articles) - 1)
    assert np.mean([in_topic(mixed, item.article_id) for item in articles]) > 3 * chance


def test_no_list_of_neighbours_mixes_languages_or_kinds_of_vectors(mixed: State) -> None:
    languages = mixed.catalog.language
    for at in range(len(mixed.catalog)):
        near = mixed.neighbours.of(at)[0]
        assert len(near)
        assert set(languages[near].tolist()) == {int(languages[at])}


def test_a_similarity_of_two_kinds_is_missing_and_not_zero(mixed: State) -> None:
    german, turkish, model = (row(mixed, name) for name in ("de-wahl-0", "tr-uzay-0", "en-0"))
    rows = np.array([row(mixed, "de-wahl-1"), row(mixed, "tr-uzay-1"), row(mixed, "en-1")], dtype=np.int32)
    found = mixed.index.similarities(rows, np.array([german, turkish, model]))
    assert np.array_equal(~np.isnan(found), np.eye(3, dtype=bool))
    assert 0 < similarity(mixed, rows, german)[0] < 1


def test_openings_of_another_language_do_not_change_what_a_reader_is_offered(mixed: State) -> None:
    rows = np.arange(len(mixed.catalog), dtype=np.int32)
    own = np.array([row(mixed, name) for name in ("de-wahl-0", "de-bahn-1")], dtype=np.int32)
    others = [row(mixed, name) for name in ("tr-futbol-0", "en-3", "ja-宇宙-0")]
    alone = interests(mixed, rows, Reader(own))
    # behind the own ones, so that their places in the past stay
    both = interests(mixed, rows, Reader(np.array([*own, *others], dtype=np.int32)))
    german = mixed.catalog.language[rows] == mixed.catalog.language[own[0]]
    np.testing.assert_array_equal(alone[german], both[german])
    assert np.isnan(alone[~german]).all()
    assert not np.isnan(alone[german]).any()
    curves = [
        learned_matrix(mixed, rows, Moment(NOW_S, None, Reader(np.array(past, np.int32)), NOW_S), WANTED)
        for past in (own, [*own, *others])
    ]
    np.testing.assert_allclose(curves[0][german], curves[1][german], rtol=1e-6)


def test_related_of_a_german_article_in_a_mixed_catalogue_is_german_and_on_topic(mixed: State) -> None:
    hits = 0
    for name in ("de-wetter-0", "de-bahn-0", "de-kochen-0", "de-wohnen-0", "de-fussball-0"):
        query = Query(now=NOW_S, limit=4, context=row(mixed, name))
        slate = Funnel(mixed).slate("related", query)
        ids = [mixed.catalog.ids[item.row] for item in slate.items]
        assert slate.fallback is None
        assert len(ids) == 4
        assert all(found.startswith("de-") for found in ids)
        hits += sum(found.startswith(name[:-1]) for found in ids)
    assert hits >= 10  # of 20; chance is 2


def test_an_article_put_later_stands_where_training_would_have_put_it() -> None:
    whole = newsroom_of("de")
    part = newsroom_of("de")
    target = next(item for item in articles_in("de") if item.article_id == "de-medizin-2")
    part.remove_article(target.article_id)
    # another text in between, so that the vector truly moves and comes back
    part.apply_article(target.model_copy(update={"abstract": "Ganz etwas anderes."}), None)
    part.apply_article(target, None)
    at = row(part, target.article_id)
    rows, likeness = part.neighbours.of(at)
    expected_rows, expected = whole.neighbours.of(at)
    positive = expected > 0
    np.testing.assert_array_equal(rows[positive], expected_rows[positive])
    np.testing.assert_allclose(likeness[positive], expected[positive], atol=1e-5)
    for other in expected_rows[:5].tolist():
        assert at in part.neighbours.of(other)[0]


def test_near_duplicates_are_found_in_every_language_live_and_in_training() -> None:
    for language in BY_LANGUAGE:
        first = articles_in(language)[0]
        copy = first.model_copy(update={"article_id": "agency", "abstract": f"{first.abstract} (red)"})
        state = newsroom_of(language)
        state.apply_article(copy, None)
        articles = [*articles_in(language), copy]
        nothing = np.zeros((len(articles), DIMENSIONS), np.float32)
        trained = compared(Config(), articles, nothing, "scattered")[0].state(Config())
        for held in (state, trained):
            groups = held.catalog.duplicate
            assert groups[row(held, "agency")] == groups[row(held, first.article_id)] != UNKNOWN
            assert groups[row(held, articles_in(language)[1].article_id)] == UNKNOWN


def test_a_bundle_gives_the_same_lists_back(tmp_path: Path, mixed: State) -> None:
    articles = [*english(), *(item for name in BY_LANGUAGE for item in articles_in(name))]
    manifest = {"version": "v1", "created": NOW.isoformat(), "embedder": {}}
    write_state(tmp_path / "v1", mixed, articles, manifest)
    again = read_state(open_bundle(tmp_path / "v1"))
    rows = np.arange(len(mixed.catalog), dtype=np.int32)
    np.testing.assert_array_equal(again.index.similarities(rows, rows), mixed.index.similarities(rows, rows))
    assert again.index.lexical.lexicon.declared == ("en",)
    late = article(
        "de-late", title="Orkanböen und Sturmflut", abstract="Der Wetterdienst warnt.", language="de"
    )
    for state in (again, mixed):
        state.apply_article(late, None)
    ours, theirs = (state.neighbours.of(row(state, "de-late")) for state in (again, mixed))
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert again.catalog.ids[ours[0][0]].startswith("de-wetter")
    mixed.remove_article("de-late")


def test_an_article_may_change_its_language_and_never_has_two_vectors() -> None:
    state = newsroom_of("de")
    at, lexical = row(state, "en-0"), state.index.lexical
    german = english()[0].model_copy(update={"language": "de-AT"})
    state.apply_article(german, scattered("ignored"))
    assert not state.index.has[at]
    assert lexical.language(np.array([at]))[0] >= 0
    assert state.catalog.ids[state.neighbours.of(at)[0][0]].startswith("de-fussball")
    state.apply_article(english()[0], scattered("en-0"))
    assert state.index.has[at]
    assert lexical.language(np.array([at]))[0] == -1
    assert not any(at in state.neighbours.of(other)[0] for other in range(12, len(state.catalog)))
    assert not np.isnan(state.index.similarities(np.array([at]), np.array([row(state, "en-1")]))).any()


def test_a_language_that_training_never_saw_is_compared_by_its_words() -> None:
    state = newsroom_of("de")
    for item in articles_in("tr"):
        state.apply_article(item, None)
    near = state.neighbours.of(row(state, "tr-deprem-0"))[0]
    assert all(state.catalog.ids[at].startswith("tr-") for at in near.tolist())
    assert in_topic(state, "tr-deprem-1") >= 0.5


def test_what_the_model_reads_is_a_setting() -> None:
    every = build_config({"embedding": {"languages": ["any"]}}, "test")
    assert len(newsroom_of("de", config=every).index.lexical) == 0
    german = build_config({"embedding": {"languages": ["de-DE", "tr"]}}, "test")
    found = newsroom_of("de", "ja", config=german).index.lexical
    assert {name for name, *_ in found.by_language()} == {"en", "ja"}


def test_related_lists_stay_full_when_an_age_limit_leaves_few_neighbours(mixed: State) -> None:
    query = Query(now=NOW_S + 1.0, limit=6, context=row(mixed, "de-wahl-0"), max_age_hours=3.5)
    ids = [mixed.catalog.ids[item.row] for item in Funnel(mixed).slate("related", query).items]
    assert len(ids) == 6
    assert all(mixed.catalog.published[row(mixed, name)] > NOW_S - 4 * 3600 for name in ids)


@given(text=st.text(max_size=200), other=st.text(max_size=200), language=st.sampled_from(("de", "ja", "xx")))
def test_every_text_has_a_unit_vector_or_none(text: str, other: str, language: str) -> None:
    lexicon = Lexicon(("en",)).fit([("de", "Der Hund schläft"), ("de", text), ("ja", other)])
    index = LexicalIndex(lexicon)
    for at, written in enumerate((text, other)):
        vector = lexicon.vector(written, language)
        assert (vector is None) == (not words(written))
        if vector is not None:
            buckets, weights = vector
            assert buckets.shape == weights.shape == (TERMS,)
            assert np.linalg.norm(weights) == pytest.approx(1.0, abs=1e-5)
            assert len(set(buckets[weights > 0].tolist())) == int((weights > 0).sum())
            index.put(at, vector, language)
    found = index.between(np.arange(2), np.arange(2))
    known = ~np.isnan(found)
    assert np.array_equal(known, known.T)
    assert np.allclose(np.diag(found)[np.diag(known)], 1.0, atol=1e-3)
    assert ((found[known] >= 0) & (found[known] <= 1)).all()
    if known.all():
        np.testing.assert_allclose(found[0], index.against_all(0, 2)[0], atol=1e-3)


def test_case_width_and_the_dots_of_turkish_do_not_part_a_word() -> None:
    assert words("İSTANBUL, istanbul") == ["istanbul", "istanbul"]
    assert words("ISPARTA ısparta") == ["isparta", "isparta"]
    assert words("ＡＢＣ abc") == ["abc", "abc"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]
