"""A store as canonical data."""

from datetime import datetime
from pathlib import Path

from recsys.store import Store
from training.writing import DatasetWriter


def export_store(store: Store, out: Path, since: datetime | None = None) -> dict[str, int]:
    """Write a store's articles, events and exposures as canonical Parquet.

    Args:
        store: read while the service may run.
        out: folder; an earlier output is replaced.
        since: events and exposures from this time on; articles always all.
    """
    with DatasetWriter(out) as writer:
        after = 0
        while changes := store.articles_after(after):
            for seq, _, article in changes:
                after = seq
                if article is not None:
                    writer.tables["articles"].add(article)
        for event in store.iter_events(since):
            writer.tables["events"].add(event)
        for exposure in store.iter_exposures(since):
            writer.tables["exposures"].add(exposure)
        counts = {name: table.count for name, table in writer.tables.items()}
        writer.finish(counts)
    return counts
