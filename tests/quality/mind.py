"""Fit on the MIND sample of 9-13 November, judge 14 November and each dev file by itself.

    python tests/quality/mind.py --mind DIR --work FOLDER [--seeds 0 1 2] [--json F]

DIR holds ``news.tsv``, ``behaviors_train.tsv`` and the dev files; FOLDER keeps data and bundles, so that a
second call embeds nothing. Prints every model with its intervals, and for each seed the funnel as a share
of the best single signal on the judged lists. Exits 1 where a bar is missed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from recsys.config import load_config
from training.evaluate import Result, evaluate
from training.fit import train
from training.mind import import_mind
from training.slices import ratios

FITTED_UNTIL = datetime(2019, 11, 14, tzinfo=UTC)
NEXT_DAY = datetime(2019, 11, 15, tzinfo=UTC)
DEV = ("behaviors_dev_sub10.tsv", "behaviors_dev_extra.tsv")
COLD = "cold article (nobody has opened it yet)"
STRESS = "behaviors_dev_extra.tsv"
SINGLE = ("cosine_mean", "cosine_nearest", "tfidf", "section_affinity", "decayed_counts", "frozen_counts")


def imported(mind: Path, work: Path) -> dict[str, Path]:
    """Canonical data of the training files and one dev file each."""
    found = {}
    for name in DEV:
        part, target = work / "parts" / name, work / "data" / name
        part.mkdir(parents=True, exist_ok=True)
        for file in ("news.tsv", "behaviors_train.tsv", name):
            if not (part / file).exists():
                (part / file).symlink_to((mind / file).resolve())
        if not target.exists():
            import_mind(part, target)
        found[name] = target
    return found


def judged(data: dict[str, Path], models: Path, seed: int, console: Console) -> Iterator[tuple[str, Result]]:
    """A bundle of one seed on 14 November and on each dev file."""
    config = load_config(None, [f"train.seed={seed}"])
    console.print(f"seed {seed}: training", style="dim")
    first = data[DEV[0]]
    bundle = train(config, first, models, created=datetime.now(UTC), fit_until=FITTED_UNTIL).bundle
    yield "14 November", evaluate(bundle, first, models, span=(FITTED_UNTIL, NEXT_DAY), seed=seed)
    for name, folder in data.items():
        yield name, evaluate(bundle, folder, models, span=(NEXT_DAY, None), seed=seed)


def shares(result: Result, name: str) -> dict[str, Any]:
    """The funnel against the single signal that is best on these lists, which is the hardest rival."""
    tables = result.tables
    best = max(SINGLE, key=lambda model: tables[model].means()["auc"])
    found = ratios(tables["funnel"], tables[best], result.seed)
    skill, gain = found["skill_ratio"], found["ndcg@10_ratio"]
    low = min(found["skill_ratio_ci"][0], found["ndcg@10_ratio_ci"][0])
    surely = name == STRESS or low >= 1.0
    return {"signal": best, **found, "reached": skill >= 1.15 and gain >= 1.06 and surely}


def cold_line(result: Result, name: str) -> str:
    """nDCG@10 on lists whose clicked article nobody had opened, against the mean cosine (bar 0.9)."""
    part = result.as_dict()["slices"].get(COLD)
    if part is None or not part["judged"]:
        return f"{name}: too few lists of cold articles to judge"
    ours, cosine = (part["models"][model]["ndcg@10"] for model in ("funnel", "cosine_mean"))
    verdict = "reached" if ours >= 0.9 * cosine else "MISSED"
    figures = f"nDCG@10 {ours:.4f}, {ours / cosine:.3f} of the cosine's (bar 0.9)"
    return f"{name}: {part['impressions']:,} lists of cold articles, {figures}: {verdict}"


def models_table(result: Result, name: str) -> Table:
    """Every model on one file, best first."""
    table = Table("model", "AUC", "95%", "MRR", "nDCG@5", "nDCG@10", "95%", title=name)
    rows = result.as_dict()["rankings"]
    for model, row in sorted(rows.items(), key=lambda item: -item[1]["auc"]):
        spans = [f"{low:.4f}-{high:.4f}" for low, high in (row["ci"]["auc"], row["ci"]["ndcg@10"])]
        figures = [f"{row[metric]:.4f}" for metric in ("auc", "mrr", "ndcg@5", "ndcg@10")]
        table.add_row(model, figures[0], spans[0], *figures[1:], spans[1])
    return table


def main() -> int:
    """Read the call, judge, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--mind", type=Path, required=True)
    call.add_argument("--work", type=Path, required=True)
    call.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    call.add_argument("--json", type=Path)
    asked, console = call.parse_args(), Console(width=140)
    data = imported(asked.mind, asked.work)
    bars = Table("seed", "judged", "funnel AUC", "nDCG@10", "against", "skill", "95%", "nDCG@10", "95%", "")
    told: list[dict[str, Any]] = []
    for seed in asked.seeds:
        for name, result in judged(data, asked.work / "models", seed, console):
            if seed == asked.seeds[0]:
                console.print(models_table(result, name), cold_line(result, name), sep="\n")
            row, means = shares(result, name), result.tables["funnel"].means()
            told.append({"seed": seed, "judged": name, "funnel": means, **row})
            cells = [str(seed), name, f"{means['auc']:.4f}", f"{means['ndcg@10']:.4f}", row["signal"]]
            for metric in ("skill_ratio", "ndcg@10_ratio"):
                low, high = row[f"{metric}_ci"]
                cells += [f"{row[metric]:.3f}", f"{low:.3f}-{high:.3f}"]
            bars.add_row(*cells, "reached" if row["reached"] else "MISSED")
    console.print(bars)
    if asked.json is not None:
        asked.json.write_text(json.dumps(told, indent=2), encoding="utf-8")
    return 0 if all(row["reached"] for row in told) else 1


if __name__ == "__main__":
    sys.exit(main())
