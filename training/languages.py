"""Which languages the embedding model reads, and TF-IDF for the articles in others."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from recsys.bundle import Bundle
from recsys.config import Config, EmbeddingConfig
from recsys.embedder import embedding_text
from recsys.index import Neighbours
from recsys.lexical import BUCKETS, TERMS, Lexicon, primary_subtag
from recsys.lexical_index import LexicalIndex, on_scale
from recsys.schemas import Article
from recsys.snapshot import CATALOG, read_lexical
from recsys.state import State
from recsys.store import Store
from training.weights import default_folder

_HEADER = re.compile(r"\A---\n(.*?)^---", re.DOTALL | re.MULTILINE)
_LANGUAGE = re.compile(r"^language:[ \t]*([^\n]*)\n((?:[ \t]*-[ \t]+[^\n]*\n)*)", re.MULTILINE)
_EVERY = frozenset(("any", "multilingual"))


def declared_languages(config: EmbeddingConfig) -> tuple[str, ...]:
    """Primary subtags of the languages that the embedding model reads; none means every one.

    Taken from ``embedding.languages``, else from the model's card (the ``language`` of README.md in its
    folder); a model without card is taken to read every language.
    """
    names = _declared_by(config.model) if config.languages is None else config.languages
    subtags = tuple(sorted({primary_subtag(name) for name in names}))
    return () if _EVERY & set(subtags) else subtags


@lru_cache(maxsize=8)
def _declared_by(model: str) -> tuple[str, ...]:
    folder = default_folder() if model == "default" else Path(model)
    return card_languages(folder / "README.md")


def card_languages(card: Path) -> tuple[str, ...]:
    """``language`` of a model card's header, one name or a list; nothing where there is none."""
    try:
        header = _HEADER.match(card.read_text(encoding="utf-8").replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError):
        return ()
    found = _LANGUAGE.search(header[1]) if header else None
    if found is None:
        return ()
    names = [*found[1].strip("[] ").split(","), *(line.strip(" -") for line in found[2].splitlines())]
    cleaned = (name.split("#", 1)[0].strip(" '\"\t") for name in names)
    return tuple(name for name in cleaned if name)


def lexical_of(articles: Sequence[Article], config: Config) -> LexicalIndex:
    """TF-IDF vectors, by row, of the articles that the embedding model does not read."""
    lexicon = Lexicon(declared_languages(config.embedding))
    chars = config.embedding.body_chars
    texts = {
        row: (article.language, embedding_text(article, chars))
        for row, article in enumerate(articles)
        if article.language is not None and not lexicon.reads(article.language)
    }
    found = LexicalIndex(lexicon.fit(texts.values()))
    for row, (language, text) in texts.items():
        vector = lexicon.vector(text, language)
        if vector is not None:
            found.put(row, vector, language)
    return found


def place_neighbours(lexical: LexicalIndex, neighbours: Neighbours) -> None:
    """Give every row with a TF-IDF vector its nearest rows of the same language."""
    for _, rows, buckets, weights in lexical.by_language():
        ends = np.arange(0, len(rows) * TERMS + 1, TERMS)
        table = csr_array((weights.ravel(), buckets.ravel(), ends), shape=(len(rows), BUCKETS))
        columns = csr_array(table.T)
        neighbours.place_group(
            rows,
            lambda a, b, t=table, c=columns: on_scale((t[a:b] @ c).toarray()),  # type: ignore[misc]
        )


def notes_on_languages(state: State) -> list[str]:
    """What a person should know of languages that the model does not read; nothing where it reads all."""
    catalog = state.catalog
    codes = catalog.language[: len(catalog)][catalog.servable[: len(catalog)]]
    names = Counter(catalog.languages.names[code] for code in codes[codes >= 0].tolist())
    note = languages_told(state.index.lexical.lexicon, names)
    return [] if note is None else [note]


def catalogue_languages(bundle: Bundle, store: Store | None = None) -> Counter[str]:
    """Articles by language, of a bundle and of what a store holds besides."""
    table = pq.read_table(bundle.path / CATALOG, columns=["article_id", "language", "servable"])
    names = bundle.manifest["vocabularies"]["languages"]
    columns = (table.column(name).to_pylist() for name in table.column_names)
    found = {
        article_id: names[code] if servable and code >= 0 else None
        for article_id, code, servable in zip(*columns, strict=True)
    }
    after = 0
    while store is not None and (changes := store.articles_after(after)):
        for _, article_id, article in changes:
            found[article_id] = None if article is None or article.is_hidden else article.language
        after = changes[-1][0]
    return Counter(name for name in found.values() if name is not None)


def languages_of(bundle: Bundle, store: Store | None = None) -> str:
    """What 'recsys doctor' says of the languages of a catalogue."""
    lexicon, articles = read_lexical(bundle).lexicon, catalogue_languages(bundle, store)
    told = languages_told(lexicon, articles)
    read = ", ".join(lexicon.declared) or "every language"
    return told or f"the embedding model reads {read}; no article is in another"


def languages_told(lexicon: Lexicon, articles: Counter[str]) -> str | None:
    """One sentence on the languages that the embedding model does not read; None where there are none.

    Args:
        lexicon: knows what the model reads.
        articles: how many there are by language, as the catalogue names it.
    """
    others: Counter[str] = Counter()
    for name, count in articles.items():
        if not lexicon.reads(name):
            others[primary_subtag(name)] += count
    if not others:
        return None
    told = ", ".join(f"{name}: {count:,} articles" for name, count in others.most_common())
    unknown = sorted(set(others) - set(lexicon.languages))
    more = f" ({', '.join(unknown)} came after it was trained: train again)" if unknown else ""
    return (
        f"{told} use TF-IDF similarity, because the embedding model declares only "
        f"{', '.join(lexicon.declared)}{more}; for better lists set embedding.model to one that reads them, "
        "or embedding.languages if this one does"
    )
