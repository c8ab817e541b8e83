"""Large synthetic logs, written by numpy: visits of readers to articles that age."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.writing import schema_of

END = 1_772_366_400.0
DAYS = 30
ARTICLES = 50_000
_SHOWN = 10
_EVENTS_A_LIST = 25


def make_visits(count: int, seed: int, articles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reader, article and time (unix seconds) of ``count`` openings, by time.

    Visits have three openings on average, 90 seconds apart; a reader comes about seven times; what is
    read is mostly new, and few articles take most of it.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(1 / 3, size=count // 3 + 1_000)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), count)) + 1]
    starts = rng.random(len(lengths)) * DAYS * 86_400.0
    pauses = np.cumsum(rng.exponential(90.0, size=lengths.sum()))
    first = np.repeat(np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    ts = np.repeat(starts, lengths) + pauses - pauses[first]
    readers = np.repeat(rng.integers(max(count // 20, 1), size=len(lengths)), lengths)
    age = np.minimum(rng.zipf(1.3, size=len(ts)) - 1, articles // 25)
    newest = np.repeat(starts, lengths) / (DAYS * 86_400.0) * (articles - articles // 25 - 1)
    order = np.argsort(ts[:count], kind="stable")
    rows = (newest.astype(np.int64) + age).astype(np.int32)
    return readers[:count][order], rows[:count][order], END - DAYS * 86_400.0 + ts[:count][order]


def write_clicks(path: Path, count: int) -> None:
    """Rows reader, article, ts for counting."""
    readers, articles, ts = make_visits(count, 1, ARTICLES)
    pq.write_table(pa.table({"reader": readers, "article": articles, "ts": ts}), path, compression="zstd")


def write_log(folder: Path, count: int, articles: int = 5_000) -> None:
    """Canonical events and exposures: views, and a list for every 25 events with a click in most."""
    folder.mkdir(parents=True)
    lists = count // _EVENTS_A_LIST
    readers, rows, ts = make_visits(count - lists, 2, articles)
    rng = np.random.default_rng(3)
    at = np.sort(rng.choice(len(ts), size=lists, replace=False))
    shown = rng.integers(articles, size=(lists, _SHOWN)).astype(np.int32)
    clicked = shown[np.arange(lists), rng.integers(_SHOWN, size=lists)]
    asked = pc.binary_join_element_wise("q", pa.array(np.arange(lists)).cast(pa.string()), "")
    views, clicks = _named(readers, rows, ts, "view"), _named(readers[at], clicked, ts[at] + 20.0, "click")
    clicks |= {"request_id": asked, "surface": pa.repeat("related", lists)}
    _write(folder, "events", [views, clicks])
    offsets = pa.array(np.arange(0, lists * _SHOWN + 1, _SHOWN, dtype=np.int32))
    items = {"article_id": _ids("a", shown.ravel()), "position": np.tile(np.arange(1, _SHOWN + 1), lists)}
    items |= {name: pa.nulls(lists * _SHOWN) for name in ("score", "propensity", "source")}
    fields = schema_of("exposures").field("items").type.value_type
    cast = [pa.array(items[field.name]).cast(field.type) for field in fields]
    served = {"request_id": asked, "surface": pa.repeat("related", lists), "ts": _times(ts[at])}
    served |= {"user_id": _ids("u", readers[at]), "context_article_id": _ids("a", rows[at])}
    served["items"] = pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(cast, fields=list(fields)))
    _write(folder, "exposures", [served])


def _named(readers: np.ndarray, rows: np.ndarray, ts: np.ndarray, kind: str) -> dict[str, pa.Array]:
    return {
        "event_id": _ids(kind, np.arange(len(ts))),
        "type": pa.repeat(kind, len(ts)),
        "ts": _times(ts),
        "article_id": _ids("a", rows),
        "user_id": _ids("u", readers),
    }


def _ids(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _times(ts: np.ndarray) -> pa.Array:
    return pa.array((ts * 1e6).astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))


def _write(folder: Path, table: str, parts: list[dict[str, pa.Array]]) -> None:
    schema = schema_of(table)
    (folder / table).mkdir()
    for number, columns in enumerate(parts):
        count = len(columns["ts"])
        arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
        made = pa.Table.from_arrays(arrays, schema=schema)
        pq.write_table(made, folder / table / f"part-{number:05d}.parquet", compression="zstd")
