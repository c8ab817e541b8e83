"""TF-IDF vectors by catalogue row, and their similarities.

They stand beside the embedding model's vectors and are never compared with them, nor across
languages. A similarity is the square root of the cosine: on news texts it then has nearly the spread
of the embedding model's cosines (docs/languages.md gives the figures), so that floors, thresholds of
near-duplicates and weights mean the same for both.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.errors import BundleError
from recsys.lexical import BUCKETS, TERMS, Buckets, Floats32, Lexicon, primary_subtag

LEXICON = "lexicon.json"
ARRAYS = ("rows", "languages", "buckets", "weights", "rarity")
_OTHER = -1


class LexicalIndex:
    """Which rows have a TF-IDF vector, of which language, and how alike they are.

    Attributes:
        lexicon: turns texts into vectors.
    """

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon or Lexicon()
        self._names: list[str] = list(self.lexicon.languages)
        self._slot_of_row = np.zeros(0, np.int32)
        self._used = 0
        self._rows = np.zeros(0, np.int32)
        self._languages = np.zeros(0, np.int32)
        self._buckets: Buckets = np.zeros((0, TERMS), np.int32)
        self._weights: Floats32 = np.zeros((0, TERMS), np.float32)

    def __len__(self) -> int:
        """Rows that have had a vector; 0 means that nothing here needs to be asked."""
        return self._used

    def language(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """(n,) code of the language of each row's vector, -1 where it has none."""
        found = np.full(len(rows), _OTHER, dtype=np.int32)
        inside = rows < len(self._slot_of_row)
        slots = self._slot_of_row[rows[inside]]
        found[inside] = np.where(slots >= 0, self._languages[slots] if self._used else _OTHER, _OTHER)
        return found

    def put(self, row: int, vector: tuple[Buckets, Floats32], language: str) -> bool:
        """Set the vector of a row; whether it is another than before."""
        code, (buckets, weights) = self._code(language), vector
        slot = self._slot(row)
        same = self._languages[slot] == code and np.array_equal(self._buckets[slot], buckets)
        if same and np.array_equal(self._weights[slot], weights):
            return False
        self._languages[slot] = code
        self._buckets[slot], self._weights[slot] = buckets, weights
        return True

    def remove(self, row: int) -> bool:
        """Forget the vector of a row; whether it had one."""
        had = row < len(self._slot_of_row) and self._slot_of_row[row] >= 0
        if had:
            slot = self._slot_of_row[row]
            had = bool(self._languages[slot] != _OTHER)
            self._languages[slot] = _OTHER
            self._weights[slot] = 0.0
        return bool(had)

    def _code(self, language: str) -> int:
        name = primary_subtag(language)
        if name not in self._names:
            self._names.append(name)
        return self._names.index(name)

    def _slot(self, row: int) -> int:
        if row >= len(self._slot_of_row):
            self._slot_of_row = _grown(self._slot_of_row, row + 1, -1)
        if self._slot_of_row[row] < 0:
            if self._used == len(self._rows):
                size = self._used + 1
                self._rows = _grown(self._rows, size, -1)
                self._languages = _grown(self._languages, size, _OTHER)
                self._buckets = _grown(self._buckets, size, 0)
                self._weights = _grown(self._weights, size, 0)
            self._slot_of_row[row], self._rows[self._used] = self._used, row
            self._used += 1
        return int(self._slot_of_row[row])

    def against_all(self, row: int, size: int) -> tuple[Floats32, NDArray[np.bool_]]:
        """(size,) similarity of a row with every row, and which rows may be compared with it."""
        slot = int(self._slot_of_row[row])
        return self._against(
            self._buckets[slot], self._weights[slot], int(self._languages[slot]), self._used, size
        )

    def against(
        self, vector: tuple[Buckets, Floats32], language: str, size: int
    ) -> tuple[Floats32, NDArray[np.bool_]]:
        """The same for a vector that no row has yet; may run beside requests, not beside ``put``."""
        name = primary_subtag(language)
        code = self._names.index(name) if name in self._names else len(self._names)
        return self._against(*vector, code, self._used, size)

    def _against(
        self, buckets: Buckets, weights: Floats32, code: int, used: int, size: int
    ) -> tuple[Floats32, NDArray[np.bool_]]:
        comparable = np.flatnonzero(self._languages[:used] == code)
        dense = np.zeros(BUCKETS, np.float32)
        np.add.at(dense, buckets, weights)
        found, mask = np.zeros(size, np.float32), np.zeros(size, bool)
        cosines = np.einsum("ij,ij->i", dense[self._buckets[comparable]], self._weights[comparable])
        found[self._rows[comparable]] = on_scale(cosines)
        mask[self._rows[comparable]] = True
        return found, mask

    def between(self, rows: NDArray[np.integer], others: NDArray[np.integer]) -> Floats32:
        """(n, k) similarities; NaN for two languages, or where either has no vector."""
        mine, theirs = self.language(rows), self.language(others)
        comparable = (mine[:, None] == theirs) & (mine[:, None] != _OTHER)
        found = np.full(comparable.shape, np.nan, np.float32)
        left, right = comparable.any(axis=1), comparable.any(axis=0)
        if left.any():
            values = self._products(self._slot_of_row[rows[left]], self._slot_of_row[others[right]])
            found[np.ix_(left, right)] = on_scale(values)
            found[~comparable] = np.nan
        return found

    def _products(self, left: NDArray[np.int32], right: NDArray[np.int32]) -> Floats32:
        """(n, k) cosines of slots: only terms that stand on the right are looked at."""
        owners = np.repeat(np.arange(len(right)), TERMS)
        columns, place = np.unique(self._buckets[right], return_inverse=True)
        dense = np.zeros((len(columns), len(right)), np.float32)
        np.add.at(dense, (place.ravel(), owners), self._weights[right].ravel())
        position = np.full(BUCKETS, -1, np.int32)
        position[columns] = np.arange(len(columns))
        places = position[self._buckets[left]]
        lists, terms = np.nonzero(places >= 0)
        found = np.zeros((len(left), len(right)), np.float32)
        if len(lists):
            parts = dense[places[lists, terms]] * self._weights[left][lists, terms][:, None]
            starts = np.flatnonzero(np.diff(lists, prepend=-1))
            found[lists[starts]] = np.add.reduceat(parts, starts, axis=0)
        return found

    def by_language(self) -> list[tuple[str, NDArray[np.int32], Buckets, Floats32]]:
        """Each language with its rows, buckets and weights, for what compares all of them."""
        found = []
        for code, name in enumerate(self._names):
            slots = np.flatnonzero(self._languages[: self._used] == code)
            if len(slots):
                found.append((name, self._rows[slots], self._buckets[slots], self._weights[slots]))
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For the bundle, by name."""
        kept = np.flatnonzero(self._languages[: self._used] != _OTHER)
        return {
            "lexical_rows": self._rows[kept],
            "lexical_languages": self._languages[kept],
            "lexical_buckets": self._buckets[kept],
            "lexical_weights": self._weights[kept],
            "lexical_rarity": self.lexicon.rarity,
        }

    def write_files(self, folder: Path) -> None:
        """What is not an array, as a JSON file of the bundle."""
        about = {
            "declared": list(self.lexicon.declared),
            "learned": list(self.lexicon.languages),
            "languages": self._names,
        }
        (folder / LEXICON).write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def restore(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> "LexicalIndex":
        """From what ``arrays`` and ``write_files`` gave, the arrays by their names in ``ARRAYS``.

        Raises:
            BundleError: vectors of another size than this program's.
        """
        if arrays["buckets"].shape[1:] != (TERMS,) or arrays["rarity"].shape[1:] != (BUCKETS,):
            raise BundleError(
                f"the TF-IDF vectors have {arrays['buckets'].shape[1:]} terms, this program has {TERMS}; "
                "train again with this version"
            )
        found = cls(Lexicon(about["declared"], about["learned"], arrays["rarity"]))
        found._names = list(about["languages"])
        rows = arrays["rows"]
        found._rows, found._used = rows, len(rows)
        found._languages = arrays["languages"]
        found._buckets, found._weights = arrays["buckets"], arrays["weights"]
        found._slot_of_row = np.full(int(rows.max(initial=-1)) + 1, -1, np.int32)
        found._slot_of_row[rows] = np.arange(len(rows))
        return found


def on_scale(cosines: Floats32) -> Floats32:
    """TF-IDF cosines on the scale of the embedding model's; 0 and 1 stay."""
    return np.asarray(np.sqrt(np.clip(cosines, 0.0, 1.0)), dtype=np.float32)


def _grown(array: NDArray[Any], size: int, fill: int) -> NDArray[Any]:
    """A copy with room for ``size`` rows and some more."""
    capacity = max(size, int(len(array) * 1.5) + 64)
    found = np.full((capacity, *array.shape[1:]), fill, dtype=array.dtype)
    found[: len(array)] = array
    return found
