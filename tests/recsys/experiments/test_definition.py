"""What an experiment may say, and what is told to whoever wrote something else."""

from pathlib import Path

import pytest

from recsys.config import Config, find_experiment, load_config, load_experiments, under
from recsys.errors import ConfigError
from recsys.experiments.definition import Experiment

GOOD = """
[[experiment]]
id = "diverse-related"
unit = "session"
surfaces = ["related"]
start = 2026-03-01T00:00:00Z
end = "2026-03-15T00:00:00Z"
primary_metric = "ctr"
[[experiment.variant]]
name = "control"
weight = 0.5
[[experiment.variant]]
name = "diverse"
weight = 0.5
overrides = { surfaces.related.diversity = 0.3 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "experiments.toml"
    path.write_text(text)
    return path


def test_the_required_keys_are_enough(tmp_path: Path) -> None:
    found = find_experiment(written(tmp_path, GOOD), "diverse-related")
    assert found.control.name == "control"
    assert [guardrail.metric for guardrail in found.guardrails] == ["page_views_per_session"]
    assert found.variants[1].overrides == {"surfaces.related.diversity": 0.3}
    assert Experiment.model_validate(found.to_json()) == found


@pytest.mark.parametrize("form", ['"surfaces.related.diversity" = 0.3', "surfaces.related.diversity = 0.3"])
def test_a_dotted_key_may_stand_in_quotes_or_not(tmp_path: Path, form: str) -> None:
    text = GOOD.replace("surfaces.related.diversity = 0.3", form)
    found = find_experiment(written(tmp_path, text), "diverse-related")
    assert under(Config(), found.variants[1].overrides, "here").surfaces.related.diversity == 0.3


def test_every_change_of_a_definition_changes_its_hash(tmp_path: Path) -> None:
    changes = {
        ("0.3", "0.4"),
        ("2026-03-15", "2026-03-16"),
        ('"session"', '"user"'),
        ('"related"]', '"related", "latest"]'),
        ('name = "diverse"', 'name = "more"'),
    }
    hashes = {
        find_experiment(written(tmp_path, GOOD.replace(*change)), "diverse-related").config_hash()
        for change in (*changes, ("", ""))
    }
    assert len(hashes) == len(changes) + 1


def test_a_configuration_file_may_hold_experiments_too(tmp_path: Path) -> None:
    path = written(tmp_path, "[candidates]\nsimilar = 50\n" + GOOD)
    assert load_config(path).candidates.similar == 50
    assert list(load_experiments(path)) == ["diverse-related"]
    assert load_config(path).digest() == load_config(written(tmp_path, "[candidates]\nsimilar = 50")).digest()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("weight = 0.5\noverrides", "weight = 0.4\noverrides"), "sum to 0.9, not to 1"),
        (('name = "diverse"', 'name = "control"'), "two variants are called 'control'"),
        (("2026-03-15", "2026-02-15"), "is not after start"),
        (('"ctr"', '"click rate"'), "'click rate' is no metric; the metrics are ctr, clicks_per_reader"),
        (("related.diversity", "related.diversiti"), "surfaces.related.diversiti: unknown key"),
        (("diversity = 0.3", "diversity = 3"), "surfaces.related.diversity = 3"),
        (("surfaces.related.diversity", "popularity.ctr_prior"), "cannot differ between readers"),
        (('["related"]', '["relatid"]'), "'relatid'"),
        (('"session"', '"page"'), "'user' or 'session'"),
        (("2026-03-01T00:00:00Z", "2026-03-01T00:00:00"), "has no zone"),
        (('id = "diverse-related"', ""), "id: "),
        (("primary_metric", "primary_metrics"), "primary_metrics: unknown key"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match="number 1") as error:
        load_experiments(written(tmp_path, GOOD.replace(*change)))
    assert told in str(error.value)


def test_one_variant_is_no_experiment(tmp_path: Path) -> None:
    alone = GOOD[: GOOD.rindex("[[experiment.variant]]")].replace("weight = 0.5", "weight = 1.0")
    with pytest.raises(ConfigError, match="at least 2"):
        load_experiments(written(tmp_path, alone))


def test_two_experiments_of_one_name_and_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two experiments have the id 'diverse-related'"):
        load_experiments(written(tmp_path, GOOD + GOOD))
    with pytest.raises(ConfigError, match="no experiment 'other'; it has: diverse-related"):
        find_experiment(written(tmp_path, GOOD), "other")


def test_interleaving_compares_two(tmp_path: Path) -> None:
    third = GOOD + '[[experiment.variant]]\nname = "third"\nweight = 0.2\n'
    third = third.replace('primary_metric = "ctr"', 'primary_metric = "ctr"\nkind = "interleaving"')
    third = third.replace("weight = 0.5", "weight = 0.4")
    with pytest.raises(ConfigError, match="compares two variants, not 3"):
        load_experiments(written(tmp_path, third))
