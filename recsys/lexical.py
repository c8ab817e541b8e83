"""TF-IDF of articles in languages that the embedding model does not read.

Terms are words and, because no stemmer or word list is assumed, the runs of four letters within them
(McNamee and Mayfield, "Character N-Gram Tokenization for European Language Text Retrieval", Information
Retrieval 2004); scripts that are written without spaces between words give runs of two and three signs.
Terms are hashed into a fixed number of buckets (Weinberger et al., "Feature Hashing for Large Scale
Multitask Learning", ICML 2009), so that a text that was never seen needs no vocabulary. How rare a
term is, is counted in each language by itself.
"""

import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 18
TERMS = 128
# a word has as many runs as letters: each counts less, so that the word itself still decides
_RUN_WEIGHT = 0.3
_RUN = 4
_SIGN_RUNS = (2, 3)
_LONGEST = 60
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")

Buckets = NDArray[np.int32]
Floats32 = NDArray[np.float32]


def primary_subtag(language: str) -> str:
    """The language itself, without region or script.

    Example:
        >>> primary_subtag("de-AT"), primary_subtag("PT_br")
        ('de', 'pt')
    """
    return language.strip().replace("_", "-").split("-", 1)[0].lower()


class _Letters(dict[int, str]):
    """Letters, marks and digits stay, all else becomes a space; filled as signs are met."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        kept = sign if unicodedata.category(sign)[0] in "LMN" else " "
        self[code] = kept
        return kept


_LETTERS = _Letters()
# the dot that is left of a Turkish capital, and its dotless letter: both become a plain i
_FOLDED = {0x0307: None, 0x0131: "i"}


def words(text: str) -> list[str]:
    """Words in a form that ignores case, width and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED)
    return folded.translate(_LETTERS).split()


@lru_cache(maxsize=4096)
def _is_unspaced(sign: str) -> bool:
    return unicodedata.name(sign, "").startswith(_UNSPACED)


def _pieces(word: str) -> Iterator[tuple[str, bool]]:
    """Parts of a word that are of one kind of script: (part, written without spaces)."""
    start, kind = 0, _is_unspaced(word[0])
    for at, sign in enumerate(word):
        # marks belong to the sign before them
        if unicodedata.category(sign)[0] != "M" and _is_unspaced(sign) != kind:
            yield word[start:at], kind
            start, kind = at, not kind
    yield word[start:], kind


def terms(word: str) -> list[tuple[str, float]]:
    """Terms of one word and what each counts.

    Example:
        >>> [term for term, _ in terms("rain")]
        ['rain', '<rai', 'rain', 'ain>']
    """
    found: list[tuple[str, float]] = []
    for piece, unspaced in _pieces(word[:_LONGEST]):
        if unspaced:
            lengths = _SIGN_RUNS if len(piece) > 1 else (1,)
            found += [(run, 1.0) for n in lengths for run in _runs(piece, n)]
            continue
        found.append((piece, 1.0))
        if len(piece) > 3:
            found += [(run, _RUN_WEIGHT) for run in _runs(f"<{piece}>", _RUN)]
    return found


def _runs(text: str, n: int) -> Iterator[str]:
    return (text[at : at + n] for at in range(len(text) - n + 1))


@lru_cache(maxsize=65_536)
def _hashed(word: str) -> tuple[tuple[int, float], ...]:
    weights: dict[int, float] = {}
    for term, weight in terms(word):
        bucket = zlib.crc32(term.encode()) % BUCKETS
        weights[bucket] = max(weight, weights.get(bucket, 0.0))
    return tuple(weights.items())


def term_counts(text: str) -> tuple[Buckets, NDArray[np.float64]]:
    """Buckets of a text, each once, and how often they occur, by what a term counts."""
    counts: dict[int, float] = {}
    for word, times in Counter(words(text)).items():
        for bucket, weight in _hashed(word):
            counts[bucket] = counts.get(bucket, 0.0) + weight * times
    return np.array(list(counts), dtype=np.int32), np.array(list(counts.values()))


class Lexicon:
    """What a text is turned into a TF-IDF vector by.

    Args:
        declared: languages (primary subtags) that the embedding model reads; none means every one.
        languages: those whose rarities are known.
        rarity: (languages, ``BUCKETS``) float32 inverse document frequencies.
    """

    def __init__(
        self, declared: Sequence[str] = (), languages: Sequence[str] = (), rarity: Floats32 | None = None
    ) -> None:
        self.declared = tuple(declared)
        self.languages = tuple(languages)
        self.rarity = np.zeros((0, BUCKETS), np.float32) if rarity is None else rarity

    def reads(self, language: str | None) -> bool:
        """Whether the embedding model reads a language; an article without language is taken to be read."""
        return language is None or not self.declared or primary_subtag(language) in self.declared

    def fit(self, texts: Iterable[tuple[str, str]]) -> "Lexicon":
        """Count in how many texts of its language each term stands.

        The inverse document frequency is Lucene's, log(1 + (N - n + 0.5) / (n + 0.5)): never negative,
        and near 0 for a term that stands everywhere.

        Args:
            texts: (language, text) of each article that the model does not read.
        """
        totals: dict[str, int] = {}
        found: dict[str, NDArray[np.float64]] = {}
        for language, text in texts:
            name = primary_subtag(language)
            totals[name] = totals.get(name, 0) + 1
            counts = found.setdefault(name, np.zeros(BUCKETS))
            counts[term_counts(text)[0]] += 1.0
        self.languages = tuple(sorted(totals))
        rows = [np.log1p((totals[n] - found[n] + 0.5) / (found[n] + 0.5)) for n in self.languages]
        self.rarity = np.array(rows, dtype=np.float32).reshape(-1, BUCKETS)
        return self

    def vector(self, text: str, language: str) -> tuple[Buckets, Floats32] | None:
        """The ``TERMS`` strongest terms of a text as a unit vector; None for a text without words.

        In a language that training never saw, every term counts as equally rare.

        Returns:
            (``TERMS``,) buckets and weights, padded with bucket 0 and weight 0.
        """
        at, counts = term_counts(text)
        if len(at) == 0:
            return None
        weights = np.log1p(counts)
        name = primary_subtag(language)
        if name in self.languages:
            weights = weights * self.rarity[self.languages.index(name)][at]
        strongest = np.sort(np.lexsort((at, -weights))[:TERMS])
        length = float(np.linalg.norm(weights[strongest]))
        buckets, values = np.zeros(TERMS, np.int32), np.zeros(TERMS, np.float32)
        buckets[: len(strongest)] = at[strongest]
        values[: len(strongest)] = weights[strongest] / max(length, 1e-12)
        return buckets, values
