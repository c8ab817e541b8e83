"""How well the bundle in service ranks what it showed, beside what its gate promised.

It runs as a process of its own (``python -m serving.rescoring``), so that reading a day of served lists
costs no request anything. One worker starts it; every worker reads what it wrote beside the registry.
"""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.bundle import Bundle, Registry, read_manifest
from recsys.errors import BundleError
from recsys.learned import read_examination
from recsys.skill import Tally, clicked_places
from recsys.store import Store, open_store

RESCORED = "rescored.json"
JUDGED = ("related", "for_you")
_HISTORY = 60
_DAY = timedelta(days=1)


def gate_skill(manifest: Mapping[str, Any]) -> float | None:
    """Skill (AUC - 0.5) that the gate measured on lists held back from the fit; None without."""
    funnel = manifest.get("metrics", {}).get("gate", {}).get("models", {}).get("funnel")
    return None if funnel is None else float(funnel["auc"]) - 0.5


def clicks_of(store: Store, since: datetime, until: datetime) -> dict[str, set[str]]:
    """Articles that were clicked, by the list they were clicked in; forged clicks count nothing."""
    found: dict[str, set[str]] = {}
    for event in store.iter_events(since, until):
        if event.type == "click" and event.request_id is not None and event.trust != 0:
            found.setdefault(event.request_id, set()).add(event.article_id)
    return found


def rescored(store: Store, bundle: Bundle, now: datetime, min_lists: int, below: float) -> dict[str, Any]:
    """What the last day says of a bundle.

    Args:
        store: of the service.
        bundle: in service.
        now: end of the day.
        min_lists: clicked lists below which nothing is said.
        below: share of the gate's skill below which it has decayed.

    Returns:
        ``state`` is ``good``, ``decayed``, ``not_enough`` or ``no_gate``; the rest are figures.
    """
    examination, clicks = read_examination(bundle), clicks_of(store, now - _DAY, now)
    tally = Tally(["served"])
    for exposure in store.iter_exposures(now - _DAY, now):
        clicked = clicks.get(exposure.request_id)
        if clicked is None or exposure.surface not in JUDGED or exposure.model_version != bundle.version:
            continue
        scores = [float("nan") if item.score is None else item.score for item in exposure.items]
        places = examination.of(exposure.surface, [item.position for item in exposure.items])
        named = [item.article_id for item in exposure.items]
        reader = exposure.user_id or exposure.session_id or ""
        tally.add([scores], clicked_places(named, dict.fromkeys(clicked)), places, reader)
    found: dict[str, Any] = {"version": bundle.version, "at": now.isoformat(), "lists": tally.lists}
    found |= {"clicks": tally.clicks, "corrected": bool(examination.propensities), "below": below}
    promised = gate_skill(bundle.manifest)
    if promised is None or promised <= 0:
        return {**found, "state": "no_gate"}
    found["gate_skill"] = promised
    if tally.lists < min_lists:
        return {**found, "state": "not_enough", "min_lists": min_lists}
    skill = tally.skill("served")
    state = "decayed" if skill.high < below * promised else "good"
    interval = {"skill": skill.value, "low": skill.low, "high": skill.high}
    return {**found, **interval, "ratio": skill.value / promised, "state": state}


def leans(entry: Mapping[str, Any], before: bool) -> bool:
    """Whether serving shall lean on fresh counters and content, given what it did before.

    It begins when even the upper end of the interval lies below the bar, and ends when the value itself
    reaches it; a day with too few lists changes nothing.
    """
    if entry["state"] == "decayed":
        return True
    if entry["state"] == "good":
        return before and entry["ratio"] < entry["below"]
    return before


def read_rescored(models: Path) -> list[dict[str, Any]]:
    """All entries, the latest last; none where nothing was written or it cannot be read."""
    try:
        entries = json.loads((models / RESCORED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return entries if isinstance(entries, list) else []


def note(models: Path, entry: dict[str, Any]) -> None:
    """Add an entry to what is known of the bundles."""
    entries = read_rescored(models)
    mine = [each for each in entries if each["version"] == entry["version"]]
    entry["leaning"] = leans(entry, bool(mine) and mine[-1]["leaning"])
    aside = models / f".{RESCORED}.{os.getpid()}"
    aside.write_text(json.dumps([*entries, entry][-_HISTORY:], indent=1), encoding="utf-8")
    aside.replace(models / RESCORED)


def standing(models: Path, version: str) -> dict[str, Any] | None:
    """The latest entry of a version."""
    return next((each for each in reversed(read_rescored(models)) if each["version"] == version), None)


def told(entry: Mapping[str, Any]) -> str:
    """An entry for a person."""
    if entry["state"] == "no_gate":
        return "not rescored: its gate could measure nothing"
    if entry["state"] == "not_enough":
        return f"not enough: {entry['lists']:,} clicked lists of the last day, {entry['min_lists']:,} needed"
    seen = (
        f"skill {entry['skill']:.3f} ({entry['low']:.3f} to {entry['high']:.3f}) on {entry['lists']:,} lists"
    )
    what = f"{entry['ratio']:.2f} of the gate's {entry['gate_skill']:.3f}"
    rest = "" if entry["corrected"] else "; places not corrected for, none were learned"
    lean = "; serving leans on fresh counters and content" if entry["leaning"] else ""
    return f"{entry['state']}: {seen}, {what}{rest}{lean}"


def main(arguments: list[str]) -> None:
    """Rescore one version and write down what was found.

    Args:
        arguments: registry folder, store URL, version, time, fewest lists, bar.
    """
    models, url, version, now, min_lists, below = arguments
    os.nice(15)
    registry, store = Registry(Path(models)), open_store(url, create=False)
    bundle = Bundle(registry.path(version), read_manifest(registry.path(version)))
    try:
        when = datetime.fromtimestamp(float(now), UTC)
        note(Path(models), rescored(store, bundle, when, int(min_lists), float(below)))
    finally:
        store.close()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BundleError, OSError) as error:
        sys.exit(f"rescoring failed: {error}")
