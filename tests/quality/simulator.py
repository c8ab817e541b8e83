"""What training recovers of a simulated newsroom's truth, and how much of it reaches the lists.

    python -m tests.quality.simulator [--small] [--seeds 3] [--json FILE]

Prints: calibration of the simulation; half-lives and propensities against the truth; ranking quality
(nDCG@10 with true attractiveness as gain, on candidates drawn at random) of click rates and of a ranker
learned naively, debiased, and from a log of as many clicks in which every place is examined alike (the
oracle), and the share of the gap that debiasing closes; the funnel; readers with two interests; decayed
against frozen counts. Exits 1 where a bar is
missed.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recsys.config import load_config
from recsys.examination import Examination
from tests.quality.calibration import TARGETS, calibration
from tests.quality.debiased import counted, examination_of, rankers
from tests.quality.judged import click_rates, decayed_and_frozen, ranking_quality, two_interests
from tests.quality.newsrooms import Size, learned, log_of, make, purity, vectors
from training.simulation.scenario import Scenario

CALIBRATED = Size(articles=12_000, users=5_000, days=7, backlog_days=49.0)
HALF_LIVES = Size(articles=4_000, users=4_000, days=30)
HALF_LIVES_SMALL = Size(articles=600, users=1_500, days=6)
DEBIASED = Size(articles=1_500, users=5_000, days=7)
DEBIASED_SMALL = Size(articles=300, users=1_500, days=4)
ENOUGH_CLICKS = 5_000
# measure: lowest and highest value
BARS = {
    "propensities, largest relative error": (0.0, 0.10),
    "half-lives with enough clicks, largest relative error": (0.0, 0.15),
    "click rates, share of the gap closed": (0.80, np.inf),
    "ranker, share of the gap closed": (0.80, np.inf),
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
    found, errors = {}, []
    for part in state.learned.age.sections:
        ratio = part.half_life_hours / truth[part.name]
        found[f"half-life over truth, {part.name} ({truth[part.name]:.0f} h, {part.clicks:,} clicks)"] = ratio
        if part.clicks >= ENOUGH_CLICKS and truth[part.name] < size.days * 24.0:
            errors.append(abs(ratio - 1.0))
    found["half-lives with enough clicks, largest relative error"] = max(errors, default=np.nan)
    return found


def debiasing(folder: Path, seed: int, size: Size) -> Rows:
    """Propensities against the truth; click rates and a ranker, naive, debiased and of an even log."""
    scenario = Scenario(position_bias=1.0, for_you_share=0.5, confirmed_impressions=False, quality_pull=0.0)
    world = make(seed, size, scenario)
    evenly = {
        "position_bias": None,
        "examination": (float(scenario.examined().mean()),) * scenario.list_length,
    }
    biased = log_of(world, folder / "biased", seed, size.days)
    even = log_of(world, folder / "even", seed, size.days, **evenly)
    looked = examination_of(world, biased)
    truth, found = scenario.examined() / scenario.examined()[0], dict[str, float]()
    for surface, values in looked.propensities.items():
        found[f"propensities of {surface}, largest relative error"] = float(
            np.abs(np.array(values[: len(truth)]) / truth - 1.0).max()
        )
    found["propensities, largest relative error"] = max(found.values(), default=np.inf)
    rates = {"naive": Examination(), "debiased": looked, "oracle": Examination()}
    found |= _closed(
        "click rates",
        {
            name: click_rates(world, counted(world, even if name == "oracle" else biased, known), seed)
            for name, known in rates.items()
        },
    )
    return found | _closed("ranker", rankers(seed, looked.of("related", np.arange(1, 11))))


def _closed(what: str, values: Rows) -> Rows:
    """nDCG@10 of each training, and the share of the gap from naive to oracle that each other one closes."""
    found = {f"{what}, nDCG@10 {name}": value for name, value in values.items()}
    gap = values["oracle"] - values["naive"]
    for name in set(values) - {"naive", "oracle"}:
        told = "share of the gap closed" if name == "debiased" else f"share of the gap closed, {name}"
        found[f"{what}, {told}"] = (values[name] - values["naive"]) / gap
    return found


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
        if np.isnan(values).all():
            lines.append(f"{name:<72} not judged: too little of it in so small a simulation")
            continue
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
