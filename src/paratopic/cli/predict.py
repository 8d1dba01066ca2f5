"""`paratopic predict`, and how the command line reads articles."""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.reading.article import Article, paragraphs_of, skipped_of
from paratopic.reading.files import SUFFIXES, find_files, read_file, read_text
from paratopic.serving import bulk

Files = Annotated[
    list[str],
    typer.Argument(
        help="Articles (.txt, .md, .html, .docx, .pdf), folders and globs; - reads standard input."
    ),
]

# Exit status where every row was written but some could not be answered.
SOME_ERRORS = 3


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Articles (.txt, .md, .html, .docx, .pdf); - reads standard input. With --out "
            "also tables (.csv, .jsonl, .parquet), folders and globs."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="A model's folder or MLflow URI; default: the champion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write here, every input in its own format.")
    ] = None,
    text: Annotated[str, typer.Option(help="Column of a table that holds its texts.")] = "text",
    resume: Annotated[bool, typer.Option(help="Go on where --out was broken off.")] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="What answers --out: this process, or a Ray cluster (RAY_ADDRESS)."),
    ] = "local",
) -> None:
    """Give the paragraphs of articles, or the rows of tables, their topics.

    With --out the exit status is 3 where rows could not be answered: their column error says why.
    """
    loaded = load(model)
    if out is not None:
        raise typer.Exit(_predict_files(loaded, paths, out, text, resume, engine))
    if engine != "local":
        raise UserError(f"--engine {engine}: name a folder for the answers (--out)")
    for path in paths:
        if Path(path).is_dir() or Path(path).suffix.lower() in (".csv", ".jsonl", ".parquet"):
            raise UserError(f"{path}: name a folder for the answers (--out)")
    for article in map(read_article, paths):
        paragraphs = paragraphs_of(article)
        answers = loaded.predict([paragraph.text for paragraph in paragraphs])
        if as_json:
            for paragraph, answer in zip(paragraphs, answers, strict=True):
                print(json.dumps(asdict(paragraph) | asdict(answer), ensure_ascii=False))
            continue
        table = Table("topic", "confidence", "paragraph", title=f"{article.name} ({loaded.kind})")
        for paragraph, answer in zip(paragraphs, answers, strict=True):
            table.add_row(
                "; ".join(answer.topics) or "–", f"{answer.confidence:.2f}", paragraph.text
            )
        Console().print(table)


def _predict_files(
    model: Model, paths: list[str], out: Path, text: str, resume: bool, engine: str
) -> int:
    """Predict files with progress on a terminal; returns the exit status."""
    inputs = bulk.find_inputs(paths)
    answering: AbstractContextManager[bulk.Engine] = nullcontext(bulk.local)
    if engine == "ray":
        from paratopic.serving import cluster

        answering = cluster.started()
    console = Console(stderr=True)
    started = time.monotonic()
    with (
        answering as answers,
        Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        ) as progress,
    ):
        task = progress.add_task("predict", total=1.0, rows=0, rate=0.0)
        first: list[int] = []  # rows that were there before, when work is resumed

        def advance(rows: int, share: float) -> None:
            first.append(rows) if not first else None
            rate = (rows - first[0]) / max(1e-9, time.monotonic() - started)
            progress.update(task, completed=share, rows=rows, rate=rate)

        done = bulk.predict_files(model, inputs, out, text, resume, advance, answers)
    print(f"{done.rows} rows of {len(inputs)} files in {out}, {done.errors} with an error")
    return SOME_ERRORS if done.errors else 0


def article_files(paths: list[str]) -> list[str]:
    """The files that paths, folders and globs name; what else folders hold is told on stderr."""
    found: list[str] = []
    for path in paths:
        some, others = ([], []) if path == "-" else find_files([path], SUFFIXES)
        found += ["-"] if path == "-" else map(str, some)
        for other, why in others:
            print(f"{other}: not read ({why})", file=sys.stderr)
    return found


def read_article(path: str) -> Article:
    """Read an article; what of it is no paragraph is told on stderr."""
    if path == "-":
        article = read_text("stdin", sys.stdin.buffer.read(), "standard input")
    else:
        article = read_file(Path(path))
    for part in skipped_of(article):
        print(f"{path}: skipped ({part.reason}): {part.text}", file=sys.stderr)
    return article
