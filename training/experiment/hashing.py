"""Functions of DuckDB that ibis has no word for."""

from typing import Any

import ibis
import ibis.expr.datatypes as dt

from training.duck import Expr

_TEXT = dt.string


@ibis.udf.scalar.builtin(name="hash", signature=((_TEXT,), dt.uint64))  # type: ignore[untyped-decorator]
def key_of(text: Expr) -> Expr:
    """64 bits of a text; null counts as a value."""


@ibis.udf.scalar.builtin(name="hash", signature=((_TEXT, _TEXT), dt.uint64))  # type: ignore[untyped-decorator]
def key_of_two(first: Expr, second: Expr) -> Expr:
    """64 bits of two texts; null counts as a value."""


@ibis.udf.scalar.builtin(name="bit_count", signature=((dt.int64,), dt.int8))  # type: ignore[untyped-decorator]
def bits_in(word: Expr) -> Expr:
    """How many bits are set."""


@ibis.udf.agg.builtin(name="arg_min", signature=((_TEXT, dt.int64), _TEXT))  # type: ignore[untyped-decorator]
def earliest_text(text: Expr, at: Expr) -> Expr:
    """The text with the smallest number; null texts do not count."""


@ibis.udf.agg.builtin(name="arg_min", signature=((dt.uint64, dt.int64), dt.uint64))  # type: ignore[untyped-decorator]
def earliest_key(key: Expr, at: Expr) -> Expr:
    """The key with the smallest number; null keys do not count."""


def known_key(text: Any) -> Expr:
    """64 bits of a text, null where it is null."""
    return ibis.ifelse(text.isnull(), ibis.null("uint64"), key_of(text))
