"""What a newcomer sees first."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_once(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.demo", "--once", "--folder", str(folder)]
    command += ["--config", str(ROOT / "configs" / "demo.toml")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_demo_prints_four_full_lists_and_starts_the_second_time_at_once(tmp_path: Path) -> None:
    first = run_once(tmp_path / "demo")
    assert first.returncode == 0, first.stderr
    rows = re.findall(r"^│ (\d) │ (\w+) +│ (.+?) +│ .+│$", first.stdout, re.MULTILINE)
    assert [int(position) for position, _, _ in rows] == [1, 2, 3, 4, 5] * 4
    titles = [title for _, _, title in rows]
    assert len(set(titles)) == 20
    assert "Norland agrees to sell air-defence missiles to Veska in record arms deal" not in titles
    related = first.stdout.split("(related)")[1].split("(popular)")[0]
    assert len(re.findall(r"arms|weapons|missile|army|troops|defence|regiment", related, re.IGNORECASE)) >= 5
    assert "&" + "nbsp" not in first.stdout
    again = run_once(tmp_path / "demo")
    assert again.returncode == 0
    assert "trained already" in again.stderr
    assert "embedded" not in again.stderr
