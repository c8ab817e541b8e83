"""Configuration is checked at the door."""

from pathlib import Path

import pytest

from recsys.config import Config, build_config, load_config
from recsys.errors import ConfigError


def test_an_unknown_key_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[surfaces.related]\ntitle = 'x'\nhalf_live_hours = 3\n")
    with pytest.raises(ConfigError, match=r"c\.toml.*surfaces\.related\.half_live_hours: unknown key"):
        load_config(path)


def test_a_bad_value_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"train\.seed.*greater than or equal to 0"):
        build_config({"train": {"seed": -1}}, "here")


def test_a_half_life_that_no_counter_keeps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"popular\.half_life_hours = 5\.0.*add it there"):
        load_config(None, ["surfaces.popular.half_life_hours=5.0", "surfaces.popular.title='Popular'"])


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[train]\nseed = 1\n")
    assert load_config(path, ["train.seed=2", "site.name=Courier"]).train.seed == 2


def test_one_weight_can_be_changed_and_the_others_stay() -> None:
    changed = load_config(None, ["surfaces.related.weights.popularity=0.5"])
    default = Config()
    assert changed.surfaces.related.weights.popularity == 0.5
    assert changed.surfaces.related.weights.similarity == default.surfaces.related.weights.similarity
    assert changed.surfaces.related.title == default.surfaces.related.title


@pytest.mark.parametrize("override", ["train.seed", "=3", "train.seed.deep=1"])
def test_an_override_that_is_none_is_told_how_to_write_it(override: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        load_config(None, ["train.seed=1", override])


def test_no_such_file_and_no_toml_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("[[[")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(tmp_path / "bad.toml")


def test_the_digest_follows_the_values_and_leaves_keys_out() -> None:
    assert Config().digest() == Config().digest()
    assert load_config(None, ["train.seed=9"]).digest() != Config().digest()
    assert load_config(None, ["auth.secret_key=abc"]).digest() == Config().digest()
    assert "abc" not in str(load_config(None, ["auth.secret_key=abc"]).public_dict())


def test_an_age_curve_needs_rising_knots() -> None:
    with pytest.raises(ConfigError, match="rising hours"):
        build_config({"age_curve": {"knots": [[1.0, 0.5], [1.0, 0.4]]}}, "here")
