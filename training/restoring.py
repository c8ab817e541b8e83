"""Read a backup of a store: every digest first, then every row."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from recsys.bundle import file_digest
from recsys.errors import DataError, UsageError
from recsys.schemas import Article, Event, Exposure, parse_time
from recsys.store import StoredArticle
from recsys.store.contents import TABLES
from training.dumping import DUMP_MANIFEST, SCHEMA_VERSION, Progress, manifest_bytes
from training.importing import first_defect

_T = TypeVar("_T")
_EVERY = 1_000
# a dump of schema 1 has no experiments
_OLDEST, _NO_TABLE = 1, {"rows": 0}
_NEXT = "nothing was restored; take another copy of the dump"


class Dump:
    """The contents of a dump whose digests were checked.

    Args:
        folder: made by ``write_dump``.
        progress: called with rows read and the total.

    Raises:
        UsageError: there is no dump.
        DataError: a file is missing, damaged, or of a version that is not known.
    """

    def __init__(self, folder: Path, progress: Progress | None = None) -> None:
        self._folder, self._progress, self._done = folder, progress, 0
        tables = _read_manifest(folder)["tables"]
        self.counts: dict[str, int] = {table: tables.get(table, _NO_TABLE)["rows"] for table in TABLES}
        for table, entry in tables.items():
            _verify(folder / f"{table}.jsonl", entry)

    def articles(self) -> Iterator[StoredArticle]:
        """See ``Contents.articles``."""
        return self._rows("articles", _article)

    def events(self) -> Iterator[tuple[int, Event]]:
        """See ``Contents.events``."""
        return self._rows("events", lambda row: (int(row["seq"]), Event.model_validate(row["event"])))

    def exposures(self) -> Iterator[Exposure]:
        """See ``Contents.exposures``."""
        return self._rows("exposures", Exposure.model_validate)

    def rules(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """See ``Contents.rules``."""
        return self._rows("rules", lambda row: (int(row["version"]), list(row["rules"])))

    def experiments(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """See ``Contents.experiments``."""
        if not self.counts["experiments"]:
            return iter(())
        return self._rows("experiments", lambda row: (int(row["version"]), dict(row["run"])))

    def vectors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """See ``Contents.vectors``."""
        return self._rows("vectors", lambda row: (str(row["digest"]), _vector(row["vector"])))

    def _rows(self, table: str, made: Callable[[dict[str, Any]], _T]) -> Iterator[_T]:
        path, rows = self._folder / f"{table}.jsonl", 0
        try:
            with path.open("rb") as source:
                for line in source:
                    rows += 1
                    yield made(orjson.loads(line))
                    self._step()
        except ValidationError as error:
            field, rule, _ = first_defect(error)
            raise DataError(f"{path}, line {rows}, {field}: {rule}; {_NEXT}") from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise DataError(f"{path}, line {rows}, is no row of a dump: {error}; {_NEXT}") from error
        if rows != self.counts[table]:
            raise DataError(
                f"{path} has {rows:,} rows where {DUMP_MANIFEST} has {self.counts[table]:,}; {_NEXT}"
            )

    def _step(self) -> None:
        self._done += 1
        if self._progress is not None and self._done % _EVERY == 0:
            self._progress(self._done, sum(self.counts.values()))


def _article(row: dict[str, Any]) -> StoredArticle:
    article = None if row["article"] is None else Article.model_validate(row["article"])
    return StoredArticle(int(row["seq"]), str(row["article_id"]), parse_time(row["at"]), article)


def _vector(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / DUMP_MANIFEST
    if not path.is_file():
        raise UsageError(
            f"{folder} is no dump: it holds no {DUMP_MANIFEST}; give a folder that 'recsys store dump' wrote"
        )
    try:
        content = path.read_bytes()
        manifest = orjson.loads(content)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; {_NEXT}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DataError(
            f"the dump {folder} has schema {version}, this program reads {SCHEMA_VERSION}; "
            "use the newer program that wrote it"
        )
    if version not in range(_OLDEST, SCHEMA_VERSION + 1) or manifest_bytes(manifest) != content:
        raise DataError(f"{path} does not have its own digest, it was damaged or changed; {_NEXT}")
    return manifest  # type: ignore[no-any-return]


def _verify(path: Path, entry: dict[str, Any]) -> None:
    if not path.is_file():
        raise DataError(f"the dump lacks {path}; {_NEXT}")
    try:
        size, digest = path.stat().st_size, file_digest(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {_NEXT}") from error
    if size != entry["bytes"] or digest != entry["digest"]:
        raise DataError(
            f"{path} does not have the size and digest in {DUMP_MANIFEST}: it was damaged or changed "
            f"after the dump; {_NEXT}"
        )
