"""What may be started beside what, and which requests are under it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from recsys.errors import UsageError
from recsys.experiments.running import Request, Run, Running, begin
from tests.recsys.experiments.test_assignment import START, made

NOW = START + timedelta(hours=1)
EVEN = {"a": 0.5, "b": 0.5}


def started(*experiments: dict[str, Any], now: datetime = NOW) -> list[Run]:
    runs: list[Run] = []
    for fields in experiments:
        runs.append(begin(made(EVEN, **fields), runs, now))
    return runs


def asked(**more: Any) -> Request:
    return Request(**{"user_id": None, "session_id": "s1", "surfaces": ["related"]} | more)


def test_a_run_survives_the_way_through_a_store() -> None:
    (run,) = started({"layer": "x", "traffic": 0.3})
    assert Run.model_validate(run.to_json()) == run
    assert run.config_hash == run.experiment.config_hash()


def test_two_that_change_one_list_need_a_layer_with_room_for_both() -> None:
    with pytest.raises(UsageError, match="both change related; put both in one `layer`"):
        started({}, {"id": "f"})
    with pytest.raises(UsageError, match="both change related"):
        started({"layer": "x"}, {"id": "f", "layer": "y"})
    with pytest.raises(UsageError, match=r"no room for 0.6 .* there are: e \(0.5\)"):
        started({"layer": "x", "traffic": 0.5}, {"id": "f", "layer": "x", "traffic": 0.6})
    with pytest.raises(UsageError, match="different units, user and session"):
        started(
            {"layer": "x", "traffic": 0.5},
            {"id": "f", "layer": "x", "traffic": 0.5, "unit": "user", "surfaces": ["latest"]},
        )
    both = started({"layer": "x", "traffic": 0.5}, {"id": "f", "layer": "x", "traffic": 0.5})
    assert [run.low for run in both] == [0.0, 0.5]
    assert len(started({}, {"id": "f", "surfaces": ["latest", "popular"]})) == 2


def test_the_room_of_one_that_was_stopped_is_free_again() -> None:
    third = {"layer": "x", "traffic": 1 / 3}
    runs = started(*({"id": name, **third} for name in "abc"))
    runs[1] = runs[1].stopped(NOW, "enough")
    assert begin(made(EVEN, id="d", **third), runs, NOW).low == pytest.approx(1 / 3)


def test_while_it_runs_only_weights_may_change() -> None:
    runs = started({"layer": "x", "traffic": 0.4}, {"id": "f", "layer": "x", "traffic": 0.5})
    again = begin(made({"a": 0.2, "b": 0.8}, id="f", layer="x", traffic=0.5), runs, NOW)
    assert (again.low, again.config_hash != runs[1].config_hash) == (0.4, True)
    with pytest.raises(UsageError, match="only `weight` may change"):
        begin(made(EVEN, id="f", layer="x", traffic=0.5, primary_metric="latency_ms"), runs, NOW)
    with pytest.raises(UsageError, match="only `weight` may change"):
        begin(made({"a": 0.5, "c": 0.5}, id="f", layer="x", traffic=0.5), runs, NOW)


def test_one_that_is_over_is_not_started() -> None:
    with pytest.raises(UsageError, match="ended at 2026-03-15"):
        started({}, now=START + timedelta(days=14))


def test_a_request_is_under_what_runs_on_its_lists_for_its_reader() -> None:
    running = Running(started({}, {"id": "f", "unit": "user", "surfaces": ["popular", "latest"]}))
    assert [found.experiment.id for found in running.of_request(asked(), NOW)] == ["e"]
    both = running.of_request(asked(user_id="u", surfaces=["latest", "related"]), NOW)
    assert [found.experiment.id for found in both] == ["e", "f"]
    assert running.of_request(asked(session_id=None), NOW) == []
    assert running.of_request(asked(surfaces=["must_reads"]), NOW) == []


@pytest.mark.parametrize("moment", [START - timedelta(seconds=1), START + timedelta(days=14)])
def test_outside_its_dates_nobody_takes_part(moment: datetime) -> None:
    (run,) = started({}, now=START - timedelta(days=1))
    assert Running([run]).of_request(asked(), moment) == []
    assert Running([run]).of_request(asked(), NOW)
    assert Running([run.stopped(NOW, "kill switch")]).of_request(asked(), NOW) == []


def test_eligibility_asks_for_what_it_names() -> None:
    (run,) = started({"eligibility": {"sites": ["news"], "languages": ["de"], "sections": ["Sport"]}})
    fits = {"site": "news", "language": "de", "section": "Sport"}
    assert Running([run]).of_request(asked(**fits), NOW)
    for name in fits:
        assert not Running([run]).of_request(asked(**(fits | {name: "other"})), NOW)
        assert not Running([run]).of_request(asked(**(fits | {name: None})), NOW)


def test_sides_are_named_by_the_caller_where_that_was_agreed_or_with_the_secret_key() -> None:
    hashed, external = Running(started({})), Running(started({"assignment": "external"}))
    assert external.of_request(asked(), NOW) == []
    (named,) = external.of_request(asked(named={"e": "b"}), NOW)
    assert (named.variant.name, named.counts) == ("b", True)
    (own,) = hashed.of_request(asked(), NOW)
    other = {"a": "b", "b": "a"}[own.variant.name]
    assert hashed.of_request(asked(named={"e": other}), NOW) == [own]
    (shown,) = hashed.of_request(asked(named={"e": other}, may_override=True), NOW)
    assert (shown.variant.name, shown.counts) == (other, False)
