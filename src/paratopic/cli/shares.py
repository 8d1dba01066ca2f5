"""The command `paratopic shares`: how much of the project's paragraphs is about what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table

from paratopic.cli.next_steps import SHARES, SUGGEST, check_out, next_steps, print_steps, typed
from paratopic.findings import groups, wording
from paratopic.findings.groups import BORROWED, COUNT, Findings
from paratopic.findings.population import Corpus, Counted
from paratopic.findings.share_tables import Cells, as_text, change_table, number_table, share_table
from paratopic.project import files
from paratopic.project.errors import UserError, in_short
from paratopic.project.terminal import terminal
from paratopic.results.project import Project

SUFFIXES = (".csv", ".json", ".md", ".tex", ".png", ".svg")
# Decimals of what is written.
DECIMALS = 6
# Title of the table of differences and trends.
CHANGES = "Changes in percentage points, with intervals"
# Topics that a message names.
MOST_LISTED = 8


def shares(
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to divide the paragraphs by: decade, year, month or date, or any column "
            "of metadata; repeat for a second one."
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two values of the column of --by: the first minus the second. Default: the last "
            "period minus the first.",
            metavar="A B",
        ),
    ] = None,
    of: Annotated[
        Counted,
        typer.Option(
            help="What the shares are of: paragraphs, words, or articles. An article has a topic "
            "if any of its paragraphs has it."
        ),
    ] = "paragraphs",
    new_articles: Annotated[
        bool,
        typer.Option(
            "--new-articles",
            help="Give intervals for further articles like these, not for these alone.",
        ),
    ] = False,
    predictor: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of a table with predicted topics, such as those of a language model, to "
            "use in place of the models; or repeat it with a column of probabilities for each "
            "topic. The predictions must not rest on these labels."
        ),
    ] = None,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Count copies of a text once for each value of --by.")
    ] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="File to write: numbers (.csv, .json), a table for a paper (.tex, .md) or a "
            "picture (.png, .svg); repeat for several."
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Write a table (.csv) for regressions: a row for each paragraph or article, with "
            "metadata and, for each topic, an outcome corrected with the labels."
        ),
    ] = None,
    texts: Annotated[bool, typer.Option("--texts", help="With --rows: write texts, too.")] = False,
) -> None:
    """Estimate how much of the project is about each topic, with confidence intervals.

    All paragraphs of the project count. The labels of paragraphs drawn at random correct the
    predictions (`paratopic label --random`). For shares of articles, draw whole ones (--articles).
    """
    named, outs = by or [], out or []
    project = Project()
    _check(named, compare, of, outs, rows, texts)
    for path in [*outs, *([rows] if rows else [])]:
        check_out(project, path)
    labelling, confidence = project.labelling, project.params.evaluate.confidence
    columns, copies = labelling.columns(named), not distinct
    corpus = project.corpus(of, predictor=predictor or [], new_articles=new_articles)
    estimated = project.shares(named, compare, corpus=corpus, distinct=distinct)
    to_regress = groups.rows_to_regress(corpus, labelling.paragraphs, texts) if rows else None
    counted = bool((estimated.table["rests_on"] == COUNT).all())
    shown = "counted" if counted else f"{confidence:.0%} intervals"
    title = labelling.in_units(f"Shares of the {of}, {shown}")
    _print(estimated, columns, title)
    about = [wording.counting(of, copies)]
    if not counted:
        about += [labelling.basis, wording.method(corpus), wording.population(corpus)]
    lines = [*wording.notes(estimated), wording.sentence(estimated, corpus, confidence)]
    lines += [*wording.outlook(estimated, corpus), *about]
    print(*map(labelling.in_units, lines), sep="\n")
    below = [*map(labelling.in_units, [*wording.marks(estimated), *about])]
    for path in outs:
        _write(path, estimated, columns, title, below)
        print(f"written: {path}")
    if rows and to_regress:
        outcomes, lacking = to_regress
        files.write_csv(rows, outcomes)
        print(f"written: {rows}. {wording.clustering(corpus)}")
        if lacking:
            print(f"{rows} lacks {in_short(lacking, MOST_LISTED)}: no drawn label has it.")
    steps = next_steps(project)
    steps.pop(SHARES, None)
    if not outs:
        steps[f"{typed()} --out shares.csv --out shares.png"] = "write a table and a picture"
    if steps.pop(SUGGEST, None):
        steps |= _draw(estimated, named, corpus)
    if steps:
        print_steps(steps)


def _check(
    columns: Sequence[str],
    compare: tuple[str, str] | None,
    of: Counted,
    outs: Sequence[Path],
    rows: Path | None,
    texts: bool,
) -> None:
    """Refuse options that contradict each other or cannot be met."""
    if len(columns) > 2:
        raise UserError("--by: name two columns at most")
    if len({*columns}) < len(columns):
        raise UserError(f"--by {columns[0]} is there twice; name another column")
    if taken := [name for name in columns if name in groups.COLUMNS]:
        raise UserError(
            f"--by {taken[0]}: the table of shares has a column of that name itself; name another "
            "column, or rename it in your table or metadata.csv"
        )
    if compare and not columns:
        raise UserError("--compare needs --by: name the column that has these values")
    if compare and compare[0] == compare[1]:
        raise UserError(f"--compare {compare[0]} {compare[1]}: name two different values")
    for path in outs:
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"--out {path}: name a file that ends in {', '.join(SUFFIXES)}")
    if rows and (rows.suffix.lower() != ".csv" or of == "words"):
        raise UserError(f"--rows {rows}: name a .csv file; its rows are paragraphs or articles")
    if texts and not rows:
        raise UserError("--texts says what to write with --rows: add --rows FILE")
    if rows in outs:
        raise UserError(f"--rows {rows}: --out names the same file")


def _draw(findings: Findings, columns: Sequence[str], corpus: Corpus) -> dict[str, str]:
    """The command that draws labels to narrow the intervals, first in groups that have none."""
    n, so = wording.further_labels(findings, corpus)
    if corpus.counted == "articles":
        return {"paratopic label --random --articles": "narrow the intervals"}
    if not n or len(columns) > 1:
        return {}
    by = f" --by {quote(columns[0])}" if columns else ""
    return {f"paratopic label --random{by} --n {n}": so}


def _print(findings: Findings, columns: Sequence[str], title: str) -> None:
    """Print the shares in the first form that the terminal has room for, and the changes."""
    console = terminal()
    wide = console.options.update(max_width=10**6)  # or tables measure what they are squeezed to
    for form in ({}, {"narrow": True}, {"across": False}):
        shown = _printed(share_table(findings, columns, **form), f"{title} (in %)")
        if console.measure(shown, options=wide).maximum <= console.width:
            break
    console.print(shown)
    if changes := change_table(findings):
        console.print(_printed(changes, CHANGES))


def _printed(cells: Cells, title: str) -> Table:
    figures = (Column(name, justify="right") for name in cells.figures)
    shown = Table(*cells.words, *figures, title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in cells.rows:
        shown.add_row(*row)
    return shown


def _write(
    path: Path, findings: Findings, columns: Sequence[str], title: str, explained: Sequence[str]
) -> None:
    suffix, table = path.suffix.lower(), findings.table
    if not findings.errs_alike:
        contradicted = {BORROWED: f"{BORROWED}; labels contradict that: do not report"}
        table = table.replace({"rests_on": contradicted})
    if suffix == ".csv":
        files.write_csv(path, number_table(replace(findings, table=table)).round(DECIMALS))
    elif suffix == ".json":
        both = {"shares": table, "changes": findings.changes}
        lines = {
            name: part.astype(object).where(part.notna(), None).to_dict("records")
            for name, part in both.items()
        }
        files.write_json(path, {"about": title, **lines})
    elif suffix in (".md", ".tex"):
        shares = share_table(findings, columns)
        shown = {f"{title} (in %)": shares, CHANGES: change_table(findings)}
        files.write_text(path, as_text(shown, explained, suffix))
    else:
        from paratopic.findings.figures import plot_shares

        plot_shares(path, findings, columns, title)
