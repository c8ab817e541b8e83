"""A bundle is whole or refused, and the registry never points at half of one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys.bundle import MANIFEST, Bundle, Registry, open_bundle, read_manifest, write_bundle
from recsys.config import Config, load_config
from recsys.errors import BundleError
from recsys.pipeline import Funnel, Query
from recsys.snapshot import find_article, read_articles, read_state, write_state
from tests.builders import NOW, article, event, world


def written(folder: Path, version: str = "v1", config: Config | None = None) -> Bundle:
    articles = [article(f"a{i}", section="World", editor_priority=i / 10) for i in range(6)]
    events = [event(f"e{i}", f"a{i % 3}", f"r{i}") for i in range(20)] + [event("h", "a5", "r1", kind="hide")]
    state = world(articles, config=config, events=events)
    facts = {"version": version, "created": NOW.isoformat(), "embedder": {"model_id": "m", "dimensions": 32}}
    return write_state(folder / version, state, articles, facts)


def test_a_bundle_gives_back_the_state_that_was_written(tmp_path: Path) -> None:
    state = read_state(open_bundle(written(tmp_path).path))
    articles = [article(f"a{i}", section="World", editor_priority=i / 10) for i in range(6)]
    events = [event(f"e{i}", f"a{i % 3}", f"r{i}") for i in range(20)] + [event("h", "a5", "r1", kind="hide")]
    original = world(articles, events=events)
    query = Query(now=NOW.timestamp(), limit=5, context=0)
    pages = [
        Funnel(each).page(["related", "popular", "latest", "must_reads"], query) for each in (state, original)
    ]
    assert pages[0] == pages[1]
    assert list(read_articles(open_bundle(tmp_path / "v1"))) == articles
    assert find_article(open_bundle(tmp_path / "v1"), "a3") == articles[3]
    assert find_article(open_bundle(tmp_path / "v1"), "nope") is None


@pytest.mark.parametrize("name", ["vectors.npy", "articles.parquet", "count_openings_masses.npy"])
def test_one_flipped_bit_is_refused_with_the_name_of_the_file(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(written(tmp_path).path / name)
    with pytest.raises(BundleError, match=f"{name} does not have the digest"):
        open_bundle(tmp_path / "v1")


def test_a_missing_file_an_unknown_format_and_no_bundle_at_all_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path).path
    (path / "vectors.npy").unlink()
    with pytest.raises(BundleError, match=r"the file vectors\.npy is missing"):
        open_bundle(path)
    manifest = read_manifest(path)
    (path / MANIFEST).write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(BundleError, match="format 99, this program reads 3; train again"):
        open_bundle(path)
    (path / MANIFEST).write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(path)
    with pytest.raises(BundleError, match="is no bundle"):
        open_bundle(tmp_path)


def test_vectors_and_counters_of_different_sizes_are_refused(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    np.save(bundle.path / "vectors.npy", np.zeros((2, 32), np.float32))
    with pytest.raises(BundleError, match="do not belong together"):
        read_state(bundle)


def test_a_catalogue_without_a_column_is_refused_by_name(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    path = bundle.path / "catalog.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["tags", "priority"]), path)
    with pytest.raises(BundleError, match=r"lacks priority, tags.*train again"):
        read_state(bundle)


def test_a_bundle_from_before_authors_is_served_without_them(tmp_path: Path) -> None:
    """What it lacks is taken as unknown; an article that comes later has its author."""
    new = written(tmp_path)
    manifest, columns = read_manifest(new.path), pq.read_table(new.path / "catalog.parquet")
    manifest["vocabularies"].pop("authors")
    manifest["config"]["popularity"].pop("author_prior_impressions")
    manifest.pop("files")
    arrays = {
        path.stem: np.load(path) for path in new.path.glob("*.npy") if not path.stem.endswith("_author")
    }
    texts = [path for path in new.path.iterdir() if path.suffix != ".npy" and path.name != MANIFEST]

    def others(folder: Path) -> None:
        for path in texts:
            (folder / path.name).write_bytes(path.read_bytes())
        pq.write_table(columns.drop_columns(["author"]), folder / "catalog.parquet")

    old = read_state(open_bundle(write_bundle(tmp_path / "old", manifest, arrays, others).path))
    query = Query(now=NOW.timestamp(), limit=5, context=0)
    assert Funnel(old).slate("related", query) == Funnel(read_state(open_bundle(new.path))).slate(
        "related", query
    )
    row = old.apply_article(article("late", authors=["Ann"]), None)
    assert old.catalog.authors.names[old.catalog.author[row]] == "Ann"
    old.apply_events([event("x", "late", "somebody", kind="click")], NOW.timestamp())
    clicks = old.popularity.clicks.read_groups(NOW.timestamp(), 0, "author", np.array([0], np.int32))
    assert clicks[0] > 0.9


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(BundleError, match="exists already"):
        written(tmp_path)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_bundle(tmp_path / "v1", {}, {"bad": np.array([object()])}, lambda _: None)
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from recsys.errors import BundleError
from tests.recsys.test_bundle import written
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    written(Path({folder!r}), "v2")
except BundleError as error:
    print(error)
    sys.exit(7)
"""


def small_disk(tmp_path: Path) -> tuple[Path, bool]:
    """A folder, and whether a disk of 64 KB could be mounted there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        return folder, False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
    )
    return folder, done.returncode == 0


def test_a_full_disk_publishes_nothing_half_written(tmp_path: Path) -> None:
    folder, mounted = small_disk(tmp_path)
    if not mounted:
        pytest.skip("a small disk cannot be mounted here; the test below cuts the write short instead")
    try:
        (folder / "filler").write_bytes(b"x" * 48_000)
        with pytest.raises(BundleError, match=r"No space left on device; free space.*nothing was published"):
            written(folder, "v2")
        assert [path.name for path in folder.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_write_that_is_cut_short_leaves_the_bundle_in_service_alone(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    written(tmp_path, "v1")
    registry.promote("v1")
    code = FULL.format(root=str(Path(__file__).parents[2]), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, "nothing was published" in done.stdout) == (7, True), done.stderr
    assert registry.versions() == ["v1"]
    assert registry.current() == "v1"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    open_bundle(registry.path("v1"))


def test_promote_and_rollback_move_a_pointer(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    registry = Registry(tmp_path)
    with pytest.raises(BundleError, match=r"no bundle in service.*--publish"):
        registry.require_current()
    with pytest.raises(BundleError, match="no earlier bundle"):
        registry.rollback()
    for version in ("v1", "v2", "v3"):
        written(tmp_path, version)
    registry.promote("v1")
    registry.promote("v2")
    assert (registry.current(), (tmp_path / "current").is_symlink()) == ("v2", True)
    assert registry.rollback() == "v1" == registry.current()
    damage(tmp_path / "v3" / "vectors.npy")
    with pytest.raises(BundleError, match="digest"):
        registry.promote("v3")
    assert registry.current() == "v1"
    with pytest.raises(BundleError, match=r"no bundle '\.\./x'; there is: v1, v2, v3"):
        registry.promote("../x")


def test_current_may_be_a_file(tmp_path: Path) -> None:
    written(tmp_path, "v1")
    (tmp_path / "current").write_text("v1\n")
    assert Registry(tmp_path).require_current() == "v1"


def test_version_names_sort_by_time_and_are_free(tmp_path: Path) -> None:
    registry, at = Registry(tmp_path), datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert registry.new_version(at) == "v20260131-080000"
    written(tmp_path, "v20260131-080000")
    assert registry.new_version(at) == "v20260131-080000-2"


def test_serving_choices_can_be_changed_and_the_counters_stay(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    wanted = load_config(None, ["surfaces.related.title=Mehr", "popularity.half_lives_hours=[1.0,4.0,24.0]"])
    state = read_state(bundle, wanted)
    assert state.config.surfaces.related.title == "Mehr"
    assert state.config.popularity.half_lives_hours == Config().popularity.half_lives_hours


def test_a_later_configuration_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    path = bundle.path / MANIFEST
    changed = json.loads(path.read_text())
    changed["config"]["popularity"]["half_lifes"] = 3
    with pytest.raises(Exception, match=r"popularity\.half_lifes: unknown key"):
        read_state(Bundle(bundle.path, changed))
