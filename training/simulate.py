"""Write a newsroom and its readers with known truth, for demos, tests and measurements.

The parts are in ``training.simulation``: the scenario and its knobs, the world, the policy that draws
lists, what readers do. A reader's chance to open an article they look at is base rate x appeal at its
age x quality x interest in its section; the chance to look at a place follows from its position.
"""

from datetime import datetime
from pathlib import Path

import numpy as np

from training.newsroom import load_newsroom
from training.simulation.articles import synthetic_articles
from training.simulation.behaviour import sessions, visit
from training.simulation.columns import Columns
from training.simulation.policy import Layout
from training.simulation.scenario import Scenario
from training.simulation.world import World, make_world
from training.writing import DatasetWriter

TRUTH = "truth.json"


def simulate(
    out: Path,
    *,
    seed: int,
    articles: int,
    users: int,
    days: int,
    end: datetime,
    newsroom: bool = False,
    scenario: Scenario | None = None,
) -> dict[str, int]:
    """Write canonical data and ``truth.json``; the same arguments give the same rows.

    Args:
        out: folder.
        seed: of everything.
        articles: synthetic articles; with ``newsroom`` the demo's own are used instead.
        users: readers.
        days: simulated days before ``end``.
        end: the last moment.
        newsroom: readers of the demo newsroom.
        scenario: the truth; None takes the defaults.
    """
    rng, rule = np.random.default_rng(seed), scenario or Scenario()
    span = days + rule.backlog_days
    written = load_newsroom(end) if newsroom else synthetic_articles(rng, articles, span, end)
    return write_world(out, make_world(rng, written, users, rule), rng, seed=seed, days=days, end=end)


def write_world(
    out: Path, world: World, rng: np.random.Generator, *, seed: int, days: int, end: datetime
) -> dict[str, int]:
    """Let the readers of a world come for some days, and write what happens.

    Args:
        out: folder.
        world: articles and readers.
        rng: of what happens.
        seed: named in the output.
        days: simulated days before ``end``.
        end: the last moment.
    """
    layout, last = Layout.of(world), end.timestamp()
    columns = Columns(world, last)
    with DatasetWriter(out) as writer:
        for article in world.articles:
            writer.tables["articles"].add(article)
        for slot in sessions(rng, world, days, last):
            for name, table in columns.tables(visit(rng, world, layout, slot, last)).items():
                writer.tables[name].add_columns(table)
        counts = {name: table.count for name, table in writer.tables.items()}
        writer.write_json(TRUTH, world.truth(seed))
        writer.finish({"simulated": True, "seed": seed, **counts})
    return counts
