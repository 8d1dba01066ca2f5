"""The command `paratopic shares`: how much of the project's paragraphs is about what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich import box
from rich.table import Column, Table

from paratopic.cli.project import (
    SHARES,
    SUGGEST,
    Project,
    check_out,
    next_steps,
    print_steps,
    read_project,
    typed,
)
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import read_parquet, row_numbers, texts_of, with_metadata
from paratopic.findings import groups
from paratopic.findings.groups import BORROWED, COUNT, Findings
from paratopic.findings.population import (
    Corpus,
    Counted,
    CrossPredictor,
    corpus_of,
    given_predictor,
)
from paratopic.findings.tables import Cells, as_text, change_table, number_table, share_table
from paratopic.findings.wording import (
    clustering,
    counting,
    further_labels,
    marks,
    method,
    notes,
    outlook,
    population,
    sentence,
)
from paratopic.inference.model import load
from paratopic.project import files
from paratopic.project.errors import UserError, in_short
from paratopic.project.files import APART, MODELS, PARAGRAPHS, PREDICTED, SCORES, UNLABELLED
from paratopic.project.terminal import bar, terminal
from paratopic.project.topics import Topics

# Paragraphs that are predicted between two steps of the progress bar.
STEP = 256
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
    _check(named, compare, of, outs, rows, texts)
    project = read_project()
    columns = project.columns(named)
    confidence, seed = project.params.evaluate.confidence, project.params.seed
    corpus = _corpus(project, predictor or [], of)
    corpus = corpus.for_new_articles() if new_articles else corpus
    copies = not distinct
    estimated = groups.find(corpus, columns, confidence, copies=copies, compare=compare, seed=seed)
    numbers = row_numbers(project.paragraphs)
    to_regress = groups.rows_to_regress(corpus, numbers, texts) if rows else None
    counted = bool((estimated.table["rests_on"] == COUNT).all())
    shown = "counted" if counted else f"{confidence:.0%} intervals"
    title = project.in_units(f"Shares of the {of}, {shown}")
    _print(estimated, columns, title)
    about = [counting(of, copies)]
    if not counted:
        about += [project.basis, method(corpus), population(corpus)]
    lines = [sentence(estimated, corpus, confidence), *outlook(estimated, corpus), *about]
    print(*map(project.in_units, [*notes(estimated), *lines]), sep="\n")
    below = [*map(project.in_units, [*marks(estimated), *about])]
    for path in outs:
        _write(path, estimated, columns, title, below)
        print(f"written: {path}")
    if rows and to_regress:
        outcomes, lacking = to_regress
        files.write_csv(rows, outcomes)
        print(f"written: {rows}. {clustering(corpus)}")
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


def _corpus(project: Project, columns: Sequence[str], counted: Counted) -> Corpus:
    """The corpus with predictions in columns of the project's tables, or else of its models."""
    topics, no_topic = project.params.topics, project.params.prepare.no_topic
    if not columns:
        return read_corpus(topics, project.champion, project.scores, counted)
    given = given_predictor(project.everything, columns, topics, no_topic)
    return corpus_of(project.paragraphs, project.everything, given, topics, counted)


def read_corpus(
    topics: Topics, champion: str, scores: pd.DataFrame, counted: Counted = "paragraphs"
) -> Corpus:
    """Read the project's paragraphs and labels, and predict what is not predicted yet.

    Parameters
    ----------
    champion, scores
        Name of the model that predicts, and its calibrated out-of-fold scores.

    Raises
    ------
    UserError
        The labels are no sample or too few, which nothing is predicted for; or a file cannot be
        read.
    """
    frame = read_labelled_paragraphs()
    unlabelled, apart = SCORES / champion / UNLABELLED, SCORES / champion / APART
    predictor = CrossPredictor(
        scores,
        read_parquet(unlabelled),
        read_parquet(apart) if apart.exists() else scores[:0],
        lambda ids: _predict(champion, frame, ids),
    )
    return corpus_of(frame, with_metadata(frame), predictor, topics, counted)


def _predict(champion: str, frame: pd.DataFrame, ids: Iterable[str]) -> npt.NDArray[np.float64]:
    """Probabilities of the distinct texts by the champion; kept, because they may take minutes."""
    model, texts = load(str(MODELS / champion)), texts_of(frame, ids)
    digest = f"{files.sha256(PARAGRAPHS)} {model.digest}"
    with suppress(OSError, pa.ArrowException):  # there is none, or it is damaged
        kept = pq.read_table(PREDICTED)
        if (kept.schema.metadata or {}).get(b"of") == digest.encode():
            return np.column_stack([column.to_numpy() for column in kept.columns])
    parts = []
    with bar("distinct paragraphs", len(texts)) as advance:
        for start in range(0, len(texts), STEP):
            parts.append(model.predict_proba(texts[start : start + STEP]))
            advance(min(start + STEP, len(texts)))
    predicted = np.concatenate(parts)
    table = pa.table({name: predicted[:, k] for k, name in enumerate(model.classes_)})
    # Where nothing can be written, it is predicted anew each time.
    with suppress(OSError), files.aside(PREDICTED) as draft:
        pq.write_table(table.replace_schema_metadata({"of": digest}), draft)
    return predicted


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
    for path in [*outs, *([rows] if rows else [])]:
        check_out(path)


def _draw(findings: Findings, columns: Sequence[str], corpus: Corpus) -> dict[str, str]:
    """The command that draws labels to narrow the intervals, first in groups that have none."""
    n, so = further_labels(findings, corpus)
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
