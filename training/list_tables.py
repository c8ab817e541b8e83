"""The evaluation's ``lists`` as compact tables."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

_MEASURES = (
    "intra_list_distance",
    "coverage@10",
    "novelty",
    "gini",
    "calibration",
    "near_duplicates_per_list",
)


def tables(lists: dict[str, Any]) -> Iterator[Table]:
    """Next articles with the funnel's share of each model, then what the lists are like."""
    for kind in ("next_article", "histories"):
        for name, judged in lists.get(kind, {}).items():
            if judged.get("models"):
                yield _next(f"{kind}: {name}, {judged['reads']:,} reads", judged)
    for name, models in lists.get("beyond", {}).items():
        table = Table("model", *_MEASURES, title=f"lists of {name}, first ten places")
        for model, row in models.items():
            table.add_row(model, *(_short(row[measure]) for measure in _MEASURES))
        yield table


def _next(title: str, judged: dict[str, Any]) -> Table:
    table = Table("model", "HR@20", "95%", "nDCG@20", "funnel / model (HR@20)", "95%", title=title)
    for model, row in sorted(judged["models"].items(), key=lambda pair: -pair[1]["hr@20"]):
        low, high = row["ci"]["hr@20"]
        numbers = [f"{row['hr@20']:.4f}", f"{low:.4f}-{high:.4f}", f"{row['ndcg@20']:.4f}"]
        share = judged["funnel_against"].get(model)
        if share is not None:
            bounds = [_short(value) for value in share["hr@20_ci"]]
            numbers += [_short(share["hr@20"]), "-".join(bounds)]
        table.add_row(model, *numbers)
    return table


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"
