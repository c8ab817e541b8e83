"""Docs, dashboard and alerts name the metrics that a service really has, and leave none out."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.serving.server import Server

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\b(recsys_[a-z_]+)\b")
# what PromQL may be made of here; promtool itself is not installed
FUNCTIONS = {
    "sum",
    "max",
    "min",
    "rate",
    "increase",
    "histogram_quantile",
    "absent",
    "by",
    "le",
    "or",
    "ignoring",
    "group_left",
}
_PARTS = ("_bucket", "_sum", "_count")


def family(name: str) -> str:
    """The name in the docs of a series."""
    for part in _PARTS:
        name = name.removesuffix(part)
    return name


def served(server: Server) -> set[str]:
    text = server.get("/metrics").text
    return {family(name) for name in re.findall(r"# TYPE (\w+) ", text)}


def alerts() -> list[dict[str, Any]]:
    content = yaml.safe_load((DOCS / "grafana" / "alerts.yml").read_text(encoding="utf-8"))
    (group,) = content["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DOCS / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    return read


def queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def test_every_metric_is_documented_and_every_documented_one_is_served(server: Server) -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    documented = {family(name) for name in re.findall(r"^\| `(recsys_\w+)` \|", page, re.MULTILINE)}
    assert documented == served(server)
    assert {family(name) for name in NAME.findall(page)} <= documented


def test_the_dashboard_shows_every_metric_and_no_other(server: Server) -> None:
    shown = {family(name) for query in queries() for name in NAME.findall(query)}
    assert shown == served(server)


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    read = dashboard()
    assert read["schemaVersion"] >= 39
    panels = read["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        across = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in across for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken
        taken |= cells
        assert panel["type"] in ("row", "timeseries")
        assert panel["type"] == "row" or panel["targets"]


def test_alerts_and_queries_are_well_formed_and_ask_for_what_there_is(server: Server) -> None:
    there = served(server)
    for rule in alerts():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smhd]", rule["for"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {family(name) for name in NAME.findall(rule["expr"])} <= there
    for query in [*queries(), *(rule["expr"] for rule in alerts())]:
        well_formed(query)


def well_formed(query: str) -> None:
    bare = re.sub(r'"[^"]*"', '""', query)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing), query
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", bare)
    words = {word for word in re.findall(r"\b[a-z_]\w*\b", bare) if not word.startswith("recsys_")}
    labels = {
        word
        for group in re.findall(r"(?:by|ignoring) \(([^)]*)\)", bare)
        for word in re.split(r",\s*", group)
    }
    assert words <= FUNCTIONS | labels, query
    for inner in re.findall(r"(?:rate|increase)\(([^)]*)\)", re.sub(r'"[^"]*"', "", query)):
        assert inner.endswith("]"), query


def test_every_alert_has_its_cause_and_its_remedy() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(Recsys\w+)` \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    assert [name for name, *_ in explained] == [rule["alert"] for rule in alerts()]
    assert all(len(cause) > 20 and len(remedy) > 20 for _, cause, remedy in explained)
