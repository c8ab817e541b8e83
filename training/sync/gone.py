"""Which articles a source took back."""

from training.sync.fetch import GONE, Fetcher, FetchError
from training.sync.source import Reading
from training.sync.state import SyncState

_LOOKS = 20
_LOOKS_UNTIL_GONE = 2
_SHARE = 0.1
_FEW = 10


def left_sitemap(state: SyncState, reading: Reading) -> list[str]:
    """Keys of articles that no longer stand in a sitemap; those that only grew old are forgotten.

    A news sitemap holds the newest only. Who is missing while older ones still stand there was taken
    out; who is older than all that stand there has aged out, and stays in the catalogue.
    """
    if reading.problems:
        return []
    standing = [known for key, known in state.articles.items() if key in reading.keys]
    dates = [known.dated for known in standing if known.windowed and known.dated is not None]
    oldest = min(dates, default=float("inf"))
    gone = []
    for key, known in list(state.articles.items()):
        if key in reading.keys:
            continue
        if known.windowed and (known.dated is None or known.dated < oldest):
            del state.articles[key]
        else:
            gone.append(key)
    return gone


def mark_left(state: SyncState, reading: Reading) -> None:
    """Note who no longer stands in a feed, which is no removal: a feed holds the newest only."""
    for key, known in state.articles.items():
        known.left = key not in reading.keys


def look_at_pages(state: SyncState, fetcher: Fetcher) -> list[str]:
    """Keys of articles whose page is gone, of some that left the feed; each round goes on with the next.

    A page that is gone (404 or 410) at two looks in a row is gone; one that cannot be reached is not.
    """
    left = [key for key, known in state.articles.items() if known.left and known.url]
    start = state.next_look if state.next_look < len(left) else 0
    state.next_look = start + _LOOKS
    gone = []
    for key in left[start : start + _LOOKS]:
        known = state.articles[key]
        try:
            status = fetcher.get(known.url or "", method="HEAD").status
        except FetchError:
            continue
        known.missing = known.missing + 1 if status in GONE else 0
        if known.missing >= _LOOKS_UNTIL_GONE:
            gone.append(key)
    return gone


def may_remove(gone: int, known: int, most: int | None) -> bool:
    """Whether a round removes that many; a source that is suddenly empty or broken removes nothing.

    Args:
        gone: articles that seem to be gone.
        known: articles that the source brought.
        most: what the caller allows; None for a tenth, ten at least, and never more than half.

    Example:
        >>> may_remove(10, 40, None), may_remove(11, 40, None), may_remove(3, 4, None), may_remove(3, 4, 5)
        (True, False, False, True)
    """
    if most is not None:
        return gone <= most
    return gone <= max(_FEW, _SHARE * known) and 2 * gone <= known
