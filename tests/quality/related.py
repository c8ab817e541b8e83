"""Print every bar of `related` and `for_you` with its figure and verdict.

    recsys evaluate --data DESKDROP --models MODELS --judge-from 2016-09-01T00:00:00Z --json deskdrop.json
    recsys evaluate --data MIND --models MIND_MODELS --judge-from 2019-11-14T00:00:00Z --json mind.json
    python tests/quality/related.py --deskdrop deskdrop.json --mind mind.json --mind-models MIND_MODELS \
        --newsroom-models DEMO_MODELS

Each file and registry may be left out, and with it its bars. Exits 1 where a bar is missed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recsys.bundle import Registry, open_bundle
from recsys.features import similarity
from recsys.pipeline import Funnel, Query
from recsys.snapshot import read_articles, read_state
from recsys.state import State

PAIRS = Path(__file__).with_name("pairs.tsv")
NEIGHBOURS = ("item_knn", "session_knn", "implicit_item_item")


class Bar(NamedTuple):
    """One line of the answer; ``reached`` is None where there is nothing to reach."""

    what: str
    figure: str
    bar: str
    reached: bool | None


def _span(found: dict[str, Any], metric: str) -> str:
    low, high = found[f"{metric}_ci"]
    return f"{found[metric]:.3f} [{low:.3f}, {high:.3f}]"


def next_articles(values: dict[str, Any], log: str) -> Iterator[Bar]:
    """Against the neighbours, the recent popular ones and the text alone; decayed against frozen counts."""
    for surface, judged in values["lists"]["next_article"].items():
        models, against = judged["models"], judged["funnel_against"]
        best = max((name for name in NEIGHBOURS if name in models), key=lambda name: models[name]["hr@20"])
        yield Bar(
            f"{log}, {surface}: HR@20 against {best}",
            _span(against[best], "hr@20"),
            "the interval reaches 1",
            against[best]["hr@20_ci"][1] >= 1.0,
        )
        alone = [name for name in models if name.startswith(("decayed_counts", "cosine"))]
        for name in sorted(alone, key=lambda name: -models[name]["hr@20"])[:3]:
            share = against[name]
            if None not in share["hr@20_ci"]:
                told = _span(share, "hr@20")
                yield Bar(f"{log}, {surface}: HR@20 against {name}", told, "1.10", share["hr@20"] >= 1.10)
        fresh = judged.get("decayed_against_frozen", {})
        if fresh.get("ndcg@10") is not None:
            yield Bar(
                f"{log}, {surface}: nDCG@10 of {fresh['signal']} against frozen counts",
                f"{fresh['ndcg@10']:.2f}",
                "1.25",
                fresh["ndcg@10"] >= 1.25,
            )


def pasts(values: dict[str, Any]) -> Iterator[Bar]:
    """The next read in ordered pasts of readers held out."""
    judged = values["lists"]["histories"]["related"]
    share = judged["funnel_against"]["item_knn"]
    reached = share["hr@20"] >= 1.05 and share["hr@20_ci"][0] > 1.0
    told = f"{judged['models']['funnel']['hr@20']:.4f}, {_span(share, 'hr@20')} of co-visitation"
    yield Bar(f"ordered pasts, {judged['reads']:,} reads: HR@20", told, "1.05, above 1", reached)
    cold = values["lists"]["histories"]["related_cold"]
    if cold["reads"]:
        shares = {name: cold["models"][name]["hr@20"] for name in ("funnel", "cosine", "item_knn")}
        told = ", ".join(f"{name} {share:.4f}" for name, share in shares.items())
        yield Bar(f"ordered pasts, {cold['reads']:,} reads of cold articles: HR@20", told, "no bar", None)


def variety(values: dict[str, Any]) -> Iterator[Bar]:
    """The diversity pass, the narrow lists of text alone, coverage, near-duplicates."""
    models = values["lists"]["beyond"]["histories"]
    judged = values["lists"]["histories"]["related"]
    ours, plain = models["funnel"], models["funnel_without_diversity"]
    wider = ours["intra_list_distance"] / plain["intra_list_distance"]
    kept = judged["funnel_against"]["funnel_without_diversity"]["ndcg@10"]
    yield Bar(
        "diversity pass: intra-list distance, nDCG@10 kept",
        f"{wider:.3f}, {kept:.3f}",
        "1.15, 0.985",
        wider >= 1.15 and kept >= 0.985,
    )
    against = ours["intra_list_distance"] / models["cosine"]["intra_list_distance"]
    yield Bar("intra-list distance against lists of cosine", f"{against:.3f}", "1.15", against >= 1.15)
    reach = ours["coverage@10"] / models["popularity"]["coverage@10"]
    yield Bar("coverage@10 against popularity", f"{reach:.1f}", "1.5", reach >= 1.5)
    repeated = ours["near_duplicates_per_list"]
    yield Bar("near-duplicates per list", f"{repeated:.3f}", "0", repeated == 0.0)


def _state(models: Path) -> tuple[State, list[int]]:
    registry = Registry(models)
    bundle = open_bundle(registry.path(registry.require_current()))
    state = read_state(bundle)
    told = [article.article_id for article in read_articles(bundle) if article.abstract]
    return state, [row for row in map(state.catalog.row, told) if row is not None]


def topicality(models: Path, articles: int = 400) -> Bar:
    """Of five related to an article with an abstract, the share in its section."""
    state, rows = _state(models)
    drawn = np.random.default_rng(1).permutation(rows)[:articles].tolist()
    funnel, sections, shares = Funnel(state), state.catalog.section, []
    for row in drawn:
        slate = funnel.slate("related", Query(state.popularity.watermark, limit=5, context=row))
        shares.append(np.mean([sections[item.row] == sections[row] for item in slate.items]))
    share = float(np.mean(shares))
    return Bar(
        f"five related to {len(drawn):,} articles, same section", f"{share:.3f}", "0.55", share >= 0.55
    )


def labelled(models: Path) -> Bar:
    """Pairs labelled by hand: how many of those on the topic, and of the others, stand in a list of five."""
    state, _ = _state(models)
    funnel, nearer, listed = Funnel(state), 0, np.zeros(2)
    lines = PAIRS.read_text(encoding="utf-8").splitlines()
    for line in lines:
        rows = [state.catalog.row(name) for name in line.split("\t")]
        context, offered = rows[0], np.array(rows[1:], dtype=np.int32)
        cosines = similarity(state, offered, context)
        nearer += bool(cosines[0] > cosines[1])
        query = Query(state.popularity.watermark, context=context, limit=5)
        listed += np.isin(offered, [item.row for item in funnel.slate("related", query).items])
    told = f"nearer in {nearer / len(lines):.2f}; in the list of five {listed[0]:.0f} against {listed[1]:.0f}"
    return Bar(
        f"{2 * len(lines)} pairs labelled by hand: on the topic or not",
        told,
        "3 to 1",
        listed[0] >= 3 * listed[1],
    )


def main() -> int:
    """Read the call, print the bars."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--deskdrop", "--simulator", "--mind", "--mind-models", "--newsroom-models"):
        call.add_argument(name, type=Path)
    asked = call.parse_args()
    bars: list[Bar] = []
    for log in ("deskdrop", "simulator"):
        if path := getattr(asked, log):
            bars += next_articles(json.loads(path.read_bytes()), log)
    if asked.mind:
        values = json.loads(asked.mind.read_bytes())
        bars += [*pasts(values), *variety(values)]
    if asked.mind_models:
        bars.append(topicality(asked.mind_models))
    if asked.newsroom_models:
        bars.append(labelled(asked.newsroom_models))
    for bar in bars:
        verdict = {True: "reached", False: "MISSED", None: "shown"}[bar.reached]
        print(f"{verdict:8s} {bar.what}: {bar.figure} (bar {bar.bar})")
    return int(any(bar.reached is False for bar in bars))


if __name__ == "__main__":
    sys.exit(main())
