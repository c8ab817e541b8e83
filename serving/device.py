"""What kind of device a browser says that it runs on; coarse, so that it names nobody."""

import re
from functools import lru_cache

from fastapi import Request

# browsers of phones say Mobi, tablets of Android do not (the hint that MDN gives for telling them)
_TABLET = re.compile(rb"iPad|Tablet|Android(?!.*Mobi)")


def device_of(request: Request) -> str | None:
    """``mobile``, ``tablet`` or ``desktop``; None where it is no browser or does not say."""
    return _device(next((value for name, value in request.scope["headers"] if name == b"user-agent"), b""))


@lru_cache(maxsize=2048)
def _device(agent: bytes) -> str | None:
    """Kind by the User-Agent header.

    Example:
        >>> _device(b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148")
        'mobile'
        >>> _device(b"python-httpx/0.28") is None
        True
    """
    if not agent.startswith(b"Mozilla/"):
        return None
    if _TABLET.search(agent):
        return "tablet"
    return "mobile" if b"Mobi" in agent else "desktop"
