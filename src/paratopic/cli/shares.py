"""The command `paratopic shares`: the shares of the topics in a project's paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table

from paratopic.cli.next_steps import SHARES, SUGGEST, check_out, invocation, next_steps, print_steps
from paratopic.findings import groups, wording
from paratopic.findings.groups import BORROWED, COUNT, Findings
from paratopic.findings.population import Corpus, Counted
from paratopic.findings.share_tables import Cells, as_text, change_table, number_table, share_table
from paratopic.project import files
from paratopic.project.errors import UserError, shortened_list
from paratopic.project.terminal import stdout_console
from paratopic.results.project import Project

SUFFIXES = (".csv", ".json", ".md", ".tex", ".png", ".svg")
DECIMALS = 6  # Decimals of written numbers.
CHANGES = "Changes in percentage points, with intervals"  # Title of a table.
MOST_LISTED = 8  # Topics that a message lists.


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
    unit: Annotated[
        Counted,
        typer.Option(
            "--of",
            help="What the shares are of: paragraphs, words, or articles. An article has a topic "
            "if any of its paragraphs has it.",
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
    names, outs = by or [], out or []
    project = Project()
    _check_columns(names, compare)
    _check_files(unit, outs, rows, texts)
    for path in [*outs, rows] if rows else outs:
        check_out(project, path)
    labelling, confidence = project.labelling, project.params.evaluate.confidence
    columns = labelling.columns(names)
    corpus = project.corpus(unit, predictor=predictor or [], new_articles=new_articles)
    findings = project.shares(names, compare, corpus=corpus, distinct=distinct)
    regression = groups.rows_to_regress(corpus, labelling.paragraphs, texts) if rows else None
    is_count = bool((findings.table["rests_on"] == COUNT).all())
    method = "counted" if is_count else f"{confidence:.0%} intervals"
    title = labelling.in_units(f"Shares of the {unit}, {method}")
    _print_tables(findings, columns, title)
    notes = [wording.counting_rule(unit, not distinct), *wording.left_out(corpus)]
    if not is_count:
        notes += [labelling.basis, wording.method(corpus), wording.population(corpus)]
    lines = [*wording.notes(findings), wording.sentence(findings, corpus, confidence)]
    lines += [*wording.outlook(findings, corpus), *notes]
    print(*map(labelling.in_units, lines), sep="\n")
    footnotes = [*map(labelling.in_units, [*wording.marks(findings), *notes])]
    for path in outs:
        _write(path, findings, columns, title, footnotes)
        print(f"written: {path}")
    if rows and regression:
        outcomes, missing = regression
        files.write_csv(rows, outcomes)
        print(f"written: {rows}. {wording.clustering(corpus)}")
        if missing:
            print(f"{rows} lacks {shortened_list(missing, MOST_LISTED)}: no drawn label has it.")
    steps = next_steps(project)
    steps.pop(SHARES, None)
    if not outs:
        steps[f"{invocation()} --out shares.csv --out shares.png"] = "write a table and a picture"
    if steps.pop(SUGGEST, None):
        steps |= _draw_step(findings, names, corpus)
    print_steps(steps)


def _check_columns(columns: Sequence[str], compare: tuple[str, str] | None) -> None:
    """UserError for over two, equal or reserved columns; `compare` without any, or equal values."""
    if len(columns) > 2:
        raise UserError("--by: name two columns at most")
    if len({*columns}) < len(columns):
        raise UserError(f"--by {columns[0]} is there twice; name another column")
    if reserved := [name for name in columns if name in groups.COLUMNS]:
        raise UserError(
            f"--by {reserved[0]}: the table of shares has a column of that name itself; name "
            "another column, or rename it in your table or metadata.csv"
        )
    if compare and not columns:
        raise UserError("--compare needs --by: name the column that has these values")
    if compare and compare[0] == compare[1]:
        raise UserError(f"--compare {compare[0]} {compare[1]}: name two different values")


def _check_files(unit: Counted, outs: Sequence[Path], rows: Path | None, texts: bool) -> None:
    """UserError for unknown suffixes, `rows` for words, `texts` without `rows`, or equal files."""
    for path in outs:
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"--out {path}: name a file that ends in {', '.join(SUFFIXES)}")
    if rows and (rows.suffix.lower() != ".csv" or unit == "words"):
        raise UserError(f"--rows {rows}: name a .csv file; its rows are paragraphs or articles")
    if texts and not rows:
        raise UserError("--texts says what to write with --rows: add --rows FILE")
    if rows in outs:
        raise UserError(f"--rows {rows}: --out names the same file")


def _draw_step(findings: Findings, columns: Sequence[str], corpus: Corpus) -> dict[str, str]:
    """Command that draws labels to narrow intervals → purpose; {} if narrow or by two columns."""
    n, purpose = wording.further_labels(findings, corpus)
    if corpus.counted == "articles":
        return {"paratopic label --random --articles": "narrow the intervals"}
    if not n or len(columns) > 1:
        return {}
    by = f" --by {quote(columns[0])}" if columns else ""
    return {f"paratopic label --random{by} --n {n}": purpose}


def _print_tables(findings: Findings, columns: Sequence[str], title: str) -> None:
    """Print shares in the first of three layouts that fits the terminal, and changes, if any."""
    console = stdout_console()
    wide = console.options.update(max_width=10**6)  # Otherwise, tables shrink to the terminal.
    for layout in ({}, {"narrow": True}, {"across": False}):
        table = _rich_table(share_table(findings, columns, **layout), f"{title} (in %)")
        if console.measure(table, options=wide).maximum <= console.width:
            break
    console.print(table)
    if changes := change_table(findings):
        console.print(_rich_table(changes, CHANGES))


def _rich_table(cells: Cells, title: str) -> Table:
    figures = [Column(name, justify="right") for name in cells.figures]
    table = Table(*cells.words, *figures, title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in cells.rows:
        table.add_row(*row)
    return table


def _write(
    path: Path, findings: Findings, columns: Sequence[str], title: str, footnotes: Sequence[str]
) -> None:
    """Write shares and changes: numbers (.csv, .json), tables in % (.md, .tex), or else a plot.

    .json has the title as "about", tables have the footnotes, and the plot leaves out trends.
    Changes without an interval are left out.
    """
    suffix, table = path.suffix.lower(), findings.table
    changes = findings.changes[findings.changes["low"].notna()]
    if not findings.errs_alike:
        warning = f"{BORROWED}; labels contradict that: do not report"
        table = table.replace({"rests_on": {BORROWED: warning}})
    if suffix == ".csv":
        numbers = number_table(replace(findings, table=table, changes=changes))
        files.write_csv(path, numbers.round(DECIMALS))
    elif suffix == ".json":
        content: dict[str, object] = {"about": title}
        for name, part in {"shares": table, "changes": changes}.items():
            rows = part.astype(object).where(part.notna(), None)
            content[name] = rows.to_dict("records")
        files.write_json(path, content)
    elif suffix in (".md", ".tex"):
        shares = share_table(findings, columns)
        tables = {f"{title} (in %)": shares, CHANGES: change_table(findings)}
        files.write_text(path, as_text(tables, footnotes, suffix))
    else:
        from paratopic.findings.figures import plot_shares

        plot_shares(path, findings, columns, title)
