"""Search for weights and penalties, judged on later lists than those a trial was fitted on.

Trials are drawn by the tree-structured Parzen estimator (Bergstra et al.,
"Algorithms for Hyper-Parameter Optimization", NIPS 2011) of Optuna and kept in a journal of JSON
lines, so that a search that was cut off goes on where it stopped and ends as if it had not been.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys.config import Config
from training.held_back import Compared, measure
from training.material import Material
from training.search import Search, Values, value_of

Say = Callable[[str], None]
FOLDER = "tuning"
_LOGARITHMIC = 10.0
_RANDOM_FIRST = 10


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        config: the best trial's, or the present one where no trial is surely better.
        values: of the best trial, by dotted key.
        facts: for the manifest, under ``metrics.tuning``.
    """

    config: Config
    values: dict[str, float]
    facts: dict[str, Any]

    def told(self) -> str:
        """For a person."""
        facts, later = self.facts, self.facts["later"]
        low, high = later["ci"]
        verdict = "taken" if facts["chosen"] else "not surely better, the present settings stay"
        return (
            f"best of {facts['trials']} trials: {facts['metric']} {facts['best']:.4f}, present settings "
            f"{facts['present']:.4f}, on {facts['folds']} later slices; on {later['lists']:,} lists after "
            f"these {later['difference']:+.4f}, 95% interval {low:+.4f} to {high:+.4f}: {verdict}"
        )

    def toml(self) -> str:
        """The best trial's values as lines of a configuration; ``--set`` takes each as well."""
        return "\n".join(f"{key} = {value!r}" for key, value in sorted(self.values.items()))


def tune(
    config: Config,
    material: Material,
    replay: Callable[..., Any],
    trials: int,
    folder: Path,
    say: Say = lambda _: None,
    progress: Callable[[int, int], None] | None = None,
) -> Tuned:
    """Search ``config.tune.space`` and take the best trial if it is surely better on the latest lists.

    Args:
        config: the present settings; the first trial where they lie within the space.
        material: the log within the fit.
        replay: runs a log through a state, telling of each list that teaches.
        trials: to be done in all; those that an earlier call did on the same data count.
        folder: of the journals.
        say: told of each step.
        progress: called with (done, to do).

    Raises:
        DataError: too few lists.
    """
    search = Search(config, material, replay)
    study = _study(folder, f"{config.digest()}-{_fingerprint(material)}")
    say(f"tuning {', '.join(key for key, _, _ in search.space)}")
    done = len(_finished(study))
    if done:
        say(f"{done} trials were done before")
    while done < trials:
        _one_trial(search, study, done)
        done += 1
        if progress is not None:
            progress(done, trials)
    best = max(_finished(study), key=lambda trial: (trial.value, -trial.number))
    values = {key: _rounded(value) for key, value in best.params.items()}
    tables = {"best": search.on_the_latest(values), "present": search.on_the_latest({})}
    later = measure(tables, "best", config.train.seed).differences["present"][config.tune.metric]
    chosen = later.low > 0
    facts = _facts(search, done, best.value, later, len(tables["best"].values), values, chosen)
    return Tuned(search.with_values(values) if chosen else config, values, facts)


def _one_trial(search: Search, study: Any, number: int) -> None:
    from optuna.distributions import FloatDistribution
    from optuna.samplers import TPESampler

    # a sampler of its own for every trial: what it draws follows from the finished trials alone
    study.sampler = TPESampler(
        seed=int(np.random.SeedSequence((search.config.train.seed, number)).generate_state(1)[0]),
        n_startup_trials=_RANDOM_FIRST,
    )
    present = {key: value_of(search.config, key) for key, _, _ in search.space}
    if number == 0 and all(low <= present[key] <= high for key, low, high in search.space):
        study.enqueue_trial(present)
    space = {
        key: FloatDistribution(low, high, log=low > 0 and high >= _LOGARITHMIC * low)
        for key, low, high in search.space
    }
    trial = study.ask(fixed_distributions=space)
    study.tell(trial, search.score({key: _rounded(value) for key, value in trial.params.items()}))


def _study(folder: Path, name: str) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(target / "journal.jsonl")))
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]


def _facts(
    search: Search, trials: int, best: float, later: Compared, lists: int, values: Values, chosen: bool
) -> dict[str, Any]:
    return {
        "trials": trials,
        "metric": search.config.tune.metric,
        "folds": search.config.tune.folds,
        "lists": {name: len(found) for name, found in search.lists.items()},
        "present": search.score({}),
        "best": best,
        "later": {"lists": lists, "difference": later.difference, "ci": [later.low, later.high]},
        "values": dict(values),
        "chosen": chosen,
    }


def _fingerprint(material: Material) -> str:
    """Short hash of what trials are judged on: another log is another search."""
    found = hashlib.blake2b(digest_size=8)
    clicked = sorted((*key, sorted(weights.items())) for key, weights in material.clicks.items())
    for part in (material.log.ts, material.log.types, material.log.articles, material.vectors):
        found.update(np.ascontiguousarray(part).tobytes())
    shown = [[item.article_id for item in exposure.items] for exposure in material.exposures]
    ids = [made.article_id for made in material.articles]
    found.update(json.dumps([ids, shown, clicked]).encode())
    return found.hexdigest()


def _rounded(value: float) -> float:
    """Four significant digits: a person shall read and copy it."""
    return float(f"{value:.4g}")
