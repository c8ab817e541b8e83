"""Stores behind one protocol, chosen by URL."""

from recsys.errors import UsageError
from recsys.store.protocol import ConflictError, Store

__all__ = ["ConflictError", "Store", "open_store"]


def open_store(url: str) -> Store:
    """Open the store a URL names.

    Args:
        url: ``sqlite:///relative/path`` or ``sqlite:////absolute/path``.

    Raises:
        UsageError: another scheme.
        StoreError: it cannot be opened.
    """
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path:
        from recsys.store.sqlite import SqliteStore

        return SqliteStore(path)
    raise UsageError(f"the store URL {url!r} is not known; write sqlite:///PATH")
