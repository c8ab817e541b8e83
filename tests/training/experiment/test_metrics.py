"""The metrics that a definition may name are those that are computed."""

import json

from recsys.experiments.definition import METRICS as NAMES
from training.experiment.metrics import METRICS, columns_of
from training.experiment.results import MetricResult

CONTRACT = {"name", "role", "control", "variant", "control_mean", "variant_mean", "effect", "ci"}
CONTRACT |= {"relative_effect", "relative_ci", "p_value", "sequential_ci"}


def test_every_name_of_a_definition_has_a_metric():
    assert tuple(METRICS) == NAMES


def test_a_ratio_has_two_columns_and_a_mean_one():
    assert columns_of(("ctr", "clicks_per_reader"), ("w_",)) == [
        "w_ctr__num",
        "w_ctr__den",
        "w_clicks_per_reader__num",
    ]


def test_a_result_has_the_contracts_fields_and_is_json():
    result = MetricResult("ctr", "primary", "old", "new", ci=(0.0, 1.0))
    values = json.loads(json.dumps(result.to_json()))
    assert set(values) >= CONTRACT
    assert values["ci"] == [0.0, 1.0]
