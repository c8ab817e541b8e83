"""What training recovers of a simulated newsroom's truth, and how much of it reaches the lists.

    python -m tests.quality.simulator [--small] [--seeds 3] [--json FILE]

Prints: calibration of the simulation; half-lives and propensities against the truth; ranking quality
(nDCG@10 with true attractiveness as gain, on candidates drawn at random) of a naive, a debiased and an
oracle training (a log of as many clicks in which every place is examined alike), and the share of the gap
that debiasing closes; readers with two interests; decayed against frozen counts. Exits 1 where a bar is
missed.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys.config import load_config
from tests.quality.calibration import TARGETS, calibration
from tests.quality.judged import click_rates, decayed_and_frozen, ranking_quality, two_interests
from tests.quality.newsrooms import Size, learned, log_of, make, purity, vectors
from training.simulation.scenario import Scenario

CALIBRATED = Size(articles=12_000, users=5_000, days=7, backlog_days=49.0)
HALF_LIVES = Size(articles=6_000, users=16_000, days=30)
HALF_LIVES_SMALL = Size(articles=900, users=2_500, days=8)
DEBIASED = Size(articles=1_500, users=6_000, days=7)
DEBIASED_SMALL = Size(articles=500, users=1_200, days=5)
ENOUGH_CLICKS = 5_000
# measure: lowest and highest value
BARS = {
    "propensities, largest relative error": (0.0, 0.10),
    "half-lives with enough clicks, largest relative error": (0.0, 0.15),
    "click rates, share of the gap closed": (0.80, np.inf),
    "related, share of the gap closed": (0.80, np.inf),
    "for_you, share of the gap closed": (0.80, np.inf),
    "decayed over frozen counts, nDCG@10 of the next opening": (1.25, np.inf),
    "two interests: lists with 3 or more of each": (0.80, 1.0),
}
Rows = dict[str, float]


def half_lives(folder: Path, seed: int, size: Size) -> Rows:
    """Learned half-lives of age over the truth, and the largest error where clicks are enough."""
    scenario = Scenario(backlog_days=size.backlog_days, confirmed_impressions=False)
    world = make(seed, size, scenario)
    config = load_config(None, ["ranker.min_lists=1000000000"])
    state, _ = learned(world, log_of(world, folder / "h", seed, size.days), seed, config)
    truth = dict(zip(world.names, world.half_lives.tolist(), strict=True))
    found, worst = {}, 0.0
    for part in state.learned.age.sections:
        ratio = part.half_life_hours / truth[part.name]
        found[f"half-life over truth, {part.name} ({truth[part.name]:.0f} h, {part.clicks:,} clicks)"] = ratio
        if part.clicks >= ENOUGH_CLICKS and truth[part.name] < size.days * 24.0:
            worst = max(worst, abs(ratio - 1.0))
    found["half-lives with enough clicks, largest relative error"] = worst
    return found


def debiasing(folder: Path, seed: int, size: Size) -> Rows:
    """Propensities against the truth; naive, debiased and oracle training judged on unbiased candidates."""
    scenario = Scenario(position_bias=1.0, for_you_share=0.5, confirmed_impressions=False, quality_pull=0.0)
    world = make(seed, size, scenario)
    even = float(scenario.examined().mean())
    biased = log_of(world, folder / "biased", seed, size.days)
    flat = log_of(
        world,
        folder / "flat",
        seed,
        size.days,
        position_bias=None,
        examination=(even,) * scenario.list_length,
    )
    states = {
        "naive": learned(world, biased, seed, load_config(None, ["examination.correct=false"]))[0],
        "debiased": learned(world, biased, seed, load_config(None))[0],
        "oracle": learned(world, flat, seed, load_config(None))[0],
    }
    found: Rows = {}
    errors = []
    for surface, values in states["debiased"].learned.examination.propensities.items():
        truth = scenario.examined() / scenario.examined()[0]
        errors += np.abs(np.array(values[: len(truth)]) / truth - 1.0).tolist()
        found[f"propensities of {surface}, largest relative error"] = max(errors[-len(truth) :])
    found["propensities, largest relative error"] = max(errors, default=np.inf)
    for what, judge in _judges(world, seed).items():
        values = {name: judge(state) for name, state in states.items()}
        found |= {f"{what}, nDCG@10 {name}": value for name, value in values.items()}
        gap = values["oracle"] - values["naive"]
        found[f"{what}, share of the gap closed"] = (values["debiased"] - values["naive"]) / gap
        found[f"{what}, share of the way from naive to the true order"] = (
            values["debiased"] - values["naive"]
        ) / (1.0 - values["naive"])
    return found


def _judges(world: Any, seed: int) -> dict[str, Callable[[Any], float]]:
    return {
        "click rates": lambda state: click_rates(world, state, seed),
        "related": lambda state: ranking_quality(world, state, "related", seed),
        "for_you": lambda state: ranking_quality(world, state, "for_you", seed),
    }


def lists(folder: Path, seed: int, size: Size) -> Rows:
    """The default newsroom: readers with two interests, decayed and frozen counts, the whole funnel."""
    world = make(seed, size, Scenario(for_you_share=0.5))
    data = log_of(world, folder / "lists", seed, size.days)
    state, _ = learned(world, data, seed, load_config(None))
    plain, _ = learned(world, data, seed, load_config(None, ["age_curve.learned=false"]))
    found = {"neighbours in the same section": purity(world, vectors(world, seed))}
    found |= two_interests(world, state) | decayed_and_frozen(world, data)
    for surface in ("related", "for_you"):
        for name, value in (
            ("random", ranking_quality(world, state, surface, seed, "random")),
            ("decayed counts", ranking_quality(world, state, surface, seed, "popularity")),
            ("content blend", ranking_quality(world, state, surface, seed, "blend")),
            ("funnel", ranking_quality(world, state, surface, seed)),
            ("funnel, configured age curve", ranking_quality(world, plain, surface, seed)),
        ):
            found[f"{surface}, nDCG@10 {name}, default newsroom"] = value
        base = found[f"{surface}, nDCG@10 decayed counts, default newsroom"]
        gained = found[f"{surface}, nDCG@10 funnel, default newsroom"] - base
        found[f"{surface}, funnel's share of the gap from decayed counts to the oracle"] = gained / (
            1.0 - base
        )
    return found


def measure(seed: int, small: bool, say: Callable[[str], None] = lambda _: None) -> Rows:
    """Everything for one seed."""
    found: Rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not small:
            say("calibration")
            world = make(seed, CALIBRATED, Scenario(backlog_days=CALIBRATED.backlog_days))
            found |= calibration(log_of(world, folder / "c", seed, CALIBRATED.days))
        say("half-lives")
        found |= half_lives(folder, seed, HALF_LIVES_SMALL if small else HALF_LIVES)
        say("debiasing")
        found |= debiasing(folder, seed, DEBIASED_SMALL if small else DEBIASED)
        say("lists")
        found |= lists(folder, seed, DEBIASED_SMALL if small else DEBIASED)
    return found


def table(runs: list[Rows]) -> tuple[list[str], bool]:
    """Lines of name, mean, range over seeds, bar; and whether every bar is reached by the mean."""
    lines, good = [], True
    for name in runs[0]:
        values = np.array([run.get(name, np.nan) for run in runs])
        line = f"{name:<72} {np.nanmean(values):8.3f}  {np.nanmin(values):8.3f} {np.nanmax(values):8.3f}"
        bar = {**TARGETS, **BARS}.get(name)
        if bar is not None:
            reached = bar[0] <= float(np.nanmean(values)) <= bar[1]
            good &= reached
            line += f"   {bar[0]:g} to {bar[1]:g}: {'reached' if reached else 'MISSED'}"
        lines.append(line)
    return lines, good


def _teller(seed: int) -> Callable[[str], None]:
    return lambda step: print(f"seed {seed}: {step}", file=sys.stderr)


def main() -> int:
    """Read the call, measure, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--small", action="store_true", help="a minute instead of many; bars are not for it")
    call.add_argument("--seeds", type=int, default=1)
    call.add_argument("--json", type=Path)
    asked = call.parse_args()
    runs = []
    for seed in range(1, asked.seeds + 1):
        runs.append(measure(seed, asked.small, _teller(seed)))
    lines, good = table(runs)
    print(f"{'measure':<72} {'mean':>8}  {'lowest':>8} {'highest':>8}")
    print("\n".join(lines))
    if asked.json is not None:
        asked.json.write_text(json.dumps({"seeds": runs}, indent=1), encoding="utf-8")
    return 0 if good or asked.small else 1


if __name__ == "__main__":
    sys.exit(main())
