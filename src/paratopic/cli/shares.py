"""The command `paratopic shares`: how much of the project's paragraphs is about what."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich import box
from rich.table import Column, Table

from paratopic.cli.project import (
    DRAW,
    SAMPLE,
    SHARES,
    SUGGEST,
    Project,
    check_out,
    next_steps,
    print_steps,
    read_champion,
    read_project,
)
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import read_parquet, texts_of, with_metadata
from paratopic.findings import groups
from paratopic.findings.groups import BORROWED, COUNT, Findings
from paratopic.findings.population import Corpus, Counted, corpus_of
from paratopic.findings.predictors import CrossPredictor, given_predictor
from paratopic.findings.wording import (
    clustering,
    counting,
    lacking,
    method,
    notes,
    outlook,
    percent,
    population,
    sentence,
)
from paratopic.inference.loading import load
from paratopic.inference.scores import Scores
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.files import APART, MODELS, PARAGRAPHS, PREDICTED, SCORES, UNLABELLED
from paratopic.project.passages import Passage
from paratopic.project.terminal import bar, terminal
from paratopic.project.topics import Topics

# Paragraphs that are predicted between two steps of the progress bar.
STEP = 256
SUFFIXES = (".csv", ".json", ".png", ".svg")
# Decimals of what is written.
DECIMALS = 6
# More outcomes than this are lines of the table, not columns.
MOST_ACROSS = 6


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
            show_default=False,
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
        typer.Option(help="File to write: .csv, .json, .png or .svg; repeat for several."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Write a table (.csv) for regressions: a row for each paragraph or article, with "
            "metadata and, for each topic, an outcome corrected with the labels."
        ),
    ] = None,
) -> None:
    """Estimate how much of the project is about each topic, with confidence intervals.

    All paragraphs of the project count. The labels of paragraphs drawn at random correct the
    predictions (`paratopic label --random`). For shares of articles, draw whole ones (--articles).
    """
    named, outs = by or [], out or []
    _check(named, compare, of, outs, rows)
    project = read_project()
    columns = project.columns(named)
    confidence, seed = project.params.evaluate.confidence, project.params.seed
    corpus = _corpus(project, predictor or [], of)
    corpus = corpus.for_new_articles() if new_articles else corpus
    copies = not distinct
    estimated = groups.find(corpus, columns, confidence, copies=copies, compare=compare, seed=seed)
    outcomes = groups.rows_to_regress(corpus) if rows else None
    terminal().print(_table(estimated, columns, corpus, confidence))
    cited = sentence(estimated, corpus, confidence)
    counted = bool((estimated.table["rests_on"] == COUNT).all())
    lines = [*notes(estimated), cited, *outlook(estimated, corpus), counting(of, copies)]
    if not counted:
        lines += [project.basis, method(corpus), population(corpus)]
    print(*lines, sep="\n")
    shown = "counted" if counted else f"{confidence:.0%} intervals"
    if (estimated.table["rests_on"] == BORROWED).any():
        doubted = "" if estimated.errs_alike else ", and labels contradict them"
        shown += f" (hollow points have none{doubted})"
    title = f"Shares of the {of}, {shown}"
    for path in outs:
        _write(path, estimated, columns, title)
        print(f"written: {path}")
    if rows and outcomes is not None:
        files.write_csv(rows, outcomes)
        print(f"written: {rows}; {clustering(corpus)}")
    steps = next_steps(project)
    steps.pop(SHARES, None)
    if not outs:
        options = [f" --predictor {quote(name)}" for name in predictor or []]
        options += [f" --by {quote(name)}" for name in named]
        options += [] if of == "paragraphs" else [f" --of {of}"]
        options += [" --new-articles"] if new_articles else []
        again = f"{SHARES}{''.join(options)} --out shares.csv --out shares.png"
        steps[again] = "write the table, and a picture"
    if steps.pop(SUGGEST, None):
        steps[_draw(estimated, named, of)] = "narrow the intervals"
    print_steps(steps)


def _corpus(project: Project, columns: Sequence[str], counted: Counted) -> Corpus:
    """The corpus with predictions in columns of the project's tables, or else of its models."""
    topics, no_topic = project.params.topics, project.params.prepare.no_topic
    if not columns:
        return read_corpus(topics, *read_champion(), counted)
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
        lambda ids: _predict(champion, texts_of(frame, ids)),
    )
    return corpus_of(frame, with_metadata(frame), predictor, topics, counted)


def _predict(champion: str, texts: Sequence[Passage]) -> Scores:
    """Probabilities of the distinct texts by the champion; kept, because they may take minutes."""
    model = load(str(MODELS / champion))
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
    if rows in outs:
        raise UserError(f"--rows {rows}: --out names the same file")
    for path in [*outs, *([rows] if rows else [])]:
        check_out(path)


def _draw(findings: Findings, columns: Sequence[str], of: Counted) -> str:
    """The command that draws labels to narrow the intervals, first in groups that have none."""
    if of == "articles":
        return "paratopic label --random --articles"
    if len(columns) != 1:
        return DRAW
    n = sum(lacking(findings).values()) or SAMPLE
    return f"paratopic label --random --by {quote(columns[0])} --n {n}"


def _table(findings: Findings, columns: Sequence[str], corpus: Corpus, confidence: float) -> Table:
    """A line for each group, or for each topic if there is one group or are many topics."""
    by_group = columns and len(corpus.outcomes) <= MOST_ACROSS
    names = map(groups.short, corpus.outcomes)
    keys = [*columns] if by_group else [*columns, "topic"]
    figures = [*names, "labels"] if by_group else ["share", "labels"]
    shown = Table(
        *keys,
        *(Column(name, justify="right") for name in figures),
        title=f"% of {corpus.counted}, {confidence:.0%} intervals",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for _, part in findings.table.groupby(keys, sort=False):
        lines = part.to_dict("records")
        first = lines[0]
        key, n = [str(first[name]) for name in keys], first.get("paragraphs", first["articles"])
        shown.add_row(*key, *map(_cell, lines), f"{first['labels']:,} of {n:,}")
    return shown


def _cell(row: Mapping[Hashable, Any]) -> str:
    if row["share"] != row["share"]:  # NaN: nothing tells of it
        return "–"
    value, low, high = (percent(row[name]) for name in ("share", "low", "high"))
    if row["rests_on"] == COUNT:
        return f"{value}="
    if row["low"] == row["low"]:  # not NaN
        return f"{value} ({low}–{high})"
    return f"{value}{'*' if row['rests_on'] == BORROWED else ''}"


def _write(path: Path, findings: Findings, columns: Sequence[str], title: str) -> None:
    suffix = path.suffix.lower()
    if not findings.errs_alike:
        contradicted = {BORROWED: f"{BORROWED}; labels contradict that: do not report"}
        findings = replace(findings, table=findings.table.replace({"rests_on": contradicted}))
    if suffix == ".csv":
        files.write_csv(path, findings.table.round(DECIMALS))
    elif suffix == ".json":
        tables = {"shares": findings.table, "changes": findings.changes}
        lines = {
            name: table.astype(object).where(table.notna(), None).to_dict("records")
            for name, table in tables.items()
        }
        files.write_json(path, {"about": title, **lines})
    else:
        from paratopic.findings.figures import plot_shares

        plot_shares(path, findings, columns, title)
