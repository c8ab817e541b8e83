"""Blocks of a simulation as Arrow tables of canonical events and exposures."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.simulation.behaviour import KINDS, SURFACES, Block
from training.simulation.world import World, reader_name
from training.writing import schema_of

_TIME = pa.timestamp("us", tz="UTC")


class Columns:
    """Turns blocks into tables; ids count on from block to block.

    Args:
        world: whose articles and readers are named.
        end: unix seconds; later events are left out.
    """

    def __init__(self, world: World, end: float) -> None:
        self._articles = pa.array([article.article_id for article in world.articles], pa.string())
        self._readers = pa.array([reader_name(user) for user in range(len(world.kinds))], pa.string())
        self._end = end
        self._events = self._lists = 0

    def tables(self, block: Block) -> dict[str, pa.Table]:
        """The tables ``events`` and ``exposures`` of one block."""
        if not block.events:
            return {}
        first = self._lists
        self._lists += block.served
        found = {"events": self._event_table(block, first)}
        if block.served:
            found["exposures"] = self._exposure_table(block, first)
        return found

    def _event_table(self, block: Block, first: int) -> pa.Table:
        columns = {name: np.concatenate(parts) for name, parts in block.events.items()}
        order = np.argsort(columns["ts"], kind="stable")
        order = order[columns["ts"][order] <= self._end]
        columns = {name: values[order] for name, values in columns.items()}
        numbers = self._events + 1 + np.arange(len(order))
        self._events += len(order)
        served = columns["list"]
        context, surface = (
            np.append(np.concatenate(block.lists[name]), -1)[served] if block.served else served
            for name in ("context", "surface")
        )
        values = {
            "event_id": pa.array([f"sim-e{n:09d}" for n in numbers.tolist()], pa.string()),
            "type": _take(KINDS, columns["kind"]),
            "ts": times_of(columns["ts"]),
            "article_id": self._articles.take(pa.array(columns["row"])),
            "user_id": self._readers.take(pa.array(columns["user"])),
            "request_id": _requests(np.where(served >= 0, first + served, -1)),
            "surface": _take(SURFACES, surface),
            "position": pa.array(columns["position"], pa.int32(), mask=columns["position"] == 0),
            "context_article_id": _optional(self._articles, context),
            "value": pa.array(columns["value"], pa.float64(), mask=np.isnan(columns["value"])),
        }
        return table_of("events", values, len(order))

    def _exposure_table(self, block: Block, first: int) -> pa.Table:
        columns = {name: np.concatenate(parts) for name, parts in block.lists.items()}
        full = (columns["rows"] >= 0).any(axis=1)
        columns = {name: values[full] for name, values in columns.items()}
        rows, count = columns["rows"], len(columns["ts"])
        there = rows >= 0
        scores = np.log(np.maximum(columns["weights"], 1e-300))[there]
        items = {
            "article_id": self._articles.take(pa.array(rows[there])),
            "position": pa.array((np.nonzero(there)[1] + 1).astype(np.int32)),
            "score": pa.array(np.round(scores, 6)),
            "propensity": pa.array(columns["chances"][there]),
            "source": pa.nulls(int(there.sum()), pa.string()),
        }
        offsets = np.concatenate(([0], np.cumsum(there.sum(axis=1)))).astype(np.int32)
        kind = schema_of("exposures").field("items").type.value_type
        inside = pa.StructArray.from_arrays(list(items.values()), fields=list(kind))
        values = {
            "request_id": _requests(first + np.flatnonzero(full)),
            "surface": _take(SURFACES, columns["surface"]),
            "ts": times_of(columns["ts"]),
            "user_id": self._readers.take(pa.array(columns["user"])),
            "items": pa.ListArray.from_arrays(pa.array(offsets), inside),
            "context_article_id": _optional(self._articles, columns["context"]),
        }
        return table_of("exposures", values, count)


def _requests(numbers: NDArray[Any]) -> pa.Array:
    return pa.array([None if n < 0 else f"sim-r{n:08d}" for n in numbers.tolist()], pa.string())


def times_of(ts: NDArray[Any]) -> pa.Array:
    """Unix seconds as canonical times, to the millisecond."""
    return pa.array(np.round(ts * 1000.0).astype(np.int64) * 1000, pa.int64()).cast(_TIME)


def _take(names: tuple[str, ...], codes: NDArray[Any]) -> pa.Array:
    return _optional(pa.array(names, pa.string()), codes)


def _optional(names: pa.Array, codes: NDArray[Any]) -> pa.Array:
    return names.take(pa.array(codes, pa.int64(), mask=codes < 0))


def table_of(name: str, values: dict[str, pa.Array], count: int) -> pa.Table:
    """Columns of a canonical table, those that are not given as nulls.

    Args:
        name: ``articles``, ``events`` or ``exposures``.
        values: columns by name.
        count: rows.
    """
    schema = schema_of(name)
    columns = [
        values[column.name] if column.name in values else pa.nulls(count, column.type) for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
