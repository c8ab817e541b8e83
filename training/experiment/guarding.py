"""The automatic stop: experiments whose guardrails are harmed beyond doubt.

Looked at again and again while they run, so only the always-valid interval judges, and at a level of 1% that
all guardrails of all variants share: of a hundred harmless experiments at most one is stopped, however often
they are looked at.
"""

from datetime import datetime

from recsys.config import ClicklogConfig
from recsys.experiments.running import Run
from recsys.store import Store
from training.experiment.asking import earliest_needed, source_of
from training.experiment.estimates import estimates
from training.experiment.outcomes import Outcomes, read_outcomes
from training.experiment.runs import runs_of, stop
from training.experiment.verdict import guarded
from training.experiment.words import percent

ALPHA = 0.01


def stop_harmful(store: Store, url: str, config: ClicklogConfig, now: datetime) -> dict[str, list[str]]:
    """Look at every experiment that runs, and stop those that do harm.

    Args:
        store: they are kept in.
        url: of the same store.
        config: limits of robots, pause between sessions.
        now: time of the look.

    Returns:
        By experiment that was looked at, what is harmed; those with any are stopped.
    """
    found: dict[str, list[str]] = {}
    for run in runs_of(store):
        # an interleaved list is seen by every reader: there are no sides to compare
        if run.runs_at(now) and run.experiment.kind == "ab":
            found[run.experiment.id] = told = _harm(run, url, config, now)
            if told:
                stop(store, run.experiment.id, now, f"stopped by itself: {'; '.join(told)}", None)
    return found


def _harm(run: Run, url: str, config: ClicklogConfig, now: datetime) -> list[str]:
    experiment = run.experiment
    with source_of(None, url, experiment.id, earliest_needed(experiment), config.memory_mb) as source:
        outcomes = read_outcomes(source.duck, source.log, experiment, now, config, started=run.started_at)
        return list(harmed(outcomes)) if outcomes.exposures else []


def harmed(outcomes: Outcomes) -> list[str]:
    """In words, the guardrails of an experiment that are harmed beyond doubt.

    Args:
        outcomes: of its readers so far.
    """
    experiment = outcomes.experiment
    margins = {guardrail.metric: guardrail.margin for guardrail in experiment.guardrails}
    alpha = ALPHA / max(1, len(margins) * (len(experiment.variants) - 1))
    told = []
    for result in estimates(outcomes.table, experiment, alpha=alpha):
        margin = margins.get(result.name)
        if margin is not None and guarded(result, margin, ended=False) == "harmed":
            told.append(
                f"{result.name} of {result.variant} is at {percent(result.relative_effect)}, surely beyond "
                f"the {percent(margin, sign=False)} that is tolerated"
            )
    return told
