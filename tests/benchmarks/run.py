"""``make bench``: figures as ratios to baselines of the same run.

python -m tests.benchmarks.run [--only PART] [--rounds 6] [--articles N] [--clicks N] [--events N] [--json F]
    [--folder F]
where PART is one of embedding, core, replay, training, retraining, storage, serving, live, experiments,
off_policy, growth.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.common import Figure, add_folder, work_folder
from tests.benchmarks.worlds import published, registry_of
from training.embed import SentenceTransformerEmbedder
from training.fit import EMBEDDERS
from training.onnx_export import export_onnx

PARTS = ("embedding", "core", "replay", "training", "retraining", "storage", "serving", "live", "experiments")
PARTS += ("off_policy", "growth")
# a million articles take a quarter of an hour and gigabytes: asked for by name
_BY_NAME = ("growth",)


def measured(part: str, asked: argparse.Namespace, folder: Path) -> list[Figure]:
    """The figures of one part."""
    from tests.benchmarks import (
        core,
        embedding,
        experiments,
        growth,
        live,
        off_policy,
        replay,
        retraining,
        serving,
        storage,
        training,
    )

    rounds, articles = asked.rounds, asked.articles
    if part == "experiments":
        return experiments.measure()
    if part == "off_policy":
        return off_policy.measure()
    if part == "training":
        return training.measure(rounds, asked.clicks, asked.events)
    if part == "embedding":
        return embedding.measure(rounds)
    if part == "core":
        return core.measure(articles, rounds)
    if part == "replay":
        return replay.measure(rounds)
    if part == "retraining":
        return retraining.measure(articles, folder)
    if part == "storage":
        return storage.measure(folder)
    if part == "growth":
        return growth.measure(folder, embedder_for)
    model_id = embedder_for(*(registry_of(folder, size) for size in (articles // 4, articles)))
    if part == "live":
        return live.measure(folder, published(folder, articles, model_id), articles)
    return serving.measure(folder, model_id, articles, rounds)


def embedder_for(*registries: Path) -> str:
    """Export the embedding model beside the bundles that will be made there; its id."""
    embedder = SentenceTransformerEmbedder()
    for registry in registries:
        target = registry / EMBEDDERS / embedder.model_id
        if not target.exists():
            export_onnx(embedder, target)
    return embedder.model_id


def table_of(figures: list[Figure]) -> Table:
    """What a person reads."""
    table = Table("measured", "median", "", "ratio", "lowest-highest", "bar", "")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        spread = "" if figure.spread is None else f"{figure.spread[0]:.2f}-{figure.spread[1]:.2f}"
        verdict = "" if figure.good is None else ("reached" if figure.good else "MISSED")
        table.add_row(figure.name, f"{figure.value:,.2f}", figure.unit, ratio, spread, figure.bar, verdict)
    return table


def main() -> None:
    """Read the call, measure, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--only", choices=PARTS, action="append")
    call.add_argument("--rounds", type=int, default=6)
    call.add_argument("--articles", type=int, default=43_000)
    call.add_argument("--clicks", type=int, default=20_000_000, help="rows that training counts")
    # ten times as many take a quarter of an hour and more: the range of the bar is --events 10000000
    call.add_argument("--events", type=int, default=1_000_000, help="largest log of training's growth")
    call.add_argument("--json", type=Path)
    add_folder(call)
    asked = call.parse_args()
    console, figures = Console(width=170), []
    with work_folder(asked.folder) as folder:
        for part in asked.only or [part for part in PARTS if part not in _BY_NAME]:
            console.print(f"measuring {part} ...", style="dim")
            figures += measured(part, asked, folder)
    console.print(table_of(figures))
    if asked.json is not None:
        asked.json.write_text(
            json.dumps([figure.as_dict() for figure in figures], indent=2), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
