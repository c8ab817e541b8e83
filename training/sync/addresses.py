"""Which machines a sync may talk to: the address that was checked is the one that is connected to.

A name is looked up once, every address it has is checked, and the connection goes to one of them.
A second look-up, which a name server under foreign control could answer otherwise, never happens.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from recsys.errors import DataError

Resolve = Callable[[str, int], list[str]]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefusedError(DataError):
    """The host lies in a network that a sync does not reach unless it is told to."""


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host name.

    Raises:
        OSError: the name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address is reached over the public internet, whatever form it is written in.

    Example:
        >>> [is_public(a) for a in ("93.184.215.14", "10.0.0.1", "::ffff:127.0.0.1", "100.64.0.1")]
        [True, False, False, False]
    """
    return all(ip.is_global and not ip.is_multicast for ip in _all_forms(ipaddress.ip_address(address)))


def _all_forms(ip: IpAddress) -> list[IpAddress]:
    """The address, or the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    if ip.sixtofour is not None:
        return [ip.sixtofour]
    if ip.teredo is not None:
        return list(ip.teredo)
    if ip in _NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    return [ip]


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and ends everything at a deadline.

    Args:
        allow_private: whether addresses that are not public are reached too.
        deadline: ``time.monotonic()`` at which a request and its answer must be through.
        lookup: addresses of a host.
    """

    def __init__(self, allow_private: bool, deadline: float, lookup: Resolve = resolve) -> None:
        self._allow_private, self._deadline, self._lookup = allow_private, deadline, lookup
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """See ``httpcore.NetworkBackend``; the name stays that of the certificate and the Host header."""
        error: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for address in self._checked(host, port):
            try:
                left = _left(self._deadline, timeout)
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
            else:
                return _Timed(stream, self._deadline)
        raise error

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            found = self._lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} is not known") from error
        refused = [] if self._allow_private else [address for address in found if not is_public(address)]
        if refused:
            raise AddressRefusedError(
                f"the host {host} has the address {refused[0]}, which is not a public one; "
                "--allow-private lets a sync reach hosts of an internal network"
            )
        return found


class _Timed(httpcore.NetworkStream):
    """A stream that a slow sender cannot keep open beyond the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, timeout)
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    """Seconds for the next step.

    Raises:
        httpcore.ReadTimeout: none is left.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the whole answer took too long")
    return left if timeout is None else min(left, timeout)
