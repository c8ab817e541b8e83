"""The report of an experiment in a real browser: nothing runs off the page, on a phone or a desk or paper."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config
from tests.training.experiment.logs import END, experiment
from training.duck import opened
from training.experiment.outcomes import read_log
from training.experiment.report import Asked, report
from training.experiment.report_page import render
from training.simulation.experiments import Lift, Traffic, write_experiment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
# what lies in a region that scrolls may be wider than the page, and nothing else
ASK = """
<script>
onload = () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument;
  const all = (wanted) => [...page.body.querySelectorAll(wanted)], edge = frame.clientWidth + 1;
  const inside = (one) => one.closest(".scroll, svg, pre, .sr");
  const off = all("*").filter((one) => !inside(one) && one.getBoundingClientRect().right > edge);
  document.title = JSON.stringify({
    wide: page.documentElement.scrollWidth - frame.clientWidth,
    off: off.map((one) => one.outerHTML.slice(0, 60)),
    empty: all("figure svg").filter((one) => one.getBoundingClientRect().height < 40).length,
    figures: all("figure svg").length,
  });
};
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of three sides, which makes every table and name its longest."""
    folder = tmp_path_factory.mktemp("experiment") / "data"
    names = ("control", "more-from-other-sections", "new")
    sides = [
        {"name": name, "weight": 1 / 3, "overrides": {"surfaces.related.diversity": 0.4}} for name in names
    ]
    definition = experiment(variant=sides)
    write_experiment(folder, definition, Traffic(readers=3000), {"new": Lift(clicks=0.4)}, seed=2)
    with opened(500) as duck:
        return render(report(duck, read_log(duck, folder), Asked(definition, END, Config().clicklog)))


def browsed(folder: Path, *arguments: str) -> str:
    call = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_runs_off_the_page(width: int, page: str, tmp_path: Path) -> None:
    frame = f'<iframe width="{width}" height="9000" srcdoc="{html.escape(page)}"></iframe>'
    (tmp_path / "framed.html").write_text(f"<!doctype html><body>{frame}{ASK}</body>", encoding="utf-8")
    told = browsed(tmp_path, "--dump-dom", f"file://{tmp_path / 'framed.html'}")
    found = re.search("<title>(.*?)</title>", told)
    assert found is not None
    seen: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    assert seen["off"] == []
    assert seen["wide"] <= 0
    assert (seen["empty"], seen["figures"]) == (0, 8)


def test_it_is_a_few_sheets_of_paper(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    target = tmp_path / "page.pdf"
    browsed(tmp_path, f"--print-to-pdf={target}", f"file://{tmp_path / 'page.html'}")
    sheets = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert 3 <= sheets <= 12
