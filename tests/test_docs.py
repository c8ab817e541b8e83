"""Docs that drift are bugs: ``bash`` blocks run, TOML loads, links lead somewhere, commands exist.

Blocks marked ``bash`` are run; ``console`` blocks are for what only a person starts.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from recsys.bundle import Registry, read_manifest
from recsys.store import open_store
from serving.guard import user_token
from tests.builders import NOW, article, event
from tests.conftest import Newsroom, copy_models
from tests.serving.server import SECRET, Server
from tests.training.command import recsys
from training.fit import EMBEDDERS
from training.table import read_map

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_CALL = r"recsys ((?:experiment |import |models |store |sync )?[a-z]+)((?: +[^`\n|;]*)?)"
_COMMANDS = ("experiment", "import", "store", "sync", "validate", "train", "evaluate", "serve", "doctor")
_COMMANDS += ("simulate",)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """One shell script with ``recsys`` and ``python`` of this environment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists_with_its_flags(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for call in re.findall(
        r"recsys ((?:experiment |import |models |store |sync )?[a-z]+)((?: +[^`\n|;]*)?)", text
    ):
        command, rest = call[0].split(), call[1]
        flags = re.findall(r"(?<!\S)(--[a-z][a-z-]*)", rest)
        if (
            not flags
            and len(command) == 1
            and command[0]
            not in (
                "experiment",
                "import",
                "store",
                "sync",
                "validate",
                "train",
                "evaluate",
                "serve",
                "doctor",
                "simulate",
            )
        ):
            continue
        help_text = recsys(capsys, *command, "--help").out
        for flag in flags:
            assert flag in help_text, (command, flag)


def test_data_examples_run_as_written(tmp_path: Path) -> None:
    first, second = blocks(ROOT / "docs" / "data.md", "bash")
    told = run(first, tmp_path).stdout
    refused = json.loads(told.strip().splitlines()[-1])
    assert (refused["row"], refused["field"]) == (5, "published_at")
    run(second, tmp_path)
    assert (tmp_path / "models" / "current").exists()


def test_the_map_in_the_docs_is_the_one_that_runs(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "data.md", "toml")
    (tmp_path / "map.toml").write_text(block)
    assert set(read_map(tmp_path / "map.toml")) == {"articles", "events"}
    assert block.strip() in blocks(ROOT / "docs" / "data.md", "bash")[0]


def test_operations_examples_run_as_written(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/site.db")
    store.put_articles([article("a1"), article("a2")], NOW)
    events = [event(f"e{i}", "a1").model_copy(update={"user_id": "user-1"}) for i in range(3)]
    store.append_events([*events, event("other", "a2")])
    store.close()
    (block,) = blocks(ROOT / "docs" / "operations.md", "bash")
    told = run(block, tmp_path).stdout
    assert "3 events and 0 served lists erased" in told
    assert {"data", "backup", "restored.db"} <= {path.name for path in tmp_path.iterdir()}


def test_sync_examples_run_as_written(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "sync.md", "bash")
    done = run(block, tmp_path)
    assert "1 new, 0 changed, 0 removed; 0 unchanged, 1 refused" in done.stdout
    assert "entry 2: published: 'a while ago' is not a time" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["unchanged_documents"] == 1


def test_an_experiment_goes_from_an_idea_to_a_decision_as_written(tmp_path: Path) -> None:
    page = ROOT / "docs" / "experiments.md"
    (definition,) = blocks(page, "toml")
    (tmp_path / "experiments.toml").write_text(definition)
    open_store(f"sqlite:///{tmp_path}/site.db").close()
    rehearsal, running = blocks(page, "bash")
    told = run(rehearsal, tmp_path).stdout
    assert "Ship it" in told
    report, design = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("report", "design"))
    assert (report["verdict"], report["ship"]) == ("ship", "varied")
    effect = report["metrics"][0]["relative_ci"]
    # clicks per article seen rise by what was made up, 25%
    assert effect[0] < 0.25 < effect[1]
    assert design["metrics"][0]["days"] is not None
    done = run(running, tmp_path)
    assert "runs on related until 2026-03-16" in done.stderr
    (kept,) = open_store(f"sqlite:///{tmp_path}/site.db").get_runs()[1]
    assert (kept["decision"], kept["config_hash"]) == ("keep the control", report["config_hash"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_toml_blocks_are_toml(page: Path) -> None:
    for block in blocks(page, "toml"):
        assert tomllib.loads(block)


def test_every_call_of_the_http_page_answers(newsroom: Newsroom, tmp_path: Path) -> None:
    server = Server(copy_models(newsroom.models, tmp_path / "models"), tmp_path / "s.db", newsroom.now)
    try:
        calls = [line for block in blocks(ROOT / "docs" / "http.md", "bash") for line in block.splitlines()]
        assert len(calls) > 10
        for call in calls:
            checked = call.replace("curl -s", "curl -s --fail-with-body")
            run(checked, tmp_path, BASE=server.base, SECRET=SECRET)
        client = run(
            f"python {ROOT}/docs/examples/client.py --url {server.base} --article world-arms-deal", tmp_path
        )
        assert client.stdout.splitlines()[-1] == "{'accepted': 18, 'duplicates': 0, 'rejected': []}"
    finally:
        server.stop()


def test_the_token_of_the_docs_is_the_one_that_is_checked() -> None:
    (code,) = blocks(ROOT / "docs" / "reader-identity.md", "python")
    made: dict[str, object] = {}
    exec(code, made)
    token = made["user_token"]("Zoë 1", "key")  # type: ignore[operator]
    assert token == user_token("Zoë 1", int(token.split(".")[1]), "key")


@pytest.mark.slow
def test_the_retraining_tutorial_runs_as_written(newsroom: Newsroom, tmp_path: Path) -> None:
    """The newsroom's texts are embedded already; that they would be is shown elsewhere."""
    models = tmp_path / "models"
    for kept in ("cache", EMBEDDERS):
        shutil.copytree(newsroom.models / kept, models / kept)
    told = run("\n".join(blocks(ROOT / "docs" / "retraining.md", "bash")), tmp_path)
    versions = Registry(models).versions()
    verdicts = [read_manifest(models / name)["metrics"]["gate"]["verdict"] for name in versions]
    assert (len(versions), verdicts[2]) == (5, "failed")
    assert "is not published" in told.stderr
    assert "best of 3 trials" in told.stdout
    assert (tmp_path / "scores.parquet").is_file()
    assert "# " + versions[0] in told.stdout
    assert read_manifest(models / versions[4])["fit_until"] is None
