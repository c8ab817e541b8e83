"""The model bundle: a directory of JSON, ``.npy`` and Parquet with a digest of every file.

Written aside, fsynced, renamed; read with every digest checked. A bundle that is damaged,
incomplete or of another format is refused with the reason.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.errors import BundleError

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
VECTORS_OF = "vectors.json"
_CHUNK = 1 << 20


def file_digest(path: Path) -> str:
    """``sha256:`` and the hex digest of a file."""
    found = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            found.update(chunk)
    return f"sha256:{found.hexdigest()}"


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A temporary sibling folder that becomes ``target`` when the block ends well.

    Raises:
        BundleError: the disk is full or the place cannot be written; nothing half-written stays.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for path in sorted(aside.rglob("*")):
            _fsync(path)
        _fsync(aside)
        aside.rename(target)
        _fsync(target.parent)
    except OSError as error:
        raise BundleError(
            f"cannot write the bundle {target}: {error.strerror or error}; free space or choose another "
            "folder, then run the same command again; nothing was published"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@dataclass(frozen=True)
class Bundle:
    """An opened and verified bundle.

    Attributes:
        path: its folder.
        manifest: the parsed manifest.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def version(self) -> str:
        """Name of the bundle in its registry."""
        return str(self.manifest["version"])

    def array(self, name: str, *, mapped: bool = False) -> NDArray[Any]:
        """One array; ``mapped`` keeps it on disk, copy-on-write."""
        path = self.path / f"{name}.npy"
        try:
            loaded = np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)
            # a plain view of the same pages: every operation on a memmap object costs microseconds
            return np.asarray(loaded)
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} is not a readable array: {error}") from error

    def verify(self, name: str) -> None:
        """Check one file against the manifest.

        Raises:
            BundleError: it is missing, or has a wrong size or digest.
        """
        file, entry = self.path / name, self.manifest["files"].get(name)
        if entry is None or not file.is_file():
            raise BundleError(f"bundle {self.path.name}: the file {name} is missing")
        if file.stat().st_size != entry["bytes"] or file_digest(file) != entry["digest"]:
            raise BundleError(
                f"bundle {self.path.name}: the file {name} does not have the digest in {MANIFEST}; "
                "it was damaged or changed after training; roll back or train again"
            )


def write_bundle(
    target: Path,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    write_files: Callable[[Path], None],
) -> Bundle:
    """Write a bundle.

    Args:
        target: folder that must not exist yet.
        manifest: everything but ``format_version`` and ``files``.
        arrays: stored as ``NAME.npy``.
        write_files: writes further files into the folder it is given.

    Raises:
        BundleError: the place is taken or cannot be written.
    """
    if target.exists():
        raise BundleError(f"{target} exists already; a bundle is never overwritten")
    with written_aside(target) as aside:
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", array, allow_pickle=False)
        write_files(aside)
        files = {
            str(path.relative_to(aside)): {"digest": file_digest(path), "bytes": path.stat().st_size}
            for path in sorted(aside.rglob("*"))
            if path.is_file()
        }
        full = {"format_version": FORMAT_VERSION, **manifest, "files": files}
        (aside / MANIFEST).write_text(json.dumps(full, indent=2, sort_keys=True), encoding="utf-8")
    return Bundle(target, full)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a bundle folder.

    Raises:
        BundleError: missing, unreadable or of an unknown format version.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{path} is no bundle: it holds no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path / MANIFEST} cannot be read: {error}") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path} has bundle format {version!r}, this program reads {FORMAT_VERSION}; "
            "train again with this version, or serve with the version that wrote it"
        )
    return manifest  # type: ignore[no-any-return]


def open_bundle(path: Path) -> Bundle:
    """Open a bundle after checking the digest of every file.

    Raises:
        BundleError: a missing file, a wrong size or digest, an unknown format, or vectors of another
            embedding model than the manifest names.
    """
    bundle = Bundle(path, read_manifest(path))
    for name in bundle.manifest["files"]:
        bundle.verify(name)
    if VECTORS_OF in bundle.manifest["files"]:
        _require_model(bundle)
    return bundle


def _require_model(bundle: Bundle) -> None:
    made = json.loads((bundle.path / VECTORS_OF).read_text(encoding="utf-8"))
    named = bundle.manifest["embedder"]
    if {key: named.get(key) for key in made} != made:
        raise BundleError(
            f"bundle {bundle.path.name}: its vectors were made with the embedding model {made['model_id']!r} "
            f"({made['dimensions']} numbers), its {MANIFEST} names {named.get('model_id')!r} "
            f"({named.get('dimensions')}); vectors of two models cannot be compared; train again"
        )


class Registry:
    """The bundles in a models folder and which of them is in service.

    Args:
        folder: the models folder; made by the first ``write``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def _pointer(self) -> Path:
        return self.folder / "current"

    def versions(self) -> list[str]:
        """Versions that have a manifest, oldest first by name."""
        if not self.folder.is_dir():
            return []
        return sorted(path.parent.name for path in self.folder.glob(f"v*/{MANIFEST}"))

    def new_version(self, created: datetime) -> str:
        """A free version name that sorts by time, such as ``v20260131-080000``."""
        base = version = created.strftime("v%Y%m%d-%H%M%S")
        counter = 1
        while (self.folder / version).exists():
            counter += 1
            version = f"{base}-{counter}"
        return version

    def path(self, version: str) -> Path:
        """Folder of a version.

        Raises:
            BundleError: there is none of that name.
        """
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise BundleError(f"{self.folder} holds no bundle {version!r}; there is: {known}")
        return self.folder / version

    def current(self) -> str | None:
        """The version in service, from a symlink or a file called ``current``."""
        pointer = self._pointer
        if pointer.is_symlink():
            return Path(os.readlink(pointer)).name
        if pointer.is_file():
            return pointer.read_text(encoding="utf-8").strip() or None
        return None

    def require_current(self) -> str:
        """The version in service.

        Raises:
            BundleError: none is published.
        """
        version = self.current()
        if version is None:
            raise BundleError(
                f"{self.folder} has no bundle in service (no {self.folder / 'current'}); train one with "
                f"'recsys train --data DATA --models {self.folder} --publish' or promote one with "
                f"'recsys models promote VERSION --models {self.folder}'"
            )
        return version

    def promote(self, version: str) -> None:
        """Put a verified bundle into service; the pointer moves atomically."""
        open_bundle(self.path(version))
        before = self.current()
        if before == version:
            return
        if before is not None:
            self._point("previous", before)
        self._point("current", version)

    def previous(self) -> str:
        """The version that was in service before.

        Raises:
            BundleError: there is no earlier one.
        """
        previous = self.folder / "previous"
        if not previous.is_symlink():
            raise BundleError(f"{self.folder} has no earlier bundle to roll back to")
        return Path(os.readlink(previous)).name

    def rollback(self) -> str:
        """Return to the version that was in service before; gives its name.

        Raises:
            BundleError: there is no earlier one.
        """
        version = self.previous()
        self.promote(version)
        return version

    def withdraw(self, version: str, standing: str) -> None:
        """Point back to ``standing`` if ``version`` is pointed to: a service could not use it."""
        if self.current() != version:
            return
        self._point("current", standing)
        previous = self.folder / "previous"
        if previous.is_symlink() and Path(os.readlink(previous)).name == standing:
            previous.unlink(missing_ok=True)

    def shadow(self) -> str | None:
        """The version that is marked as shadow; it scores and is never shown."""
        marker = self.folder / "shadow"
        return Path(os.readlink(marker)).name if marker.is_symlink() else None

    def mark_shadow(self, version: str | None) -> None:
        """Mark a verified bundle as shadow; None ends it."""
        if version is None:
            (self.folder / "shadow").unlink(missing_ok=True)
        else:
            open_bundle(self.path(version))
            self._point("shadow", version)

    def _point(self, name: str, version: str) -> None:
        aside = self.folder / f".{name}.{os.getpid()}"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(version)
            aside.replace(self.folder / name)
            _fsync(self.folder)
        except OSError as error:
            raise BundleError(
                f"cannot point {self.folder / name} to {version}: {error.strerror or error}; free space or "
                "give this process the right to write there, then promote again"
            ) from error
