"""What clicks on lists that were really shown say of a bundle in the shadow."""

from datetime import UTC, datetime, timedelta
from typing import Any

from recsys.bundle import Registry, open_bundle
from recsys.errors import DataError
from recsys.learned import read_examination
from recsys.shadowed import compared, folder_of, read_shadowed
from recsys.skill import Interval
from recsys.store import open_store

CAVEAT = (
    "The lists were chosen and ordered by the bundle in service. Articles that only the shadow would have "
    "shown got no clicks, so these figures favour the one in service; places are corrected for as far as "
    "training could tell how much each is looked at. A shadow that is not worse here is worth an experiment; "
    "only an experiment shows that it is better."
)
_LATE = timedelta(hours=1)


def shadow_report(registry: Registry, version: str, store_url: str) -> dict[str, Any]:
    """Skill of the shadow and of the bundle in service on the same clicks.

    Args:
        registry: holds the shadow.
        version: of it.
        store_url: of the service; the scores lie beside it.

    Raises:
        DataError: nothing was scored yet.
    """
    folder = folder_of(store_url)
    lists = [] if folder is None or not folder.is_dir() else list(read_shadowed(folder, version))
    if not lists:
        raise DataError(
            f"{version} has scored nothing beside {store_url}; mark it with 'recsys models shadow {version}' "
            "and let the service run: it scores [serving] shadow_share of what is served"
        )
    bundle, store = open_bundle(registry.path(version)), open_store(store_url, create=False)
    since, until = (datetime.fromtimestamp(pick(each.at for each in lists), UTC) for pick in (min, max))
    clicks: dict[str, set[str]] = {}
    for event in store.iter_events(since, until + _LATE):
        if event.type == "click" and event.request_id is not None and event.trust != 0:
            clicks.setdefault(event.request_id, set()).add(event.article_id)
    store.close()
    examination = read_examination(bundle)
    tally = compared(lists, clicks, examination)
    rows = {name: _row(tally.skill(name)) for name in tally.scorers}
    return {
        "version": version,
        "lists": len(lists),
        "clicked_lists": tally.lists,
        "clicks": tally.clicks,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "in_service": sorted({each.in_service for each in lists if each.in_service}),
        "corrected": bool(examination.propensities),
        "skill": rows,
        "difference": _row(tally.difference("shadow", "in_service")),
        "caveat": CAVEAT,
    }


def _row(found: Interval) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in found._asdict().items()}


def told_of_shadow(found: dict[str, Any]) -> str:
    """The report for a person."""
    head = (
        f"{found['version']} scored {found['lists']:,} lists of {', '.join(found['in_service'])}, "
        f"{found['clicked_lists']:,} of them with a click beside another article"
    )
    if not found["clicks"]:
        return f"{head}; nothing can be said yet"
    cells = {**found["skill"], "difference": found["difference"]}
    rows = [
        f"  {name:<11} {c['value']:+.4f} ({c['low']:+.4f} to {c['high']:+.4f})" for name, c in cells.items()
    ]
    return "\n".join([head, "skill (0 is chance, 0.5 perfect) with 95% intervals:", *rows, found["caveat"]])
