"""Bundles beside the newsroom's, good and bad ones."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recsys.bundle import MANIFEST, Registry, file_digest, open_bundle
from recsys.snapshot import read_articles, read_state, write_state
from recsys.state import State

SECOND = "v20270101-000000"
MARK = "other-"


def second_bundle(models: Path, change: Callable[[State], None] | None = None, version: str = SECOND) -> str:
    """A bundle like the one in service, its state changed before it is written."""
    registry = Registry(models)
    bundle = open_bundle(registry.path(registry.require_current()))
    facts = {key: bundle.manifest[key] for key in ("created", "embedder", "events", "metrics")}
    state, articles = read_state(bundle), list(read_articles(bundle))
    if change is not None:
        change(state)
    renamed = [
        article.model_copy(update={"article_id": article_id})
        for article, article_id in zip(articles, state.catalog.ids, strict=False)
    ]
    write_state(models / version, state, renamed, {**facts, "version": version})
    return version


def marked(state: State) -> None:
    """Other ids for all articles: a list of this bundle shares none with one of the first."""
    state.catalog.ids = [f"{MARK}{article_id}" for article_id in state.catalog.ids]


def hide_all_but(count: int) -> Callable[[State], None]:
    """Only the newest ``count`` articles may be shown."""

    def change(state: State) -> None:
        for row in state.catalog.newest()[count:].tolist():
            state.catalog.servable[row] = False

    return change


def points_nowhere(state: State) -> None:
    """Neighbours that are no articles: every file is whole, and the first related list fails."""
    state.neighbours.rows[:] = 10_000_000


def rewrite_manifest(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    """Change a manifest, which no digest protects."""
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def replace_array(folder: Path, name: str, array: np.ndarray) -> None:
    """Another array under a right digest."""
    path = folder / f"{name}.npy"
    np.save(path, array)
    entry = {"digest": file_digest(path), "bytes": path.stat().st_size}
    rewrite_manifest(folder, lambda manifest: manifest["files"].update({path.name: entry}))
