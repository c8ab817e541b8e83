"""What runs beside the service: the daily rescoring, the shadow, the look at guardrails of experiments.

Both are processes of their own, so that they cost no request anything. One worker of a registry starts
them; every worker reads what the rescoring says.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from recsys.bundle import Registry
from recsys.experiments.running import Running
from serving import rescoring
from serving.clock import Clock
from serving.served import Served
from serving.settings import Settings
from serving.telemetry import Telemetry

log = logging.getLogger("recsys.serving")
CONFIG = "RECSYS_BESIDE_CONFIG"
_LOOK_SECONDS = 0.5
_LOCK = ".beside.lock"
_PAUSE = 60.0
Process = asyncio.subprocess.Process


class Watch:
    """Starts helper processes and follows what they write.

    Args:
        settings: of the service.
        registry: of the bundles.
        clock: the service's.
        telemetry: of the service.
        running: the experiments.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        clock: Clock,
        telemetry: Telemetry,
        running: Callable[[], Running],
    ) -> None:
        self._experiments, self._guarded = running, float("-inf")
        self._settings, self._registry = settings, registry
        self._clock, self._telemetry = clock, telemetry
        self._lock: int | None = None
        self._running: dict[str, tuple[str, Process]] = {}
        self._not_before: dict[str, float] = {}
        self._adopted: tuple[int, int] | None = None

    async def follow(self, served: Callable[[], Served]) -> None:
        """Look every half second, for as long as the service runs; stop what was started."""
        try:
            while True:
                try:
                    await self._look(served())
                except Exception as error:  # what runs beside the service must never end it
                    log.warning("watch_failed", extra={"reason": repr(error)})
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for _, process in self._running.values():
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            if self._lock is not None:
                os.close(self._lock)

    async def _look(self, served: Served) -> None:
        self._adopt(served)
        if not self._is_chief():
            return
        self._note_ended()
        serving = served.state.config.serving
        if serving.rescore_hours > 0 and self._is_due(served, serving.rescore_hours):
            figures = (self._clock.now(), serving.rescore_min_lists, serving.rescore_below)
            await self._start("rescoring", served, served.version, *figures)
        await self._keep_shadow(served, self._registry.shadow())
        await self._guard(serving.guard_minutes)

    def _is_chief(self) -> bool:
        """Whether this is the one worker of the registry that starts the helpers."""
        if self._lock is None:
            try:
                found = os.open(self._registry.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError:
                return False
            try:
                fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(found)
                return False
            self._lock = found
        return True

    def _adopt(self, served: Served) -> None:
        """Follow what the rescoring says of the bundle in service."""
        try:
            written = (self._registry.folder / rescoring.RESCORED).stat().st_mtime_ns
        except OSError:
            return
        if self._adopted == (written, id(served)):
            return
        self._adopted = (written, id(served))
        entry = rescoring.standing(self._registry.folder, served.version)
        self._telemetry.skill_ratio.set(float("nan") if entry is None else entry.get("ratio", float("nan")))
        leaning = entry is not None and bool(entry["leaning"])
        self._telemetry.leaning.set(leaning)
        if entry is not None and leaning != served.leaning:
            served.lean(leaning)
            event = "model_decayed" if leaning else "model_recovered"
            log.warning(event, extra={"version": served.version, "reason": rescoring.told(entry)})

    def _is_due(self, served: Served, hours: float) -> bool:
        entry = rescoring.standing(self._registry.folder, served.version)
        last = served.bundle.manifest["created"] if entry is None else entry["at"]
        return self._clock.now() - datetime.fromisoformat(last).timestamp() >= hours * 3600.0

    def _note_ended(self) -> None:
        for name, (_, process) in list(self._running.items()):
            if process.returncode is not None:
                del self._running[name]
                if process.returncode > 0:
                    self._not_before[name] = self._clock.now() + _PAUSE
                    log.warning(f"{name}_failed", extra={"code": process.returncode})

    async def _keep_shadow(self, served: Served, version: str | None) -> None:
        running = self._running.get("shadow")
        if running is not None and running[0] != version:
            running[1].terminate()
        elif running is None and version is not None and version != served.version:
            serving = served.state.config.serving
            await self._start(
                "shadow", served, version, self._clock.now(), serving.shadow_share, serving.shadow_log_mb
            )

    async def _guard(self, minutes: float) -> None:
        """Let the guardrails of what runs be looked at; the command does it, which has the statistics."""
        now = time.monotonic()
        if minutes <= 0 or not self._experiments() or now - self._guarded < minutes * 60.0:
            return
        self._guarded = now
        at = self._clock.instant().isoformat()
        await self._run(
            "guard",
            "",
            ("training.cli", "experiment", "guard", "--store", self._settings.store, "--at", at),
            {},
        )

    async def _start(self, name: str, served: Served, version: str, *figures: float) -> None:
        config = self._settings.config
        told = {} if config is None else {CONFIG: orjson.dumps(config.public_dict()).decode()}
        place = (str(self._registry.folder), self._settings.store, version)
        await self._run(name, version, (f"serving.{name}", *place, *map(str, figures)), told)

    async def _run(self, name: str, version: str, module: Sequence[str], told: dict[str, str]) -> None:
        if name in self._running or self._clock.now() < self._not_before.get(name, 0.0):
            return
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            env={**os.environ, **told},
            stdin=asyncio.subprocess.DEVNULL,
        )
        self._running[name] = (version, process)
        log.info(f"{name}_started", extra={"version": version, "pid": process.pid})
