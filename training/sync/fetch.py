"""One document over HTTP: bounded in time, size and redirects, with validators and tries."""

import email.utils
import random
import ssl
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import httpcore
import tenacity

import recsys
from recsys.errors import DataError, UsageError
from training.sync.addresses import CheckedBackend, Resolve, resolve

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TEMPORARY = frozenset((408, 425, 429, 500, 502, 503, 504))
_URL_SAFE = "%/:=&?~#+!$,;'@()*[]"
GONE = frozenset((404, 410))


class FetchError(DataError):
    """A document that cannot be had."""


class TemporaryError(FetchError):
    """A document that may be had later.

    Attributes:
        retry_after: seconds that the server asked to wait, None where it did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Limits:
    """What a sync spends on one document.

    Attributes:
        seconds: for all redirects and the whole body.
        wire_bytes: of the body as it is sent.
        bytes: of the body once it is decompressed; a sitemap may have 50 MB.
        redirects: hops.
        tries: for what may go by: no connection, 429, 5xx.
        patience: longest wait between two tries, in seconds; a server that asks for more is
            left alone until the next round.
    """

    seconds: float = 60.0
    wire_bytes: int = 20_000_000
    bytes: int = 52_428_800
    redirects: int = 5
    tries: int = 3
    patience: float = 30.0


@dataclass(frozen=True)
class Validators:
    """What a server said about the version that it sent."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Fetched:
    """An answer.

    Attributes:
        url: where it came from after redirects.
        body: decompressed, None if nothing changed since the validators.
    """

    url: str
    status: int
    body: bytes | None
    content_type: str = ""
    validators: Validators = field(default_factory=Validators)


def ascii_url(url: str) -> str:
    """A URL as it is sent: host in IDNA, the rest percent-encoded.

    Raises:
        FetchError: not an absolute http or https URL, or one with a user name in it.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            raise FetchError(f"{url[:200]!r} is not a URL that begins with http:// or https://")
        if "@" in parts.netloc:
            raise FetchError("a URL with a user name or a password in it is not fetched")
        if ":" not in host:
            host = host.encode("idna").decode()
    except ValueError as error:
        raise FetchError(f"{url[:200]!r} is not a URL: {error}") from error
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    path, query = quote(parts.path or "/", safe=_URL_SAFE), quote(parts.query, safe=_URL_SAFE)
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def decompress(body: bytes, limit: int) -> bytes:
    """Undo gzip, also twice (a ``.gz`` file over a compressing server).

    Raises:
        FetchError: it is damaged, or larger than ``limit`` bytes.
    """
    for _ in range(2):
        if body[:2] != b"\x1f\x8b":
            break
        decoder = zlib.decompressobj(wbits=31)
        try:
            body = decoder.decompress(body, limit + 1)
        except zlib.error as error:
            raise FetchError(f"the gzip data is damaged ({error})") from error
        if not decoder.eof and len(body) <= limit:
            raise FetchError("the gzip data ends too early")
        if len(body) > limit:
            break
    if len(body) > limit:
        raise FetchError(f"the document has more than {limit:,} bytes, once it is decompressed")
    return body


class Fetcher:
    """Gets documents.

    Args:
        allow_private: whether hosts of internal networks are reached.
        limits: on each document.
        stop: ends waits between tries when it is set.
        lookup: addresses of a host.
    """

    def __init__(
        self,
        allow_private: bool = False,
        limits: Limits | None = None,
        stop: Event | None = None,
        lookup: Resolve = resolve,
    ) -> None:
        self._allow_private, self._limits, self._lookup = allow_private, limits or Limits(), lookup
        self._stop = stop or Event()
        self._tls = ssl.create_default_context()

    def get(self, url: str, known: Validators | None = None, method: str = "GET") -> Fetched:
        """One document.

        Args:
            url: http or https.
            known: validators of the version that is known.
            method: ``HEAD`` for the status alone.

        Raises:
            FetchError: it cannot be had, and the reason.
            AddressRefusedError: the host, or one that it redirects to, is not public.
        """
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._limits.tries) | tenacity.stop_when_event_set(self._stop),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._worth_waiting),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )
        return tries(self._follow, url, known or Validators(), method)

    def read_file(self, path: Path) -> bytes:
        """A file, within the same limits.

        Raises:
            UsageError: it cannot be read.
            FetchError: it is too large.
        """
        try:
            with path.open("rb") as stream:
                body = stream.read(self._limits.bytes + 1)
        except OSError as error:
            raise UsageError(f"cannot read the file {path}: {error.strerror}; check the path") from error
        return decompress(body, self._limits.bytes)

    def _worth_waiting(self, error: BaseException) -> bool:
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        return isinstance(error, TemporaryError) and (asked or 0.0) <= self._limits.patience

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        longest = min(self._limits.patience, 2.0**state.attempt_number)
        return (asked or 0.0) + random.uniform(0.0, longest)

    def _follow(self, url: str, known: Validators, method: str) -> Fetched:
        backend = CheckedBackend(self._allow_private, time.monotonic() + self._limits.seconds, self._lookup)
        here = ascii_url(url)
        with httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool:
            for _ in range(self._limits.redirects + 1):
                try:
                    answer = self._one(pool, here, known, method)
                except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
                    raise TemporaryError(f"{here}: {str(error) or type(error).__name__}") from error
                if isinstance(answer, Fetched):
                    return answer
                here = ascii_url(urljoin(here, answer))
        raise FetchError(f"{url}: more than {self._limits.redirects} redirects")

    def _one(self, pool: httpcore.ConnectionPool, url: str, known: Validators, method: str) -> Fetched | str:
        """The answer, or where it redirects to."""
        headers: dict[bytes | str, bytes | str] = {
            "Host": urlsplit(url).netloc,
            "User-Agent": f"content-recsys/{recsys.__version__} (recsys sync)",
            "Accept-Encoding": "gzip",
            "Accept": "*/*",
        }
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        with pool.stream(method, url, headers=headers) as response:
            told = {
                name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers
            }
            if response.status in _REDIRECTS and "location" in told:
                return told["location"]
            if response.status == 304:
                return Fetched(url, 304, None, validators=known)
            if method == "HEAD":
                return Fetched(url, response.status, None)
            _require_success(url, response.status, told.get("retry-after"))
            body = self._body(response.iter_stream())
        try:
            plain = decompress(body, self._limits.bytes)
        except FetchError as error:
            raise FetchError(f"{url}: {error}") from error
        validators = Validators(told.get("etag"), told.get("last-modified"))
        return Fetched(url, response.status, plain, told.get("content-type", ""), validators)

    def _body(self, parts: Iterable[bytes]) -> bytes:
        body = bytearray()
        for part in parts:
            body += part
            if len(body) > self._limits.wire_bytes:
                raise FetchError(f"the answer has more than {self._limits.wire_bytes:,} bytes")
        return bytes(body)


def _require_success(url: str, status: int, retry_after: str | None) -> None:
    if status in _TEMPORARY:
        raise TemporaryError(f"{url}: the server answered {status}", _seconds(retry_after))
    if not 200 <= status < 300:
        raise FetchError(f"{url}: the server answered {status}; check the address")


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header, which is a number or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
