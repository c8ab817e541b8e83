"""Stores behind one protocol, chosen by URL."""

from recsys.errors import UsageError
from recsys.store.contents import Contents, NotEmptyError, Snapshot, StoredArticle
from recsys.store.protocol import ConflictError, Erased, Store

__all__ = [
    "ConflictError",
    "Contents",
    "Erased",
    "NotEmptyError",
    "Snapshot",
    "Store",
    "StoredArticle",
    "open_store",
]


def open_store(url: str, *, create: bool = True) -> Store:
    """Open the store a URL names.

    Args:
        url: ``sqlite:///relative/path`` or ``sqlite:////absolute/path``.
        create: make it where it is missing; without, a typing error in a path makes no new store.

    Raises:
        UsageError: another scheme, or nothing is there and ``create`` is false.
        StoreError: it cannot be opened.
    """
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path:
        from recsys.store.sqlite import SqliteStore

        return SqliteStore(path, create)
    raise UsageError(f"the store URL {url!r} is not known; write sqlite:///PATH")
