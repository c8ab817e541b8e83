"""Whether a bundle may replace the one in service."""

from collections.abc import Callable
from pathlib import Path

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.errors import BundleError, DataError
from training.evaluate import evaluate
from training.slices import difference


def judge_replacement(
    registry: Registry, candidate: Bundle, data: Path, say: Callable[[str], None]
) -> list[str]:
    """Reasons against publishing; none means it may go into service.

    Without a bundle in service any valid one is published, and what could not be shown is said.
    Otherwise both are judged on the exposures of the data, the same for both, and the candidate is
    refused when the whole 95% interval of the AUC difference lies below zero.
    """
    current = registry.current()
    if current is None:
        say("no bundle is in service yet: published without comparison")
        return []
    try:
        standing = open_bundle(registry.path(current))
    except BundleError as error:
        say(f"the bundle in service is not valid ({error}): published without comparison")
        return []
    try:
        ours = evaluate(candidate, data, registry.folder)
        theirs = evaluate(standing, data, registry.folder)
    except DataError as error:
        say(f"not compared with {current}: {error}")
        return []
    low, high = difference(ours.tables["funnel"], theirs.tables["funnel"], ours.seed)
    say(f"AUC difference to {current}: 95% interval {low:+.4f} to {high:+.4f}")
    if high < 0:
        return [f"its AUC is lower than that of {current} (95% interval {low:+.4f} to {high:+.4f})"]
    return []
