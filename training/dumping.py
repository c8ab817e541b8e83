"""A backup of a store: one JSONL file a table, and a manifest with a digest of each.

The files follow from the rows alone, so that the same contents give the same bytes, whatever the
store is made of and whenever the backup was made.
"""

import base64
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from recsys.errors import UsageError
from recsys.schemas import Row
from recsys.store import Snapshot, Store
from recsys.store.contents import TABLES, Contents
from training.swapping import put_in_place
from training.writing import cannot_write

DUMP_MANIFEST = "dump.json"
SCHEMA_VERSION = 2
Progress = Callable[[int, int | None], None]
_EVERY = 1_000


def write_dump(store: Store, out: Path, progress: Progress | None = None) -> dict[str, int]:
    """Back a store up, as it stands at one moment, in bounded memory.

    Args:
        store: may be written meanwhile.
        out: folder; an earlier dump is replaced once the new one is complete and on disk.
        progress: called with rows done and the total.

    Returns:
        Number of rows by table.

    Raises:
        UsageError: ``out`` holds something else than an earlier dump.
        DataError: it cannot be written. StoreError: the store cannot be read.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / DUMP_MANIFEST).is_file())):
        raise UsageError(f"{out} holds something else than an earlier dump; choose another folder")
    with store.snapshot() as snapshot, _aside(out) as folder:
        manifest = _write_tables(snapshot, folder, progress)
        (folder / DUMP_MANIFEST).write_bytes(manifest_bytes(manifest))
    return {table: entry["rows"] for table, entry in manifest["tables"].items()}


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    aside = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for path in (*aside.iterdir(), aside):
            _sync(path)
        put_in_place(aside, out)
        _sync(out.parent)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_tables(snapshot: Snapshot, folder: Path, progress: Progress | None) -> dict[str, Any]:
    total, done, tables = sum(snapshot.counts().values()), 0, {}
    for table in TABLES:
        digest, rows, size = hashlib.sha256(), 0, 0
        with (folder / f"{table}.jsonl").open("wb") as target:
            for line in lines_of(snapshot, table):
                target.write(line)
                digest.update(line)
                rows, size, done = rows + 1, size + len(line), done + 1
                if progress is not None and done % _EVERY == 0:
                    progress(done, total)
        tables[table] = {"rows": rows, "bytes": size, "digest": f"sha256:{digest.hexdigest()}"}
    return {"schema_version": SCHEMA_VERSION, "tables": tables}


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The manifest's file, with a digest of its own that guards the counts and digests in it."""
    bare = {name: value for name, value in manifest.items() if name != "digest"}
    digest = hashlib.sha256(orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)).hexdigest()
    full = {**bare, "digest": f"sha256:{digest}"}
    return orjson.dumps(full, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def lines_of(contents: Contents, table: str) -> Iterator[bytes]:
    """The lines of a table's file."""
    for values in _values(contents, table):
        yield orjson.dumps(values, option=orjson.OPT_UTC_Z) + b"\n"


def _values(contents: Contents, table: str) -> Iterable[dict[str, Any]]:
    if table == "articles":
        for seq, name, at, article in contents.articles():
            row = None if article is None else _plain(article)
            yield {"seq": seq, "article_id": name, "at": at, "article": row}
    elif table == "events":
        yield from ({"seq": seq, "event": _plain(event)} for seq, event in contents.events())
    elif table == "exposures":
        yield from (_plain(exposure) for exposure in contents.exposures())
    elif table == "rules":
        yield from ({"version": version, "rules": rules} for version, rules in contents.rules())
    elif table == "experiments":
        yield from ({"version": version, "run": run} for version, run in contents.experiments())
    else:
        for digest, vector in contents.vectors():
            text = base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
            yield {"digest": digest, "vector": text}


def _plain(row: Row) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude_defaults=True)
