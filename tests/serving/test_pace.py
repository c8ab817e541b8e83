"""A request's time budget."""

import time

from recsys.slate import OPTIONAL
from serving.pace import StageCosts, Stopwatch


def taught(**seconds: float) -> StageCosts:
    costs = StageCosts()
    for stage, spent in seconds.items():
        for _ in range(200):
            costs.took(stage, spent)
    return costs


def test_a_stage_that_would_take_too_long_is_left_out_and_the_cheaper_ones_are_not() -> None:
    watch = Stopwatch(taught(variety=10.0, curves=1e-9, covisited=1e-9), time.perf_counter(), budget=5.0)
    assert [stage for stage in OPTIONAL if watch.begins(stage)] == ["curves", "covisited"]
    assert watch.left_out == ["variety"]


def test_time_for_the_answer_itself_is_kept() -> None:
    watch = Stopwatch(taught(encoding=10.0, variety=1e-9), time.perf_counter(), budget=5.0)
    assert not watch.begins("variety")


def test_no_budget_leaves_nothing_out_and_what_must_run_always_does() -> None:
    free = Stopwatch(taught(variety=10.0), time.perf_counter())
    assert all(free.begins(stage) for stage in OPTIONAL)
    late = Stopwatch(taught(candidates=10.0), time.perf_counter() - 100.0, budget=1.0)
    assert late.begins("candidates")
    assert not any(late.begins(stage) for stage in OPTIONAL)


def test_stages_add_up_to_the_whole() -> None:
    started = time.perf_counter()
    watch = Stopwatch(StageCosts(), started)
    for stage in ("candidates", "curves", "variety", "encoding"):
        watch.begins(stage)
        sum(range(1000))
    watch.finish()
    whole = time.perf_counter() - started
    assert [stage for stage, _ in watch.stages] == ["request", "candidates", "curves", "variety", "encoding"]
    assert 0.0 < sum(seconds for _, seconds in watch.stages) <= whole
