"""Commands for data: import, validate, simulate."""

from pathlib import Path
from typing import Annotated

import typer

from recsys.errors import DataError
from training import console
from training.cli_options import Set
from training.importing import ImportReport
from training.mind import import_mind
from training.readers import validate as find_defects
from training.simulate import simulate as run_simulation
from training.simulation.scenario import load_scenario
from training.table import import_table

import_app = typer.Typer(help="Bring data into the canonical form.", no_args_is_help=True)
Out = Annotated[Path, typer.Option(help="Folder of the canonical data; an earlier output there is replaced.")]
Strict = Annotated[bool, typer.Option(help="Stop at the first bad row.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")]


def _tell(report: ImportReport, out: Path, as_json: bool) -> None:
    if as_json:
        console.print_json(report.as_dict())
        return
    for table in ("articles", "events", "exposures"):
        count = getattr(report, table)
        console.out.print(
            f"{table:<10} {count.written:>10,} written  {count.refused:>6,} refused  "
            f"{count.duplicates:>8,} repeated  {count.renamed:>6,} renamed",
            markup=False,
        )
    for table, columns in report.ignored_columns.items():
        if columns:
            console.out.print(f"{table}: columns not mapped: {', '.join(columns)}", markup=False)
    if report.unknown_articles:
        console.out.print(f"{report.unknown_articles:,} articles are referred to but not described")
    for refusal in report.refusals[:5]:
        console.out.print(
            f"refused: {refusal['file']} row {refusal['row']}, {refusal['field']}: {refusal['rule']}",
            markup=False,
        )
    if report.refusals:
        console.out.print(f"every refused row: {out / 'rejected.jsonl'}", markup=False)


@import_app.command("mind")
def mind(
    folder: Annotated[Path, typer.Argument(help="Folder with news.tsv and behaviors*.tsv.")],
    out: Out,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """A folder in MIND format.

    Example: recsys import mind MINDsmall_train --out data/mind
    """
    with console.progress("rows") as step:
        report = import_mind(
            folder, out, strict=strict, now=console.wall_clock(), progress=lambda done: step(done, None)
        )
    _tell(report, out, as_json)


@import_app.command("table")
def table(
    articles: Annotated[Path, typer.Option(help="Parquet, CSV or JSONL.")],
    mapping: Annotated[Path, typer.Option("--map", help="TOML: canonical name = source column.")],
    out: Out,
    events: Annotated[Path | None, typer.Option(help="Parquet, CSV or JSONL.")] = None,
    exposures: Annotated[Path | None, typer.Option(help="Parquet, CSV or JSONL.")] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Any tables, with their columns named in a TOML file.

    Example: recsys import table --articles a.csv --events e.parquet --map map.toml --out data/site
    """
    with console.progress("rows") as step:
        report = import_table(
            articles=articles,
            events=events,
            exposures=exposures,
            mapping=mapping,
            out=out,
            strict=strict,
            now=console.wall_clock(),
            progress=lambda done: step(done, None),
        )
    _tell(report, out, as_json)


def validate(
    data: Annotated[Path, typer.Argument(help="Folder of canonical data.")],
    as_json: AsJson = False,
) -> None:
    """Check canonical data; every defect with file, row, field and rule.

    Example: recsys validate data/site
    """
    found = list(find_defects(data))
    if as_json:
        console.print_json(found)
    else:
        for defect in found:
            console.out.print(
                f"{defect['file']} row {defect['row']}, {defect['field']}: {defect['rule']}", markup=False
            )
    if found:
        raise DataError(f"{len(found):,} defects in {data}; correct them at the source and import again")
    console.say(f"{data}: no defect")


def simulate(
    out: Out,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    articles: Annotated[int, typer.Option(min=1)] = 1000,
    users: Annotated[int, typer.Option(min=1)] = 500,
    days: Annotated[int, typer.Option(min=1, max=400)] = 7,
    until: Annotated[
        str | None, typer.Option(help="End of the simulated time; default 2026-01-01T00:00:00Z.")
    ] = None,
    newsroom: Annotated[bool, typer.Option(help="Readers of the demo newsroom's own articles.")] = False,
    scenario: Annotated[
        Path | None, typer.Option(help="TOML with what is true; see docs/learning.md.")
    ] = None,
    overrides: Set = None,
) -> None:
    """A newsroom and its readers with known truth, which is written beside the data as truth.json.

    Example: recsys simulate --seed 1 --articles 2000 --users 1000 --days 7 --out data/simulated
    """
    rule = load_scenario(scenario, overrides or [])
    end = console.instant(until or "2026-01-01T00:00:00Z", "--until")
    assert end is not None
    counts = run_simulation(
        out, seed=seed, articles=articles, users=users, days=days, end=end, newsroom=newsroom, scenario=rule
    )
    console.out.print(", ".join(f"{number:,} {name}" for name, number in counts.items()))
