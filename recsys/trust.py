"""Signed ids of served lists: which articles a list held, for whom and when, told by the id itself.

An id carries a Bloom filter of its articles (Bloom, "Space/Time Trade-offs in Hash Coding with Allowable
Errors", CACM 1970) and a signature (HMAC, RFC 2104), so that any worker can check a click without a
look-up, also after a restart. It cannot be made without the key.
"""

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

REQUEST, LIST, NOBODYS = 1, 2, 3
NONCE_BYTES = 8
DIGEST_BYTES = 12
_HEAD_BYTES = 1 + DIGEST_BYTES
_MAC_BYTES = 10
_MINUTE = 60.0
_BITS_PER_ARTICLE = 12
_STEP_BYTES = 8
_MOST_FILTER_BYTES = 64
_MOST_HASHES = 8


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a genuine id says of one article.

    Attributes:
        reader: whether the list was made for the reader who was asked about; a public list and one of a
            reader without a name are nobody's.
        minute: unix seconds of the minute in which it was served, None for a public list.
        holds: whether the article stood in it; wrongly True with the chance of ``false_positives``.
        serial: what tells this id from others, however it is written.
    """

    reader: bool
    minute: float | None
    holds: bool
    serial: int


def signing_key(secret: str) -> bytes:
    """The key of ids, which follows from the service's secret key and tells nothing about it."""
    return hmac.digest(secret.encode(), b"ids of served lists, version 1", "sha256")


def sign_request(key: bytes, now: float, reader: str | None, article_ids: Sequence[str], nonce: bytes) -> str:
    """The ``request_id`` of a list or page that was made for one reader.

    Args:
        key: from ``signing_key``.
        now: unix seconds.
        reader: ``u:`` and a user id or ``s:`` and a session id, None for a reader without a name.
        article_ids: of all lists of the answer.
        nonce: ``NONCE_BYTES`` random bytes.

    Example:
        >>> key = signing_key("secret")
        >>> name = sign_request(key, 0.0, "s:1", ["a", "b"], b"12345678")
        >>> verify(key, name, ("s:1",), "a").holds, verify(key, name, ("s:2",), "a")
        (True, None)
    """
    kind = NOBODYS if reader is None else REQUEST
    head = int(now // _MINUTE).to_bytes(4, "big") + nonce[:NONCE_BYTES]
    return _signed(key, kind, head, article_ids, reader or "")


def sign_list(key: bytes, content_digest: bytes, article_ids: Sequence[str]) -> str:
    """The ``list_id`` of a public list: the same for the same content.

    Args:
        key: from ``signing_key``.
        content_digest: of what is listed; its first ``DIGEST_BYTES`` count.
        article_ids: of all lists of the answer.
    """
    return _signed(key, LIST, content_digest[:DIGEST_BYTES], article_ids, "")


def verify(key: bytes, text: str, readers: Sequence[str], article_id: str) -> Attribution | None:
    """What an id says of an article; None where it was not made with this key for one of these readers.

    Args:
        key: from ``signing_key``.
        text: a ``request_id`` or ``list_id``, from anywhere.
        readers: the names under which the reader may have asked for the list.
        article_id: the article.
    """
    raw = _decoded(text)
    if raw is None:
        return None
    body, mac, kind = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:], raw[0] >> 4
    names = readers if kind == REQUEST else ("",)
    if not any(hmac.compare_digest(mac, _mac(key, body, name)) for name in names):
        return None
    hashes, found = raw[0] & 15, int.from_bytes(body[_HEAD_BYTES:], "little")
    mask = _mask(article_id, 8 * (len(body) - _HEAD_BYTES), hashes)
    minute = None if kind == LIST else int.from_bytes(body[1:5], "big") * _MINUTE
    return Attribution(kind == REQUEST, minute, found & mask == mask, int.from_bytes(mac, "little"))


def nonce_of(text: str) -> bytes | None:
    """The nonce in a ``request_id``, from which a list's random choices follow; not checked."""
    raw = _decoded(text)
    return None if raw is None or raw[0] >> 4 == LIST else raw[5:_HEAD_BYTES]


def false_positives(count: int) -> float:
    """Chance that an article which a list of ``count`` did not hold is taken for one of it."""
    size, hashes = _shape(count)
    return (1.0 - math.exp(-hashes * count / (8 * size))) ** hashes


def _decoded(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    size = len(raw) - _HEAD_BYTES - _MAC_BYTES
    shaped = 0 < size <= _MOST_FILTER_BYTES and size % _STEP_BYTES == 0
    return raw if shaped and raw[0] >> 4 in (REQUEST, LIST, NOBODYS) else None


def _signed(key: bytes, kind: int, head: bytes, article_ids: Sequence[str], reader: str) -> str:
    size, hashes = _shape(len(article_ids))
    bits, found = 8 * size, 0
    for article_id in article_ids:
        found |= _mask(article_id, bits, hashes)
    body = bytes((kind << 4 | hashes,)) + head + found.to_bytes(size, "little")
    return base64.urlsafe_b64encode(body + _mac(key, body, reader)).decode().rstrip("=")


def _mac(key: bytes, body: bytes, reader: str) -> bytes:
    return hmac.digest(key, body + reader.encode(), "sha256")[:_MAC_BYTES]


@lru_cache(maxsize=1024)
def _shape(count: int) -> tuple[int, int]:
    """Bytes of a filter and bits set for each article."""
    wanted = -(-count * _BITS_PER_ARTICLE // (8 * _STEP_BYTES)) * _STEP_BYTES
    size = min(max(wanted, _STEP_BYTES), _MOST_FILTER_BYTES)
    return size, min(max(round(8 * size / max(count, 1) * math.log(2.0)), 1), _MOST_HASHES)


@lru_cache(maxsize=1 << 16)
def _mask(article_id: str, bits: int, hashes: int) -> int:
    """The bits of an article as one number."""
    digest = hashlib.blake2b(article_id.encode(), digest_size=4 * _MOST_HASHES).digest()
    mask = 0
    for at in range(hashes):
        mask |= 1 << int.from_bytes(digest[4 * at : 4 * at + 4], "big") % bits
    return mask
