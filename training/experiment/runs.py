"""Starting, stopping and listing experiments in a store, however many people do so at once."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from recsys.bundle import Registry
from recsys.errors import UsageError
from recsys.experiments.definition import Experiment
from recsys.experiments.running import Run, begin
from recsys.store import ConflictError, Store

REPORTS_KEPT = 100
_TRIES = 5


def runs_of(store: Store) -> list[Run]:
    """All that were ever started, oldest first."""
    return [Run.model_validate(each) for each in store.get_runs()[1]]


def run_of(store: Store, name: str) -> Run | None:
    """The last run of an experiment."""
    return next((run for run in reversed(runs_of(store)) if run.experiment.id == name), None)


def start(store: Store, experiment: Experiment, now: datetime) -> tuple[Run, bool]:
    """Start an experiment; running workers follow within a second.

    Returns:
        The run, and whether it is a new one: the same definition that runs already is not started again.

    Raises:
        UsageError: it cannot run beside what runs. ConflictError: somebody else changed something now.
    """
    version, stored = store.get_runs()
    runs = [Run.model_validate(each) for each in stored]
    new = begin(experiment, runs, now)
    before = next((run for run in runs if run.stands_at(now) and run.experiment.id == experiment.id), None)
    if before is not None and before.config_hash == new.config_hash:
        return before, False
    ended = [] if before is None else [before.stopped(now, "its weights changed")]
    numbers = store.put_runs([run.to_json() for run in (*ended, new)], version)
    return new.model_copy(update={"number": numbers[-1]}), True


def stop(store: Store, name: str, now: datetime, reason: str, decision: str | None) -> Run:
    """Stop an experiment: from the next request on nobody is in it.

    Raises:
        UsageError: it does not run.
    """

    def stopped(run: Run) -> Run:
        if run.stopped_at is not None:
            raise UsageError(
                f"experiment {name} was stopped at {run.stopped_at.isoformat()} ({run.reason}); "
                "'recsys experiment list' shows all"
            )
        return run.stopped(now, reason, decision)

    return change(store, name, stopped)


def add_report(store: Store, number: int, summary: dict[str, Any]) -> Run:
    """Keep what a report said with the run that it was about; the oldest of many go."""
    return _changed(
        store,
        lambda run: run.number == number,
        lambda run: run.model_copy(update={"reports": (*run.reports[1 - REPORTS_KEPT :], summary)}),
    )


def change(store: Store, name: str, work: Callable[[Run], Run]) -> Run:
    """Replace what is known of the last run of an experiment.

    Raises:
        UsageError: there is none.
    """
    return _changed(store, lambda run: run.experiment.id == name, work, name)


def _changed(store: Store, meant: Callable[[Run], bool], work: Callable[[Run], Run], name: str = "") -> Run:
    for _ in range(_TRIES):
        version, stored = store.get_runs()
        runs = [Run.model_validate(each) for each in stored]
        found = next((run for run in reversed(runs) if meant(run)), None)
        if found is None:
            known = ", ".join(dict.fromkeys(run.experiment.id for run in runs)) or "none"
            raise UsageError(f"the store {store.place} has no experiment {name!r}; it has: {known}")
        changed = work(found)
        with suppress(ConflictError):
            store.put_runs([changed.to_json()], version)
            return changed
    raise UsageError(f"the experiments of {store.place} change faster than they can be read; try again")


def require_bundles(experiment: Experiment, registry: Registry) -> None:
    """Raise where a side is to be served from a bundle that the registry lacks.

    Raises:
        UsageError: it is not there.
    """
    known = registry.versions()
    for variant in experiment.variants:
        if variant.model_version is not None and variant.model_version not in known:
            raise UsageError(
                f"experiment {experiment.id}, variant {variant.name}: the registry {registry.folder} has no "
                f"bundle {variant.model_version!r}; it has: {', '.join(known) or 'none'}"
            )
