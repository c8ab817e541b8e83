"""Read a configuration: TOML over the defaults, overrides over both."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from recsys.config.section import Section
from recsys.config.whole import Config
from recsys.errors import ConfigError

_S = TypeVar("_S", bound=Section)


def places(error: ValidationError) -> str:
    """What is wrong where, key by key, in one line."""
    lines = []
    for item in error.errors():
        key = ".".join(str(step) for step in item["loc"])
        rule = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key; configs/default.toml lists every key")
        elif isinstance(item["input"], Mapping):
            lines.append(f"{key}: {rule}".removeprefix(": "))
        else:
            lines.append(f"{key} = {item['input']!r}: {rule}"[:300])
    return "; ".join(lines)


def build_config(values: Mapping[str, Any], origin: str) -> Config:
    """A checked configuration.

    Args:
        values: nested mapping as TOML gives it; what is missing has its default.
        origin: named in the error message.

    Raises:
        ConfigError: an unknown key or a bad value; the message names each.
    """
    return validated(Config, values, origin)


def validated(model: type[_S], values: Mapping[str, Any], origin: str) -> _S:
    """A checked section: ``values`` over the defaults of ``model``; errors as of ``build_config``."""
    try:
        return model.model_validate(over(model().model_dump(), values))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {places(error)}") from error


def over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` over ``defaults``, section by section, so that one key can be given alone."""
    merged = dict(defaults)
    for key, value in values.items():
        below = merged.get(key)
        nested = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = over(below, value) if nested else value  # type: ignore[arg-type]
    return merged


def read_values(path: Path | None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The nested values of a TOML file with ``key.path=value`` overrides, unchecked.

    Raises:
        ConfigError: no such file, or no TOML.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(values, override)
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, literal = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r}: write key.path=value, for instance train.seed=3")
    try:
        value = tomllib.loads(f"v = {literal}")["v"]
    except tomllib.TOMLDecodeError:
        value = literal.strip()
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override!r}: {parent} is a value, not a section")
    values[last] = value
