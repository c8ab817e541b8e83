"""The files in ``configs/`` are what they say."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config, load_config
from recsys.rules_editor import EditorRules
from training.table import read_map

CONFIGS = Path(__file__).parents[1] / "configs"


def keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}"}
    return found


def test_the_default_file_says_the_defaults_of_the_code() -> None:
    assert load_config(CONFIGS / "default.toml") == Config()


def test_the_default_file_names_every_key() -> None:
    text = (CONFIGS / "default.toml").read_text()
    known = keys(Config().model_dump())
    written = keys(tomllib.loads(text))
    # a key whose default is none cannot be written in TOML; it stands in a comment
    for key in known - written:
        name = key.split(".")[-1]
        assert f"# {name} = " in text or f"[[{name}]]" in text or name == "prefer_max_age_hours", key
    assert written <= known


def test_every_key_of_the_default_file_has_a_comment_or_a_heading() -> None:
    for section in ("embedding", "index", "popularity", "profile", "candidates", "auth"):
        lines = (CONFIGS / "default.toml").read_text().split(f"[{section}]")[1].split("\n[")[0].splitlines()
        assert sum("#" in line for line in lines) * 2 >= sum("=" in line for line in lines), section


@pytest.mark.parametrize("name", ["demo.toml"])
def test_the_examples_load(name: str) -> None:
    assert load_config(CONFIGS / name) != Config()


def test_the_rules_example_is_three_rules() -> None:
    rows = tomllib.loads((CONFIGS / "rules.toml").read_text())["rule"]
    rules = EditorRules.of(1, rows).rules
    assert [rule.id for rule in rules] == ["election-night", "no-recipes-beside-sport", "science-week"]
    assert rules[0].validity.until is not None


def test_the_deskdrop_map_names_canonical_columns() -> None:
    assert set(read_map(CONFIGS / "deskdrop.toml")) == {"articles", "events"}
