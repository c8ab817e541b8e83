"""A newsroom in two languages, from training to a live service: only one is read by the model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.config import Config, build_config
from recsys.snapshot import read_state
from tests.builders import NOW
from tests.conftest import Newsroom
from tests.serving.server import Server, ids
from tests.texts import articles_in
from tests.training.command import recsys
from training.fit import CACHE, EMBEDDERS, train
from training.languages import card_languages, declared_languages
from training.readers import read_articles
from training.writing import DatasetWriter

ENGLISH = 24


@pytest.fixture(scope="module")
def mixed(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "models" / CACHE).parent.mkdir(parents=True)
    (folder / "models" / CACHE).symlink_to(newsroom.models / CACHE)
    (folder / "models" / EMBEDDERS).symlink_to(newsroom.models / EMBEDDERS)
    german = [item for item in articles_in("de") if item.article_id != "de-wetter-2"]
    with DatasetWriter(folder / "data") as writer:
        for item in [*list(read_articles(newsroom.data))[:ENGLISH], *german]:
            writer.tables["articles"].add(item)
        writer.finish({})
    trained = train(Config(), folder / "data", folder / "models", created=newsroom.now)
    assert trained.embedded.computed == 0
    assert any("de: 39 articles use TF-IDF similarity" in note for note in trained.notes)
    Registry(folder / "models").promote(trained.bundle.version)
    return trained.bundle


@pytest.fixture(scope="module")
def server(mixed: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(mixed.path.parent, tmp_path_factory.mktemp("store") / "s.db", NOW)
    yield running
    running.stop()


def test_training_embeds_only_what_the_model_reads(mixed: Bundle) -> None:
    state = read_state(open_bundle(mixed.path))
    assert state.index.has[: len(state.catalog)].sum() == ENGLISH
    assert len(state.index.lexical) == 39
    assert mixed.manifest["embedder"]["languages"] == ["en"]
    assert not np.any(mixed.array("vectors")[ENGLISH:])


def test_a_german_article_put_into_a_running_service_is_in_german_lists_at_once(server: Server) -> None:
    target = next(item for item in articles_in("de") if item.article_id == "de-wetter-2")
    body = target.model_dump(mode="json", exclude={"article_id"}, exclude_defaults=True)
    assert server.secret("PUT", "/v1/articles/de-wetter-2", json=body).status_code == 200
    own = ids(server.get("/v1/articles/de-wetter-2/related", limit=4).json()["items"])
    assert sum(name.startswith("de-wetter") for name in own) >= 2
    assert all(name.startswith("de-") for name in own)
    answer = server.get("/v1/articles/de-wetter-4/related", limit=5).json()
    assert "de-wetter-2" in ids(answer["items"])
    assert answer["fallback"] is None


def test_a_restart_finds_the_article_again(server: Server) -> None:
    before = server.get("/v1/articles/de-wetter-2/related", limit=4).json()["items"]
    server.stop()
    server.start()
    after = server.get("/v1/articles/de-wetter-2/related", limit=4).json()["items"]
    assert ids(before) == ids(after)


def test_doctor_names_the_languages_and_what_to_do(
    mixed: Bundle, server: Server, newsroom: Newsroom, capsys: pytest.CaptureFixture[str]
) -> None:
    turkish = articles_in("tr")[0].model_dump(mode="json", exclude={"article_id"}, exclude_defaults=True)
    assert server.secret("PUT", "/v1/articles/tr-new", json=turkish).status_code == 200
    models = mixed.path.parent
    told = " ".join(recsys(capsys, "doctor", "--models", models).out.replace("│", " ").split())
    assert "de: 39 articles use TF-IDF similarity, because the embedding model declares only en" in told
    assert "embedding.model" in told
    store = f"sqlite:///{server.store}"
    answer = recsys(capsys, "doctor", "--models", models, "--store", store)
    told = " ".join(answer.out.replace("│", " ").split())
    assert answer.code == 0
    assert "tr: 1 articles" in told
    assert "tr came after it was trained: train again" in told
    told = recsys(capsys, "doctor", "--models", newsroom.models).out
    assert "no article is in another" in told


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("---\nlanguage: en\nlicense: x\n---\n", ("en",)),
        ("---\nlanguage:\n- en\n- 'de'\n  - tr # also\ntags:\n- x\n---\n", ("en", "de", "tr")),
        ('---\nlicense: x\nlanguage: [en, "pt-BR"]\n---\n', ("en", "pt-BR")),
        ("---\r\nlanguage: en\r\n---\r\n", ("en",)),
        ("---\nlicense: x\n---\nlanguage: en\n", ()),
        ("# A model\n", ()),
    ],
)
def test_a_model_card_says_what_a_model_reads(tmp_path: Path, header: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "README.md").write_text(header, newline="")
    assert card_languages(tmp_path / "README.md") == expected


def test_the_setting_wins_over_the_card_and_any_means_all(tmp_path: Path) -> None:
    assert declared_languages(Config().embedding) == ("en",)
    (tmp_path / "README.md").write_text("---\nlanguage:\n- multilingual\n- en\n---\n")
    for more, expected in (
        ({"model": str(tmp_path)}, ()),
        ({"model": str(tmp_path / "none")}, ()),
        ({"languages": ["DE_de", "tr", "de"]}, ("de", "tr")),
        ({"languages": []}, ()),
        ({"languages": ["any"]}, ()),
    ):
        assert declared_languages(build_config({"embedding": more}, "test").embedding) == expected
