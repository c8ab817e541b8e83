"""The report: one file that needs nothing else and says what the JSON says."""

import copy
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.blending import recipe_of
from recsys.config import Config, load_config
from recsys.snapshot import read_state
from tests.conftest import Newsroom, copy_models
from tests.training.command import recsys
from tests.training.seen import Page, needs_nothing_else
from training.evaluate import evaluate
from training.fit import train
from training.pages import value_at
from training.report_learned import age_curves, half_lives, recipes
from training.report_page import render
from training.verdict import verdict

EVIL = '<img src=x onerror="alert(1)">'


def stated(value: Any, text: str) -> bool:
    """Whether a cell says what the JSON holds, to its last digit."""
    if value in (None, [None, None]):
        return text == "-"
    if isinstance(value, list):
        return all(stated(part, told) for part, told in zip(value, text.split(" to "), strict=True))
    if isinstance(value, bool):
        return text == ("yes" if value else "no")
    if isinstance(value, str):
        return text == value
    told = text.replace(",", "")
    digits = len(told.partition(".")[2])
    return abs(float(told) - value) <= 0.5 * 10.0**-digits + 1e-12


@pytest.fixture(scope="module")
def values(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a bundle with a learned ranker: so few lists teach one only if they are asked to."""
    models = copy_models(newsroom.models, tmp_path_factory.mktemp("report") / "models")
    changes = ["ranker.min_lists=50", "ranker.shrinkage=0.01", "gate.min_lists=1000000"]
    eager = load_config(None, changes)
    until = newsroom.now - timedelta(days=1)
    bundle = train(eager, newsroom.data, models, created=newsroom.now, fit_until=until).bundle
    found = evaluate(bundle, newsroom.data, models, span=(until, None)).as_dict()
    # as the JSON file has it
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def text(values: dict[str, Any]) -> str:
    return render(values)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture
def bare(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a bundle from which no ranker was learned, judged on nothing but rankings."""
    less = {"learning_curve": {}, "calibration": {}, "curves": {}, "ablation": [], "lists": {}, "slices": {}}
    return {**copy.deepcopy(values), **less}


def test_the_bundle_of_these_tests_has_all_that_a_report_shows(values: dict[str, Any]) -> None:
    assert {row["kind"] for row in values["ablation"]} == {"dropped", "refitted"}
    assert values["learning_curve"]["related"][-1]["lists"] > 50
    assert values["calibration"]["related"]["bins"]
    assert len(values["examples"]["related"]["rows"]) == 20


def test_the_file_needs_nothing_else_and_is_whole(text: str) -> None:
    needs_nothing_else(text)


def test_headings_descend_one_at_a_time_and_plots_and_tables_say_what_they_are(page: Page) -> None:
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") > 5
    assert tags.count("figure") == tags.count("figcaption") == tags.count("svg") > 8
    assert all(given.get("role") == "img" and given["aria-label"] for tag, given in page.tags if tag == "svg")
    assert all(given.get("scope") in ("col", "row") for tag, given in page.tags if tag == "th")


def test_every_figure_of_a_table_is_that_of_the_json(values: dict[str, Any], page: Page) -> None:
    assert len(page.cells) > 200
    for path, text in page.cells:
        assert stated(value_at(values, path), text), (path, text)
    shown = {json.dumps(path) for path, _ in page.cells}
    for name in values["rankings"]:
        for metric in ("auc", "mrr", "ndcg@5", "ndcg@10"):
            assert {
                json.dumps(["rankings", name, metric]),
                json.dumps(["rankings", name, "ci", metric]),
            } <= shown
    assert {json.dumps(["ablation", at, "auc_ci"]) for at in range(len(values["ablation"]))} <= shown


def test_the_funnel_stands_first_then_the_best(page: Page) -> None:
    order = [path[1] for path, _ in page.cells if path[0] == "rankings" and path[2] == "auc"]
    told = [float(text) for path, text in page.cells if path[0] == "rankings" and path[2] == "auc"]
    assert order[0] == "funnel"
    assert told[1:] == sorted(told[1:], reverse=True)


def test_every_curve_is_drawn_or_named(values: dict[str, Any], page: Page) -> None:
    drawn = [given["aria-label"] or "" for tag, given in page.tags if tag == "svg"]
    words = " ".join("".join(page.words).split())
    (said,) = re.findall(r"are not drawn: ([^.]+)\.", words) or [""]
    for row in values["curves"]["related"]:
        if row["reach"] > 0:
            assert any(alt.startswith(f"Learned curve of {row['feature']},") for alt in drawn)
        else:
            assert row["feature"] in said.split(", ")


def test_hostile_texts_are_text(values: dict[str, Any], bare: dict[str, Any]) -> None:
    hostile = bare
    for row in hostile["examples"]["related"]["rows"]:
        for item in (*row["about"], *row["before"], *row["after"]):
            item.update(title=EVIL, section=EVIL)
    hostile["slices"] = {f"section {EVIL} $x$ 東": part for part in values["slices"].values()}
    hostile["lists"] = {EVIL: {EVIL: {"hr@20": 0.5}, "note": EVIL}}
    hostile["trained"].update(version=EVIL, notes=[EVIL])
    text = render(hostile)
    page = Page(text)
    assert not [tag for tag, given in page.tags if tag == "img" or "onerror" in given]
    assert "<img" not in text
    assert "".join(page.words).count(EVIL) > 100


def test_the_same_values_give_the_same_bytes(values: dict[str, Any], text: str) -> None:
    assert render(copy.deepcopy(values)) == text


def test_what_a_bundle_lacks_is_said_in_words(bare: dict[str, Any]) -> None:
    bare["dated"] = 0.0
    page = Page(render(bare))
    words = " ".join("".join(page.words).split())
    for said in (
        "There is no learning curve",
        "Click rates are not predicted",
        "No list type has a learned ranker",
        "No article carries a time of publication",
        "Nothing was measured on whole lists",
        "No reference ranker was fitted",
    ):
        assert said in words
    # models and half-lives are always there
    assert [tag for tag, _ in page.tags].count("svg") == 2


def test_without_a_judged_list_the_rest_is_told(bare: dict[str, Any]) -> None:
    bare.update(rankings={}, against_best_single={}, against_content_blend={})
    bare["judged"].update({"from": None, "until": None, "impressions": 0, "readers": 0})
    bare["verdict"] = verdict(bare)
    bare["lists"] = {"next_article": {"related": {"models": {"funnel": {"hr@20": 0.5}}}}}
    page = Page(render(bare))
    words = " ".join("".join(page.words).split())
    assert words.count("No served list holds both a click and an article that was not clicked") == 2
    assert (["lists", "next_article", "related", "models", "funnel", "hr@20"], "0.5000") in page.cells


def test_a_log_without_served_lists_has_a_report_too(newsroom: Newsroom, tmp_path: Path) -> None:
    for table in newsroom.data.iterdir():
        if table.name.startswith(("articles", "events")):
            (tmp_path / table.name).symlink_to(table)
    since = newsroom.now - timedelta(hours=6)
    result = evaluate(newsroom.bundle, tmp_path, newsroom.models, span=(since, None), list_reads=50)
    assert result.as_dict()["rankings"] == {}
    page = Page(result.as_html())
    assert any(path[:2] == ["lists", "next_article"] for path, _ in page.cells)


def test_whatever_stands_under_lists_and_references_is_shown(bare: dict[str, Any]) -> None:
    more = bare
    more["references"] = [
        {"model": "boosted", "auc": 0.7125, "ndcg@10": 0.5, "auc_ci": [0.7, 0.725], "microseconds": 1700.5},
        {
            "model": "additive",
            "auc": 0.71,
            "ndcg@10": 0.49,
            "auc_ci": [None, None],
            "ndcg@10_ci": [-0.1, 0.1],
        },
    ]
    more["gate"] = {"verdict": "passed", "models": {"funnel": {"auc": 0.65, "ci": {"auc": [0.6, 0.7]}}}}
    more["lists"] = {
        "next_article": {
            "funnel": {"hr@20": 0.125, "ci": {"hr@20": [0.1, 0.15]}, "lists": 1234},
            "item_knn": {"hr@20": 0.0625, "ci": {"hr@20": [0.05, 0.075]}, "lists": 1234},
        },
        "beyond": {"related": {"coverage": 0.25, "deep": {"funnel": {"gini": 0.75}}}, "notes": ["by hand"]},
    }
    page = Page(render(more))
    found = {json.dumps(path): text for path, text in page.cells}
    assert found['["references", 0, "auc"]'] == "0.7125"
    assert found['["references", 1, "auc_ci"]'] == "-"
    assert found['["gate", "models", "funnel", "ci", "auc"]'] == "0.6000 to 0.7000"
    assert found['["references", 0, "auc_ci"]'] == "0.7000 to 0.7250"
    # an interval that does not hold the value is of something else, and has a column of its own
    assert "ndcg@10_ci" in page.words
    assert "auc_ci" not in page.words
    assert found['["lists", "next_article", "item_knn", "ci", "hr@20"]'] == "0.0500 to 0.0750"
    assert found['["lists", "next_article", "funnel", "lists"]'] == "1,234"
    assert found['["lists", "beyond", "related", "coverage"]'] == "0.2500"
    assert found['["lists", "beyond", "related", "deep", "funnel", "gini"]'] == "0.7500"
    assert "by hand" in "".join(page.words)


def test_curves_and_half_lives_of_sections_are_shown_where_they_were_learned(bare: dict[str, Any]) -> None:
    config = Config()
    counts = {"hours": 900.0, "learned": True, "clicks": 4321}
    bare["half_lives"] = [{"of": "appeal by age, Recipes", **counts}]
    bare["age_curves"] = [
        {"name": name, "knots": [list(knot) for knot in config.age_curve.knots], "learned": True, "clicks": 9}
        for name in ("all sections", "Recipes", "Sport")
    ]
    bare["examination"] = {"related": [1.0, 0.75, 0.5]}
    page = Page(render(bare))
    assert (["half_lives", 0, "clicks"], "4,321") in page.cells
    alts = [given["aria-label"] for tag, given in page.tags if tag == "svg"]
    assert "Appeal of an article by its age in hours: all sections, Recipes, Sport" in alts
    assert "Examination of 3 places relative to the first" in alts


def test_what_was_learned_is_what_the_funnel_reads(newsroom: Newsroom) -> None:
    state = read_state(newsroom.bundle)
    first, *sections = age_curves(state)
    whole = state.learned.age.whole
    assert whole is not None
    assert [value for _, value in first["knots"]] == list(whole.values)
    assert {row["name"] for row in sections} == {p.name for p in state.learned.age.sections if p.clicks}
    hours = {row["of"]: row["hours"] for row in half_lives(state)}
    assert hours["appeal by age"] == whole.half_life_hours
    kept = recipes(state)["related"]
    assert kept.pop("learned") == ("related" in state.learned.recipes)
    assert kept == dict(recipe_of(state, state.config.surfaces.related, "related").weights)
    # without leave to use them, the configured curve is what is read, and shown
    fixed = state.config.age_curve.model_copy(update={"learned": False})
    state.config = state.config.model_copy(update={"age_curve": fixed})
    (only,) = age_curves(state)
    assert only["knots"] == [list(knot) for knot in fixed.knots]


@pytest.mark.parametrize(
    ("span", "says"),
    [
        ([0.01, 0.03], "is better than"),
        ([-0.03, -0.01], "is worse than"),
        ([-0.01, 0.03], "It is not shown that the bundle is better"),
    ],
)
def test_the_verdict_follows_the_interval(values: dict[str, Any], span: list[float], says: str) -> None:
    told = copy.deepcopy(values)
    told["against_best_single"].update(auc_difference=sum(span) / 2, auc_difference_ci=span)
    assert says in verdict(told)[1]


def test_the_verdict_says_where_it_is_worse_and_judges_no_small_slice(values: dict[str, Any]) -> None:
    told = copy.deepcopy(values)
    worse = {"auc_against_best_single_ci": [-0.2, -0.1], "judged": True}
    told["slices"] = {"night": worse, "noon": {**worse, "judged": False}}
    text = " ".join(verdict(told))
    assert "worse than that signal in 1 slice: night." in text
    assert "noon" not in text
    assert "1 slice of fewer than 200 lists" in text


def test_examples_mark_what_moved(values: dict[str, Any]) -> None:
    for found in values["examples"].values():
        for row in found["rows"]:
            before, after = ([item["title"] for item in row[side]] for side in ("before", "after"))
            for place, item in enumerate(row["after"]):
                if item["moved"] is None:
                    assert item["title"] not in before
                else:
                    assert before[place + item["moved"]] == item["title"]
            assert [item["title"] not in after for item in row["before"]] == [
                item["left"] for item in row["before"]
            ]
            assert not {item["title"] for item in row["about"]} & set(after) or row["opened"] is not None


def test_the_command_writes_page_and_json_of_the_same_values(
    newsroom: Newsroom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    since = (newsroom.now - timedelta(hours=12)).isoformat()
    files = tmp_path / "r.html", tmp_path / "r.json"
    answer = recsys(
        capsys, "evaluate", "--data", newsroom.data, "--models", newsroom.models, "--judge-from", since,
        "--html", files[0], "--json", files[1], "--no-lists",
    )  # fmt: skip
    assert answer.code == 0
    values, page = json.loads(files[1].read_text()), Page(files[0].read_text())
    for path, text in page.cells:
        assert stated(value_at(values, path), text)
