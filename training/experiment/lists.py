"""Served lists of an experiment, and of the same readers before it, as numbers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ibis

from recsys.experiments.definition import Experiment
from training.duck import Duck, Expr
from training.experiment.frame import Frame
from training.experiment.hashing import key_of, key_of_two, known_key

_KINDS = {"experiment_id": "string", "variant": "string", "device": "string", "fallback": "string"}
_KINDS |= {"took_ms": "float64", "context_article_id": "string"}
UNKNOWN = -1


@dataclass(frozen=True)
class Lists:
    """Lists that an experiment is judged by.

    Attributes:
        rows: list (key), request (key), surface, unit (key), us, pre (whether before the start), code (of the
            variant, -1 unknown), internal, articles (keys), device, fallback, took_ms, context (key of the
            article beside which the list stood).
        left_out: lists of this experiment by why they do not count.
        unknown: lists by a variant that the definition does not know.
    """

    rows: Expr
    left_out: Mapping[str, int]
    unknown: Mapping[str, int]


def unit_of(rows: Expr, unit: str) -> Expr:
    """Key of whom a side is given to: the signed-in user or the browser; where one is missing, the other."""
    first, second = ("user_id", "session_id") if unit == "user" else ("session_id", "user_id")
    keys = [key_of_two(ibis.literal(name), rows[name]) for name in (first, second)]
    return ibis.ifelse(rows[first].notnull(), *keys)


def read_lists(
    duck: Duck, exposures: Expr, experiment: Experiment, frame: Frame, internal: Collection[str] = ()
) -> Lists:
    """Lists of the experiment's running time, and those on its surfaces in the pre-period.

    Args:
        duck: where they are kept.
        exposures: canonical.
        experiment: whose.
        frame: its times.
        internal: user and session ids of the house.
    """
    absent = {name: ibis.null(kind) for name, kind in _KINDS.items() if name not in exposures.columns}
    rows = exposures.mutate(**absent)
    ours = ibis.coalesce(rows.experiment_id == experiment.id, False)
    rows = rows.mutate(ours=ours, listed=rows.surface.isin(experiment.surfaces), code=_code(rows, experiment))
    within = rows.listed & (rows.us >= frame.pre) & (rows.us < frame.until)
    kept = rows.filter(within, rows.ours == (rows.us >= frame.start))
    lists = kept.select(
        "surface",
        "us",
        "code",
        "device",
        "took_ms",
        list=key_of_two(kept.request_id, kept.surface),
        request=key_of(kept.request_id),
        unit=unit_of(kept, experiment.unit),
        pre=kept.us < frame.start,
        internal=_is_one_of(kept.user_id, internal) | _is_one_of(kept.session_id, internal),
        fallback=kept.fallback.notnull(),
        context=known_key(kept.context_article_id),
        articles=kept["items"].map(lambda item: key_of(item.article_id)),
    )
    found, repeated = once(duck, duck.keep("lists", lists), "list")
    left_out = _left_out(duck, rows, frame)
    left_out["repeat an earlier list"] = repeated
    return Lists(found, left_out, _unknown(duck, rows, experiment, frame))


def once(duck: Duck, rows: Expr, key: str) -> tuple[Expr, int]:
    """The earliest row of each key, and how many went; rows have a time ``us``."""
    total = duck.number(rows.count())
    repeated = total - duck.number(rows[key].nunique())
    if not repeated:
        return rows, 0
    place = ibis.row_number().over(ibis.window(group_by=key, order_by="us"))
    placed = rows.mutate(place=place)
    return duck.keep("once", placed.filter(placed.place == 0).drop("place")), repeated


def _is_one_of(names: Expr, wanted: Collection[str]) -> Expr:
    return ibis.coalesce(names.isin(sorted(wanted)), False) if wanted else ibis.literal(False)


def _code(rows: Expr, experiment: Experiment) -> Expr:
    names = [(variant.name, at) for at, variant in enumerate(experiment.variants)]
    return rows.variant.cases(*names, else_=UNKNOWN).cast("int8")


def _left_out(duck: Duck, rows: Expr, frame: Frame) -> dict[str, int]:
    ours = rows.filter(rows.ours)
    rules: dict[str, Any] = {
        "stand on another surface": ~ours.listed,
        "were served before the experiment's start": ours.listed & (ours.us < frame.start),
        "were served after the end of what is looked at": ours.listed & (ours.us >= frame.until),
    }
    counts = {f"rule_{at}": rule.cast("int64").sum() for at, rule in enumerate(rules.values())}
    (found,) = duck.arrow(ours.agg(**counts)).to_pylist()
    return {why: found[f"rule_{at}"] or 0 for at, why in enumerate(rules)}


def _unknown(duck: Duck, rows: Expr, experiment: Experiment, frame: Frame) -> dict[str, int]:
    found = rows.filter(rows.ours, rows.listed, rows.us >= frame.start, rows.us < frame.until)
    found = found.filter(found.code == UNKNOWN)
    counted = duck.arrow(found.group_by("variant").agg(lists=found.count()).order_by("variant"))
    return {row["variant"] or "(none)": row["lists"] for row in counted.to_pylist()}
