"""What is wrong with an installation, and what to do: looks only, changes nothing."""

import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import httpcore
import orjson

from recsys.bundle import Bundle, Registry, open_bundle
from recsys.errors import RecsysError
from recsys.store import Store, open_store
from training.card import gate_row
from training.languages import languages_of
from training.storage import storage_of

PACKAGES = ("numpy", "pyarrow", "fastapi", "uvicorn", "onnxruntime", "torch", "sentence-transformers")
_LEAST_FREE = 1e9
_OLD_MODEL_DAYS = 3.0
_CLOCK_SECONDS = 5.0
_FUTURE_SECONDS = 300.0
_NOT_FOLLOWING_SECONDS = 30.0
_DAY = 86_400.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: short name.
        state: as it is.
        wrong: what is wrong and what to do, None where it is well.
        advice: what may be well and may not, and what to do.
    """

    what: str
    state: str
    wrong: str | None = None
    advice: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


class Doctor:
    """Looks at what was named.

    Args:
        models: registry.
        store: URL of a store.
        url: of a running service.
        now: the machine's time.
        more: further things to look at: how they are, by name; raises ``RecsysError`` where something
            is wrong.
    """

    def __init__(
        self,
        models: Path | None,
        store: str | None,
        url: str | None,
        now: datetime,
        more: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        self._models, self._store_url, self._url, self._now = models, store, url, now
        self._more = more or {}
        self._bundle: Bundle | None = None
        self._store: Store | None = None

    def look(self) -> list[Finding]:
        """Everything, in order; one thing that is broken hides no other."""
        steps: list[tuple[str, Callable[[], Iterator[Finding]]]] = [("versions", _versions)]
        if self._models is not None:
            steps += [("bundle in service", self._model), ("secret key", self._key)]
        steps += [(name, partial(_one, name, tell)) for name, tell in self._more.items()]
        if self._store_url is not None:
            steps.append(("store", self._of_store))
        if self._models is not None:
            steps.append(("languages", self._languages))
        steps += [("free disk", self._disk), ("clock", self._clock)]
        if self._url is not None:
            steps.append(("service", self._service))
        found: list[Finding] = []
        with ExitStack() as stack:
            for name, step in steps:
                try:
                    found += step()
                except (RecsysError, OSError) as error:
                    found.append(Finding(name, "wrong", str(error)))
                if self._store is not None and name == "store":
                    stack.enter_context(closing(self._store))
        return found

    def _model(self) -> Iterator[Finding]:
        assert self._models is not None
        registry = Registry(self._models)
        self._bundle = bundle = open_bundle(registry.path(registry.require_current()))
        yield Finding("bundle in service", f"{bundle.version}, every digest is right")
        age = (self._now - datetime.fromisoformat(bundle.manifest["created"])).total_seconds() / _DAY
        old = (
            f"the bundle is {age:.0f} days old; run 'recsys train' again, and see why the daily one does not"
        )
        advice = old if age > _OLD_MODEL_DAYS else None
        yield Finding("age of the bundle", f"{age:.1f} days", advice=advice)
        yield _gate(bundle)

    def _key(self) -> Iterator[Finding]:
        assert self._models is not None
        path = self._models / "secret.key"
        if not path.exists():
            yield Finding("secret key", "no file; the service makes one, or takes RECSYS_SECRET_KEY")
            return
        open_to = stat.S_IMODE(path.stat().st_mode) & 0o077
        wrong = f"others may read or change the secret key; run: chmod 600 {path}" if open_to else None
        yield Finding("secret key", "a file of its owner" if wrong is None else "open to others", wrong)

    def _of_store(self) -> Iterator[Finding]:
        assert self._store_url is not None
        self._store = store = open_store(self._store_url, create=False)
        last = store.last_event_seq()
        yield Finding("store", f"opens, {last:,} events, {_megabytes(self._store_url)}")
        # an empty write needs the lock and the right to write, and leaves nothing behind
        store.put_vectors({})
        yield Finding("writable", "yes")
        newest = store.events_after(last - 1, 1) if last else []
        if newest:
            ahead = (newest[-1][1].ts - self._now).total_seconds()
            wrong = (
                "the newest event lies in the future: set this machine's clock, or that of who sends events"
            )
            told = f"{-ahead:,.0f} s ago" if ahead <= 0 else f"{ahead:,.0f} s ahead"
            yield Finding("newest event", told, wrong if ahead > _FUTURE_SECONDS else None)

    def _languages(self) -> Iterator[Finding]:
        if self._bundle is not None:
            yield Finding("languages", languages_of(self._bundle, self._store))

    def _folder(self) -> Path:
        """Where the service writes."""
        file = _file_of(self._store_url)
        if file is not None and file.exists():
            return file.resolve().parent
        return self._models if self._models is not None and self._models.exists() else Path.cwd()

    def _disk(self) -> Iterator[Finding]:
        free = shutil.disk_usage(self._folder()).free
        wrong = (
            "less than 1 GB of disk is free; make space, or move the store" if free < _LEAST_FREE else None
        )
        yield Finding("free disk", f"{free / 1e9:.1f} GB", wrong)
        if self._store is not None:
            yield from (Finding(*each) for each in storage_of(self._store, self._now))

    def _clock(self) -> Iterator[Finding]:
        """The file system's clock may be that of another machine."""
        with tempfile.TemporaryFile(dir=self._folder()) as probe:
            probe.write(b"x")
            probe.flush()
            apart = Path(f"/proc/self/fd/{probe.fileno()}").stat().st_mtime - time.time()
        wrong = f"the clocks of this machine and of the disk are {apart:.0f} s apart; let NTP set both"
        yield Finding("clock", f"{self._now.isoformat()}", wrong if abs(apart) > _CLOCK_SECONDS else None)

    def _service(self) -> Iterator[Finding]:
        assert self._url is not None
        status, body = _get(f"{self._url.rstrip('/')}/health/ready")
        if status != 200:
            wrong = "the service takes no requests; its log says why, and whether it starts or stops"
            yield Finding("service", f"answers {status}", wrong)
            return
        version = str(orjson.loads(body)["model_version"])
        other: str | None = None
        if self._bundle is not None and version != self._bundle.version:
            other = f"it serves {version}, the registry points to {self._bundle.version}; its log says why"
        yield Finding("service", f"ready with {version}", other)
        metrics = _get(f"{self._url.rstrip('/')}/metrics")[1].decode()
        behind = re.search(r"^recsys_follow_age_seconds (\S+)$", metrics, re.MULTILINE)
        if behind is not None:
            seconds = float(behind[1])
            wrong = "a worker no longer follows the store; look into its log and restart the service"
            yield Finding(
                "followed the store",
                f"{seconds:.1f} s ago",
                wrong if seconds > _NOT_FOLLOWING_SECONDS else None,
            )


def _versions() -> Iterator[Finding]:
    yield Finding("python", platform.python_version())
    for name in PACKAGES:
        try:
            yield Finding(name, installed(name))
        except PackageNotFoundError:
            yield Finding(name, "not installed")


def _one(name: str, tell: Callable[[], str]) -> Iterator[Finding]:
    yield Finding(name, tell())


def _gate(bundle: Bundle) -> Finding:
    gate = gate_row(bundle.manifest)
    funnel = gate["funnel"]
    if funnel is None:
        return Finding("gate", "had no lists to judge by")
    skill = f"skill {funnel['auc'] - 0.5:.3f} (AUC {funnel['auc']:.3f}) on {gate['impressions'] or 0:,} lists"
    wrong = "the bundle in service did not pass its gate; 'recsys models show' says why, 'rollback' returns"
    return Finding("gate", f"{gate['verdict']}, {skill}", wrong if gate["verdict"] == "failed" else None)


def _get(url: str) -> tuple[int, bytes]:
    """Status and body.

    Raises:
        OSError: nobody answers.
    """
    try:
        answer = httpcore.request("GET", url, extensions={"timeout": {"connect": 5.0, "read": 10.0}})
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise OSError(f"no service answers at {url}: {error}; start it with 'recsys serve'") from error
    except (httpcore.UnsupportedProtocol, ValueError) as error:
        raise OSError(f"{url!r} is no address of a service, such as http://127.0.0.1:8000") from error
    return answer.status, answer.content


def _file_of(store: str | None) -> Path | None:
    scheme, _, path = (store or "").partition(":///")
    return Path(path) if scheme == "sqlite" and path else None


def _bytes_of(file: Path) -> int:
    """Of the store's file and of all that lies beside it under its name."""
    beside = [path for path in file.parent.glob(f"{file.name}*") if path.is_file()]
    inside = [path for path in file.parent.glob(f"{file.name}.*/**/*") if path.is_file()]
    return sum(path.stat().st_size for path in [*beside, *inside])


def _megabytes(store: str) -> str:
    file = _file_of(store)
    return "size unknown" if file is None else f"{_bytes_of(file) / 1e6:,.1f} MB with its logs"
