"""Where a report gets its log and its definition from: a folder of data, or the store of a service."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.config import ClicklogConfig, find_experiment, load_config
from recsys.errors import UsageError
from recsys.experiments.definition import Experiment
from recsys.experiments.running import Run
from recsys.store import open_store
from training.duck import Duck, opened
from training.experiment.frame import HISTORY
from training.experiment.outcomes import Log, read_log
from training.experiment.runs import add_report, run_of
from training.export import Progress, export_store

_CLOSE = timedelta(days=1)


@dataclass(frozen=True)
class Source:
    """A log and what its store knows of an experiment.

    Attributes:
        duck, log: open until the context ends.
        run: as it was started; None in a folder of data, or if the store has never heard of it.
        live: whether the log is still written, so that silence means that nothing happened.
    """

    duck: Duck
    log: Log
    run: Run | None = None
    live: bool = False


@contextmanager
def source_of(
    data: Path | None,
    store: str | None,
    name: str,
    since: datetime,
    memory_mb: int,
    progress: Progress | None = None,
) -> Iterator[Source]:
    """Open a log.

    Args:
        data: folder of canonical data.
        store: URL of a store, which is exported into a temporary folder.
        name: of the experiment.
        since: nothing earlier is needed.
        memory_mb: for the database.
        progress: of the export.

    Raises:
        UsageError: not exactly one of both is given. DataError, StoreError: it cannot be read.
    """
    if (data is None) == (store is None):
        raise UsageError("give one of --data DATA and --store URL")
    if data is not None:
        if not data.is_dir():
            raise UsageError(f"there is no folder {data}; give a folder of canonical data")
        with opened(memory_mb, ordered=False) as duck:
            yield Source(duck, read_log(duck, data))
        return
    held = open_store(store or "", create=False)
    try:
        run = run_of(held, name)
        with (
            tempfile.TemporaryDirectory(prefix="recsys-experiment-") as folder,
            opened(memory_mb, ordered=False) as duck,
        ):
            export_store(held, Path(folder) / "data", since, progress)
            yield Source(duck, read_log(duck, Path(folder) / "data"), run, live=True)
    finally:
        held.close()


def definition_of(found: Experiment, run: Run | None) -> tuple[Experiment, list[str]]:
    """The definition that counts, which is the one that was started, and what to say of it."""
    if run is None:
        return found, []
    # what ran counts: a file that was edited since cannot change what readers saw
    if run.config_hash == found.config_hash():
        return run.experiment, []
    return run.experiment, [
        f"The file's definition (hash {found.config_hash()}) is not the one that was started (hash "
        f"{run.config_hash}); the one that was started is what this report goes by."
    ]


def until_of(asked: datetime | None, now: datetime, source: Source, experiment: Experiment) -> datetime:
    """The end of what is looked at.

    A log that is still written reaches until now. A finished one reaches to its last row; to the experiment's
    end if that is less than a day away (or a tenth of the running time), as nobody reads at every minute.

    Args:
        asked: with --until; None for the rule above.
        now: on the wall clock; nothing later is believed.
        source: the log.
        experiment: the definition.
    """
    stopped = source.run.stopped_at if source.run is not None else None
    if asked is None:
        asked = now
        last = None if source.live else source.log.last_moment(source.duck)
        if last is not None:
            close = min(_CLOSE, (experiment.end - experiment.start) / 10)
            reaches = last < experiment.end <= last + close and experiment.end <= now
            # the last row itself is looked at
            asked = experiment.end if reaches else min(now, last + timedelta(microseconds=1))
    return asked if stopped is None else min(asked, stopped)


def asked_of(
    name: str, config: Path, changes: Sequence[str], internal: Path | None
) -> tuple[Experiment, ClicklogConfig, frozenset[str]]:
    """Definition, limits of the click log, and ids of the house.

    Raises:
        ConfigError: the file or the experiment is not there, or wrong. UsageError: no file of ids.
    """
    ids: frozenset[str] = frozenset()
    if internal is not None:
        try:
            lines = internal.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UsageError(
                f"--internal {internal}: {error.strerror}; give a file with a user or session id on each line"
            ) from error
        ids = frozenset(line.strip() for line in lines if line.strip())
    return find_experiment(config, name), load_config(config, changes).clicklog, ids


def earliest_needed(experiment: Experiment) -> datetime:
    """From when on a log says something to an experiment's report."""
    return experiment.start - HISTORY


def earliest_past(experiment: Experiment, until: datetime) -> datetime:
    """From when on a log says something to an experiment's design: as long again for what came before."""
    return until - 2 * min(experiment.end - experiment.start, HISTORY) - HISTORY


def past_until(asked: datetime | None, now: datetime, source: Source) -> datetime:
    """The end of the past: as asked, else just after the last row of the log; never after ``now``."""
    last = source.log.last_moment(source.duck)
    return min(asked or (now if last is None else last + timedelta(microseconds=1)), now)


def keep_report(store: str, run: Run, values: dict[str, Any], now: datetime) -> None:
    """Note in the store's history what a report said."""
    kept = {name: values[name] for name in ("verdict", "rule", "reasons", "until", "ended")}
    kept |= {"at": now.isoformat(), "readers": sum(values["srm"]["counts"].values())}
    held = open_store(store, create=False)
    try:
        add_report(held, run.number, kept)
    finally:
        held.close()
