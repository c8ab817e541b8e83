"""Who may do what: keys, and whose lists a caller may see."""

import base64
import binascii
import hashlib
import hmac

from fastapi import Request

from serving.problems import Problem
from serving.settings import Keys, is_loopback


def _same(given: str, expected: str | None) -> bool:
    return expected is not None and hmac.compare_digest(given.encode(), expected.encode())


def is_local(request: Request) -> bool:
    """A caller on this machine, not one that a proxy here speaks for."""
    forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    return request.client is not None and is_loopback(request.client.host) and not forwarded


def has_secret(request: Request, keys: Keys) -> bool:
    """Whether the call carries the secret key."""
    return _same(request.headers.get("x-api-key", ""), keys.secret)


def require_secret(request: Request, keys: Keys) -> None:
    """Articles, rules, models, explain, erasure.

    Raises:
        Problem: 401 without a key, 403 with another one.
    """
    if has_secret(request, keys):
        return
    if "x-api-key" not in request.headers:
        raise Problem(401, "send the secret key in the header X-API-Key")
    raise Problem(403, "this needs the secret key; the key that was sent is another one")


def require_public(request: Request, keys: Keys) -> None:
    """Events: free until a public key is set, then either key."""
    if keys.public is None or has_secret(request, keys):
        return
    given = request.headers.get("x-api-key")
    if given is None:
        raise Problem(401, "send the public key in the header X-API-Key")
    if not _same(given, keys.public):
        raise Problem(403, "the key that was sent is neither the public nor the secret key")


def require_read(request: Request, keys: Keys) -> None:
    """Lists: open unless ``auth.reads = "key"``."""
    if keys.reads == "key":
        require_public(request, keys)


def user_token(user_id: str, expires: int, secret: str) -> str:
    """Token with which a browser may ask for one user's lists; made by the site's server.

    Args:
        user_id: whose.
        expires: unix seconds.
        secret: the secret key.
    """
    name = base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")
    signature = hmac.new(secret.encode(), f"{name}.{expires}".encode(), hashlib.sha256).hexdigest()
    return f"{name}.{expires}.{signature}"


def user_of_token(token: str, now: float, keys: Keys) -> str:
    """The user a token speaks for.

    Raises:
        Problem: 403 for a forged or expired one.
    """
    name, _, rest = token.partition(".")
    expires, _, _ = rest.partition(".")
    try:
        user_id = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        expected = user_token(user_id, int(expires), keys.secret or "")
    except (ValueError, binascii.Error) as error:
        raise Problem(403, "user_token is not a token of this service", "user_token") from error
    if keys.secret is None or not hmac.compare_digest(token.encode(), expected.encode()):
        raise Problem(403, "user_token was not signed with the secret key", "user_token")
    if int(expires) < now:
        raise Problem(403, "user_token has expired; the site's server makes a new one", "user_token")
    return user_id


def check_user(request: Request, user_id: str, keys: Keys) -> None:
    """A bare ``user_id`` is taken with the secret key, on loopback, or where the site allows it.

    Raises:
        Problem: 403 otherwise.
    """
    if keys.users == "open" or is_local(request) or has_secret(request, keys):
        return
    raise Problem(
        403,
        f"user_id {user_id[:20]!r} without proof; browsers send session_id or user_token, "
        "servers the secret key",
        "user_id",
    )
