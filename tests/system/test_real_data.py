"""Real click data, where it lies at hand (``RECSYS_EVAL_DATA``, default ../shared/data)."""

import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recsys.config import Config
from training.clicklog import read_click_log
from training.mind import import_mind
from training.table import import_table

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("RECSYS_EVAL_DATA", ROOT.parent / "shared" / "data"))
MIND, DESKDROP = DATA / "mind_small_sample", DATA / "deskdrop" / "interactions_2016-03_to_2016-10.csv"


@pytest.mark.skipif(not MIND.is_dir(), reason=f"no MIND sample at {MIND}; set RECSYS_EVAL_DATA")
def test_the_mind_sample_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    report = import_mind(MIND, tmp_path / "data")
    assert report.articles.written == 43_306
    exposures = report.exposures
    # train_covered repeats parts of train's rows; some ids stand for other rows in the dev files
    assert (exposures.written, exposures.duplicates, exposures.renamed) == (6_810, 1_889, 47)
    assert (report.articles.refused, report.events.refused, exposures.refused) == (0, 0, 0)
    assert report.events.written == 7_542 + 938 + 1_010
    believed = read_click_log(tmp_path / "data", Config(), {})
    assert (believed.bots, len(believed.log)) == (frozenset(), report.events.written)


@pytest.mark.skipif(not DESKDROP.is_file(), reason=f"no Deskdrop log at {DESKDROP}; set RECSYS_EVAL_DATA")
def test_deskdrop_keeps_its_saves_and_comments_as_such(tmp_path: Path) -> None:
    mapping = ROOT / "configs" / "deskdrop.toml"
    report = import_table(articles=DESKDROP, events=DESKDROP, mapping=mapping, out=tmp_path / "data")
    assert (report.articles.written, report.events.written) == (2_557, 61_425)
    types = Counter(pq.read_table(tmp_path / "data" / "events").column("type").to_pylist())
    source = Counter(line.split(",")[1] for line in DESKDROP.read_text().splitlines()[1:])
    assert types["comment"] == source["COMMENT CREATED"] > 0
    assert types["view"] == source["VIEW"]
    assert types["save"] == source["LIKE"] + source["BOOKMARK"] + source["FOLLOW"]
    # the heaviest readers are people
    assert not read_click_log(tmp_path / "data", Config(), {}).bots
