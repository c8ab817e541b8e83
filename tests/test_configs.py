"""The files in ``configs/`` say what the code does."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config, build_config, load_config
from recsys.errors import ConfigError
from recsys.rules_editor import EditorRule, EditorRules
from training.table import read_map

CONFIGS = Path(__file__).parents[1] / "configs"
DEFAULT = CONFIGS / "default.toml"
_KEY = re.compile(r"^(?:# )?(\w+) = (.*?)(?:\s+# (.*))?$")
_TABLE = re.compile(r"^(?:# )?\[+([\w.]+)\]+")


def uncommented(text: str) -> str:
    """The file with its commented keys in force."""
    return re.sub(r"(?m)^# (?=\w+ = |\[\[)", "", text)


def documented(text: str) -> Iterator[tuple[str, str | None]]:
    """Dotted key and comment of every key line, commented ones too."""
    table = ""
    for line in text.splitlines():
        if found := _TABLE.match(line):
            table = found[1]
        elif found := _KEY.match(line):
            yield f"{table}.{found[1]}", found[3]


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of nested tables."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def nested(key: str, value: Any) -> dict[str, Any]:
    """``a.b`` and a value as nested tables."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def ranges() -> list[tuple[str, float, float, bool]]:
    """Key, low, high and whether low itself is allowed, from the comments."""
    found = []
    for key, comment in documented(DEFAULT.read_text()):
        if interval := re.search(r"\[(-?[\d.]+), (-?[\d.]+|inf)\]", comment or ""):
            found.append((key, float(interval[1]), float(interval[2]), True))
        elif re.search(r"(?<!each )> 0", comment or ""):
            found.append((key, 0.0, float("inf"), False))
    return found


def test_default_file_equals_the_defaults_in_code() -> None:
    assert load_config(DEFAULT) == Config()


def test_default_file_names_every_key() -> None:
    named = {key for key, _ in documented(DEFAULT.read_text())}
    expected = set(leaves(Config().model_dump()))
    of_one_list = {f"surfaces.{s}.prefer_max_age_hours" for s in ("popular", "latest", "for_you")}
    assert expected - named - of_one_list == {"sensitivity"}
    assert {"sensitivity.labels", "sensitivity.keep_away_sections", "sensitivity.keep_away_types"} <= named


def test_every_key_is_explained() -> None:
    same = ("surfaces.popular.", "surfaces.latest.", "surfaces.must_reads.", "surfaces.for_you.")
    bare = [k for k, comment in documented(DEFAULT.read_text()) if not comment and not k.startswith(same)]
    assert bare == []


def test_commented_keys_are_good_keys() -> None:
    values = tomllib.loads(uncommented(DEFAULT.read_text()))
    config = build_config(values, "default.toml")
    assert config.sensitivity[0].labels == ("tragedy",)
    assert config.site.url_template is not None
    assert config.auth.secret_key is not None


@pytest.mark.parametrize(("key", "low", "high", "closed"), ranges(), ids=lambda value: str(value))
def test_a_stated_range_is_the_range(key: str, low: float, high: float, closed: bool) -> None:
    kind = float if "weights" in key or isinstance(default_of(key), float) else int
    within = [low if closed else low + 1e-6, *([high] if high != float("inf") else [])]
    beyond = [low - 1 if closed else low, *([high + 1] if high != float("inf") else [])]
    for value in within:
        build_config(nested(key, kind(value)), "test")
    for value in beyond:
        with pytest.raises(ConfigError, match=re.escape(key)):
            build_config(nested(key, kind(value)), "test")


def default_of(key: str) -> Any:
    """The default of a dotted key; a key without default counts as a number of hours."""
    value: Any = Config().model_dump()
    for part in key.split("."):
        value = value[part]
    return 1.0 if value is None else value


def test_ranges_are_read_from_the_comments() -> None:
    assert len(ranges()) > 35


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"popularity\.half_lifes_hours: unknown key"):
        build_config({"popularity": {"half_lifes_hours": [1.0]}}, "mine.toml")


def test_demo_config_keeps_food_away_from_a_tragedy() -> None:
    rule = load_config(CONFIGS / "demo.toml").sensitivity[0]
    assert "tragedy" in rule.labels
    assert "Food" in rule.keep_away_sections


def test_rules_example_is_taken_by_the_real_class() -> None:
    rows = tomllib.loads((CONFIGS / "rules.toml").read_text())["rule"]
    rules = EditorRules(1, [EditorRule.model_validate(row) for row in rows]).rules
    assert [rule.id for rule in rules] == ["election-night", "no-recipes-beside-sport", "science-week"]
    assert any(rule.pin for rule in rules)
    assert any(rule.hide for rule in rules)
    assert any(rule.boost for rule in rules)


def test_deskdrop_map_keeps_comments_and_follows_as_such() -> None:
    events = read_map(CONFIGS / "deskdrop.toml")["events"]
    assert events.type_values["COMMENT CREATED"] == "comment"
    assert events.ts_unit == "s"


def test_every_config_file_is_held_by_a_test() -> None:
    known = {"default.toml", "demo.toml", "rules.toml", "deskdrop.toml"}
    assert {path.name for path in CONFIGS.glob("*.toml")} == known
