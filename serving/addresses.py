"""From where a call comes: behind the site's own proxies, and only as a hash that nobody can undo."""

import hashlib
import ipaddress
import os
from collections.abc import Sequence

from fastapi import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_DAY = 86_400.0
_IPV6_PREFIXES = ((64, 1), (48, 10))

# hashes of the networks that a caller is in, and how many times the bounds of one address each has
Networks = tuple[tuple[int, int], ...]


def caller_of(peer: str | None, forwarded: Sequence[str], proxies: Sequence[Network]) -> Address | None:
    """The nearest address on the way here that is none of the site's own proxies.

    Args:
        peer: the other end of the connection.
        forwarded: values of X-Forwarded-For, in their order; believed from the end, as far as own proxies
            wrote it.
        proxies: networks of the site's own proxies.

    Returns:
        None where it cannot be told (no peer, or a proxy that passes on what is no address).
    """
    address = _parsed(peer or "")
    steps = [step.strip() for value in forwarded for step in value.split(",")]
    while address is not None and steps and any(address in network for network in proxies):
        address = _parsed(steps.pop())
    return address


def _parsed(text: str) -> Address | None:
    """An address, without port and brackets; an IPv4 address within IPv6 is the former."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


class Addresses:
    """Hashes of callers' addresses under a key that is drawn anew each day and kept nowhere.

    Args:
        proxies: networks of the site's own proxies.
    """

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = tuple(proxies)
        self._day, self._key = -1, b""

    def of(self, request: Request, now: float) -> Networks:
        """The caller's networks: the address, or of an IPv6 one its /64 and its /48.

        A /64 is one household or phone; a /48 is what one customer can have, and has ten times its bounds.
        """
        forwarded = request.headers.getlist("x-forwarded-for")
        peer = request.client.host if request.client is not None else None
        return self.networks(caller_of(peer, forwarded, self._proxies), now)

    def networks(self, address: Address | None, now: float) -> Networks:
        """The same for an address; callers without one share one bound."""
        if int(now // _DAY) != self._day:
            self._day, self._key = int(now // _DAY), os.urandom(16)
        if address is None or address.version == 4:
            return ((self._hash(b"" if address is None else address.packed), 1),)
        return tuple((self._hash(address.packed[: length // 8]), factor) for length, factor in _IPV6_PREFIXES)

    def _hash(self, packed: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(packed, key=self._key, digest_size=8).digest(), "little")
