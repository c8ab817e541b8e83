"""What a service is started with."""

import contextlib
import ipaddress
import os
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from recsys.config import Config
from recsys.errors import UsageError

_SHORTEST_KEY = 16
SECRET_FILE = "secret.key"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class Settings:
    """Start-up settings.

    Attributes:
        models: the registry folder.
        store: URL of the store.
        config: serving overrides, None takes the bundle's configuration.
        as_of: where the clock starts.
        host, port: where it listens.
        public_key, secret_key: from the environment or the configuration.
        drain_seconds: after SIGTERM, answered on while ``/health/ready`` already says 503.
        demo: whether the demo site is served at ``/``.
        workers: processes that share the calls.
    """

    models: Path
    store: str
    config: Config | None = None
    as_of: datetime | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    public_key: str | None = None
    secret_key: str | None = None
    drain_seconds: float = 0.2
    demo: bool = False
    workers: int = 1

    @property
    def auth(self) -> "Keys":
        """The keys in force."""
        auth = self.config.auth if self.config is not None else None
        return Keys(
            self.public_key or (auth.public_key if auth else None),
            self.secret_key or (auth.secret_key if auth else None),
            auth.reads if auth else "open",
            auth.users if auth else "token",
            auth.cors_origins if auth else (),
            auth.trusted_proxies if auth else (),
        )


@dataclass(frozen=True)
class Keys:
    """Keys and what they open; see the contract."""

    public: str | None
    secret: str | None
    reads: str
    users: str
    cors_origins: tuple[str, ...]
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def with_keys(settings: Settings) -> tuple[Settings, Path | None]:
    """Settings with a secret key; one is made and kept in a file where none is set.

    Returns:
        The settings, and the file that holds the key if it came from there.

    Raises:
        UsageError: bound to other than loopback without keys.
    """
    if settings.auth.secret is not None:
        return settings, None
    if not is_loopback(settings.host):
        raise UsageError(
            f"the service would listen on {settings.host} without keys; set RECSYS_SECRET_KEY and "
            "RECSYS_PUBLIC_KEY, or listen on 127.0.0.1"
        )
    path = settings.models / SECRET_FILE
    try:
        if not path.exists():
            _make_secret(path)
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot keep a secret key in {path}: {error}; set RECSYS_SECRET_KEY") from error
    if len(key) < _SHORTEST_KEY:
        raise UsageError(
            f"the secret key in {path} has {len(key)} characters, at least {_SHORTEST_KEY} are needed; "
            "delete the file to have a new key made"
        )
    return replace(settings, secret_key=key), path


def _make_secret(path: Path) -> None:
    """A key in a file of its owner; of two processes that start together one wins, whole."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
