"""Configuration files: the keys of the engine, and the experiments that change some for some readers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsys.config.loading import build_config, places, read_values
from recsys.config.whole import Config
from recsys.errors import ConfigError
from recsys.experiments.definition import Experiment, Value

# what a request reads; counters, vectors and curves are made before it and are the same for all sides
CHANGEABLE = ("surfaces", "candidates", "exploration", "randomisation", "sensitivity")


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read TOML, apply ``key.path=value`` overrides, check; experiments in it are checked and left out.

    Args:
        path: None takes the defaults.
        overrides: values are TOML literals; a bare word is taken as a string.

    Raises:
        ConfigError: no such file, no TOML, an unknown key or a bad value.
    """
    return _read(path, overrides)[0]


def load_experiments(path: Path) -> dict[str, Experiment]:
    """The experiments of a TOML file by id; the rest of the file is a configuration, or nothing.

    Raises:
        ConfigError: no such file, no TOML, a key or value that is not allowed; the message names it.
    """
    return _read(path, ())[1]


def _read(path: Path | None, overrides: Sequence[str]) -> tuple[Config, dict[str, Experiment]]:
    values = read_values(path, overrides)
    given = values.pop("experiment", [])
    config = build_config(values, str(path) if path else "--set")
    if not isinstance(given, list):
        raise ConfigError(f"{path}: write [[experiment]] with two brackets; a file may hold several")
    found: dict[str, Experiment] = {}
    for number, fields in enumerate(given, 1):
        experiment = experiment_of(fields, config, f"{path}: [[experiment]] number {number}")
        if experiment.id in found:
            raise ConfigError(f"{path}: two experiments have the id {experiment.id!r}; give each its own")
        found[experiment.id] = experiment
    return config, found


def find_experiment(path: Path, name: str) -> Experiment:
    """One experiment of a file.

    Raises:
        ConfigError: as of ``load_experiments``, or it is not there.
    """
    found = load_experiments(path)
    if name not in found:
        known = ", ".join(found) or "none"
        raise ConfigError(f"{path} has no experiment {name!r}; it has: {known}")
    return found[name]


def experiment_of(fields: Any, config: Config, origin: str) -> Experiment:
    """A checked experiment.

    Args:
        fields: as TOML or JSON gives them.
        config: that its sides change.
        origin: named in the error message.

    Raises:
        ConfigError: what is wrong, with the key.
    """
    try:
        experiment = Experiment.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {places(error)}") from error
    for variant in experiment.variants:
        under(config, variant.overrides, f"{origin}, variant {variant.name!r}")
    return experiment


def under(config: Config, overrides: Mapping[str, Value], origin: str) -> Config:
    """The configuration of one side.

    Args:
        config: of everybody else; returned as it is where nothing is overridden.
        overrides: values by dotted key.
        origin: named in the error message.

    Raises:
        ConfigError: a key that is unknown or is read before any request, or a bad value.
    """
    if not overrides:
        return config
    values = config.model_dump()
    for key, value in overrides.items():
        *sections, last = key.split(".")
        if key.split(".")[0] not in CHANGEABLE:
            raise ConfigError(
                f"{origin}: {key} cannot differ between readers; sections that can: {', '.join(CHANGEABLE)}"
                "; for another model train a bundle and name it as `model_version`"
            )
        place: Any = values
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(f"{origin}: {key} goes into a value, not into a section")
        place[last] = value
    return build_config(values, origin)
