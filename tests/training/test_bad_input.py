"""A person's mistake ends with a message that helps, an exit code, and nothing lost."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.command import Answer, recsys

MAP = """
[articles]
article_id = "id"
title = "t"
[events]
event_id = "e"
type = "kind"
ts = "at"
article_id = "a"
session_id = "s"
"""
GOOD = {"e": "e1", "kind": "view", "at": "2026-01-01T00:00:00Z", "a": "a1", "s": "s1"}
Capture = pytest.CaptureFixture[str]


def import_rows(
    tmp_path: Path,
    capsys: Capture,
    articles: list[dict[str, object]],
    events: list[dict[str, object]],
    *flags: str,
) -> Answer:
    for name, rows in (("a", articles), ("e", events)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "map.toml").write_text(MAP)
    return recsys(
        capsys, "import", "table", "--articles", tmp_path / "a.jsonl", "--events", tmp_path / "e.jsonl",
        "--map", tmp_path / "map.toml", "--out", tmp_path / "data", *flags,
    )  # fmt: skip


def refusals(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "data" / "rejected.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("event", "field", "rule"),
    [
        ({**GOOD, "e": "x" * 10_000}, "event_id", "1 to 128 characters, this one has 10000"),
        ({**GOOD, "at": "2026-01-01T00:00:00"}, "ts", "no zone"),
        ({**GOOD, "at": "2100-01-01T00:00:00Z"}, "ts", "a day after now"),
        ({**GOOD, "kind": "VIEWED"}, "type", "view"),
        ({**GOOD, "s": None}, "row", "user_id or session_id is required"),
        ({**GOOD, "a": "two words"}, "article_id", "U+0020"),
    ],
)
def test_a_bad_event_is_refused_by_file_row_field_and_rule(
    tmp_path: Path, capsys: Capture, event: dict[str, object], field: str, rule: str
) -> None:
    answer = import_rows(tmp_path, capsys, [{"id": "a1", "t": "One"}], [{**GOOD, "e": "first"}, event])
    assert answer.code == 0
    (found,) = refusals(tmp_path)
    assert (found["file"], found["row"], found["field"]) == ("e.jsonl", 2, field)
    assert rule in str(found["rule"])
    assert "1 refused" in answer.out
    assert len(str(found["value"])) <= 200
    assert pq.read_table(tmp_path / "data" / "events").num_rows == 1


def test_a_title_of_fifty_megabytes_is_refused_and_stops_nothing(tmp_path: Path, capsys: Capture) -> None:
    answer = import_rows(
        tmp_path, capsys, [{"id": "big", "t": "x" * 50_000_000}, {"id": "a1", "t": "One"}], [GOOD]
    )
    assert answer.code == 0
    assert "at most 2000 characters" in str(refusals(tmp_path)[0]["rule"])
    assert pq.read_table(tmp_path / "data" / "articles").column("article_id").to_pylist() == ["a1"]


def test_strict_stops_at_the_first_bad_row_and_writes_nothing(tmp_path: Path, capsys: Capture) -> None:
    answer = import_rows(tmp_path, capsys, [{"id": "a1", "t": "One"}], [{**GOOD, "at": "soon"}], "--strict")
    assert answer.code == 1
    assert "e.jsonl, row 1, field ts" in answer.err
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "e.jsonl", "map.toml"}


def test_an_id_that_stands_twice_is_kept_apart_and_counted(tmp_path: Path, capsys: Capture) -> None:
    answer = import_rows(tmp_path, capsys, [{"id": "a1", "t": "One"}], [GOOD, GOOD, {**GOOD, "a": "a2"}])
    ids = pq.read_table(tmp_path / "data" / "events").column("event_id").to_pylist()
    assert ids == ["e1", "e:e1"]
    assert "1 repeated" in answer.out
    assert "1 renamed" in answer.out


def test_duplicate_article_ids_are_told_by_validate(tmp_path: Path, capsys: Capture) -> None:
    row = '{"article_id": "a", "title": "One"}\n'
    (tmp_path / "articles.jsonl").write_text(row + row.replace("One", "Two"))
    answer = recsys(capsys, "validate", tmp_path)
    assert answer.code == 1
    assert "row 2, article_id: this id stands in an earlier row" in answer.out


def test_no_such_folder(tmp_path: Path, capsys: Capture) -> None:
    for args in (("validate", tmp_path / "no"), ("import", "mind", tmp_path / "no", "--out", tmp_path / "x")):
        answer = recsys(capsys, *args)
        assert answer.code == 2
        assert str(tmp_path / "no") in answer.err


def test_an_empty_file(tmp_path: Path, capsys: Capture) -> None:
    answer = import_rows(tmp_path, capsys, [], [GOOD])
    assert answer.code == 1
    assert "a.jsonl is empty" in answer.err
    assert not (tmp_path / "data").exists()


def test_a_truncated_parquet_file_is_named_and_an_earlier_output_stays(
    tmp_path: Path, capsys: Capture
) -> None:
    assert import_rows(tmp_path, capsys, [{"id": "a1", "t": "One"}], [GOOD]).code == 0
    pq.write_table(pa.table({"id": ["a"] * 5000, "t": ["T"] * 5000}), tmp_path / "cut.parquet")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    answer = recsys(
        capsys, "import", "table", "--articles", tmp_path / "cut.parquet", "--map", tmp_path / "map.toml",
        "--out", tmp_path / "data",
    )  # fmt: skip
    assert answer.code == 1
    assert "cut.parquet cannot be read as Parquet" in answer.err
    assert pq.read_table(tmp_path / "data" / "events").num_rows == 1
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_a_tsv_row_with_missing_columns(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "news.tsv").write_text("N1\tnews\tpolitics\tA title\t\t\t\t\nN2\tnews\n")
    (tmp_path / "behaviors.tsv").write_text("1\tU1\t11/14/2019 8:00:00 AM\tN1\tN1-1\n2\tU2\n")
    answer = recsys(capsys, "import", "mind", tmp_path, "--out", tmp_path / "data")
    assert answer.code == 0
    assert [(r["file"], r["row"], r["field"]) for r in refusals(tmp_path)] == [
        ("behaviors.tsv", 2, "row"),
        ("news.tsv", 2, "row"),
    ]
    assert "2 columns where" in str(refusals(tmp_path)[0]["rule"])


def test_a_map_that_names_what_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.csv").write_text("id,headline\n1,One\n")
    for text, told in (
        ('[articles]\narticle_id = "id"\ntitle = "nope"\n', "which a.csv does not have; it has id, headline"),
        ('[articles]\narticle_id = "id"\n', "does not map the required title"),
        ('[articles]\nheadline = "id"\n', "no canonical field; allowed are"),
        ("[rows]\n", "unknown table [rows]"),
    ):
        (tmp_path / "map.toml").write_text(text)
        answer = recsys(
            capsys, "import", "table", "--articles", tmp_path / "a.csv", "--map", tmp_path / "map.toml",
            "--out", tmp_path / "data",
        )  # fmt: skip
        assert answer.code == 2
        assert told in answer.err


def test_a_config_with_an_unknown_key(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "c.toml").write_text("[popularity]\nhalf_lifes = [1.0]\n")
    answer = recsys(
        capsys, "train", "--data", tmp_path, "--models", tmp_path / "m", "--config", tmp_path / "c.toml"
    )
    assert answer.code == 2
    assert "popularity.half_lifes: unknown key" in answer.err


def test_an_output_folder_that_holds_something_else_is_not_overwritten(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("years of work")
    answer = import_rows(tmp_path, capsys, [{"id": "a1", "t": "One"}], [GOOD])
    assert answer.code == 2
    assert (tmp_path / "data" / "thesis.txt").read_text() == "years of work"


def test_a_models_folder_without_current(tmp_path: Path, capsys: Capture) -> None:
    for command in ("evaluate", "serve"):
        extra = ("--data", tmp_path) if command == "evaluate" else ("--store", f"sqlite:///{tmp_path}/s.db")
        answer = recsys(capsys, command, "--models", tmp_path, *extra)
        assert answer.code in (1, 2)
        assert "has no bundle in service" in answer.err
        assert "--publish" in answer.err


def test_a_wrong_call_ends_with_two(capsys: Capture) -> None:
    assert recsys(capsys, "train").code == 2
    assert recsys(capsys, "nonsense").code == 2
    answer = recsys(capsys, "train", "--models", "m")
    assert (answer.code, "give one of --data DATA and --store URL" in answer.err) == (2, True)


COMMANDS = ("import mind", "import table", "validate", "train", "evaluate", "serve", "simulate", "doctor")
REGISTRY = ("models list", "models show", "models verify", "models promote", "models rollback")
STORE = ("store export", "store dump", "store restore", "store age", "store forget")


@pytest.mark.parametrize("command", COMMANDS + REGISTRY + STORE)
def test_every_command_explains_itself_with_an_example(command: str, capsys: Capture) -> None:
    answer = recsys(capsys, *command.split(), "--help")
    assert answer.code == 0
    assert "Example: recsys" in " ".join(answer.out.split())
