"""The commands `paratopic predict` and `paragraphs`: models and articles.

The predictions come from `inference`, the files of --out from `bulk`. This module must not
import pandas, scikit-learn, torch or MLflow, which would slow down the start of the commands.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich import box
from rich.table import Column, Table
from rich.text import Text

from paratopic.bulk import jobs
from paratopic.bulk.formats import FORMATS, list_skipped
from paratopic.bulk.one_table import WRITERS, predict_table
from paratopic.inference.model import Model, load
from paratopic.inference.nearest import LabelledParagraphs, LikeParagraph
from paratopic.inference.prediction import Explanation, Prediction
from paratopic.project.errors import SOME_ERRORS, UserError, plural, shortened, signed
from paratopic.project.files import Paths, inert, printable, root_with
from paratopic.project.languages import language_of, others
from paratopic.project.terminal import bar, terminal, waiting
from paratopic.project.topics import NONE
from paratopic.reading.article import (
    Article,
    Paragraph,
    article_passages,
    paragraphs_of,
    skipped_of,
)
from paratopic.reading.article_files import (
    SUFFIXES,
    find_files,
    list_left_out,
    read_file,
    read_text,
)

log = logging.getLogger(__name__)


# Suffixes of the tables that are predicted.
TABLES = tuple(suffix for suffix in FORMATS if suffix not in SUFFIXES)

# Number of characters that are shown of a labelled paragraph.
N_CHARACTERS = 80

ModelOption = Annotated[
    str | None,
    typer.Option(help="A model's folder, MLflow URI or name on a hub; default: the champion."),
]


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help=f"Articles ({', '.join(SUFFIXES)}); - reads standard input. With --out also "
            f"tables ({', '.join(TABLES)}), folders and globs."
        ),
    ],
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    why: Annotated[
        bool,
        typer.Option(
            help="Show by how much the logit of the most probable topic falls without each "
            "sentence, and the most similar labelled paragraphs of the project."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results, with one file in the same format for each input; or one "
            "table for all of them (.csv, .xlsx, .parquet)."
        ),
    ] = None,
    text: Annotated[
        str, typer.Option(help="Name of a table's column that holds the texts.")
    ] = "text",
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run in --out.")] = False,
) -> None:
    """Predict topics for the paragraphs of articles, or for the rows of tables.

    With --out the exit status is 3 if some rows have an error; the column error says what is wrong.
    """
    if out is not None and (why or as_json):
        raise UserError("--why and --json are for articles on the terminal, without --out")
    if resume and out is None:
        raise UserError("--resume continues what --out names: name it")
    loaded = load(model)
    if out is not None:
        inputs, left_out = find_files(paths, FORMATS)
        list_left_out(left_out)
        raise typer.Exit(_predict_files(jobs.Job(loaded, inputs, text), out, resume))
    _check_articles(paths)
    root = root_with(Paths().paragraphs) if why else None
    labelled = labelled_paragraphs(Paths(root), loaded) if root else None
    for article in map(_read_article, paths):
        started = time.monotonic()
        rows = _rows(loaded, paragraphs_of(article), why, labelled)
        windows = sum(row.answer.windows for row in rows)
        seconds = time.monotonic() - started
        log.info("%d paragraphs, %d windows: %.2f s", len(rows), windows, seconds)
        if as_json:
            _print_json(rows)
        else:
            _print_table(f"{article.name} ({loaded.kind})", rows)
        if warning := _of_languages(loaded, Counter(row.language or "" for row in rows)):
            log.warning(warning)


def paragraphs(
    paths: Annotated[
        list[str],
        typer.Argument(
            help=f"Articles ({', '.join(SUFFIXES)}), folders and globs; - reads standard input."
        ),
    ],
) -> None:
    """Print lines for seeds/labels.csv; replace each "?" with the paragraph's topics."""
    from paratopic.labels.log import cell_of, first_words  # of the extra train

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names: set[str] = set()
    articles, left_out = find_files([path for path in paths if path != "-"], SUFFIXES)
    list_left_out(left_out)
    for path in [*map(str, articles), *(["-"] if "-" in paths else [])]:
        if Path(path).suffix.lower() in TABLES:
            raise UserError(
                f"{path} is a table: list it in prepare.sources of params.yaml, where a column may "
                "have its labels"
            )
        article = _read_article(path)
        if article.name in names:
            raise UserError(
                f"{path}: another file is also named {article.name}; rename one of them, because "
                "paragraph ids begin with the name"
            )
        names.add(article.name)
        for paragraph in paragraphs_of(article):
            writer.writerow([paragraph.id, cell_of(None), inert(first_words(paragraph.text))])


def _read_article(path: str) -> Article:
    """Read an article, - from standard input; its parts that are skipped are listed on stderr."""
    log.info("reading %s", "standard input" if path == "-" else path)
    if path == "-":
        article = read_text("stdin", sys.stdin.buffer.read(), "standard input")
    else:
        article = read_file(Path(path))
    list_skipped(path, skipped_of(article))
    return article


def _check_articles(paths: list[str]) -> None:
    """Refuse what is no file, and what only --out can do."""
    for path in map(Path, paths):
        if str(path) != "-" and not os.path.exists(path):  # `Path.exists` fails at long names
            name = shortened(printable(path), N_CHARACTERS)
            raise UserError(
                f"{name}: no such file. Check the name and the folder; or to predict a sentence, "
                'type `echo "A sentence." | paratopic predict -`'
            )
        if path.is_dir() or path.suffix.lower() in TABLES:
            kind = "folder" if path.is_dir() else "table"
            raise UserError(
                f"{path} is a {kind}, so name a table or a folder for the results (--out)"
            )


class _Row(NamedTuple):
    """A paragraph, its language if that is clear, and its prediction; the rest is for --why."""

    paragraph: Paragraph
    language: str | None
    answer: Prediction
    reason: Explanation | None = None
    nearest: Sequence[LikeParagraph] = ()


def _rows(
    model: Model, paragraphs: list[Paragraph], why: bool, labelled: LabelledParagraphs | None
) -> list[_Row]:
    texts = article_passages(paragraphs)
    languages = [language_of(paragraph.text) for paragraph in paragraphs]
    if not why:
        return list(map(_Row, paragraphs, languages, model.predict(texts)))
    reasons = [model.explain(text) for text in texts]
    answers = [reason.prediction for reason in reasons]
    alike = [labelled.nearest(text.text) if labelled else [] for text in texts]
    return list(map(_Row, paragraphs, languages, answers, reasons, alike))


def labelled_paragraphs(paths: Paths, model: Model | Path) -> LabelledParagraphs | None:
    """The labelled paragraphs of a project, if there are any.

    Where a model, or that in a folder, cannot compare them, a note on stderr says why.
    """
    try:
        from paratopic.corpus.labelled import read_labelled_paragraphs

        table = read_labelled_paragraphs(paths)
        rows = table[table["label"].notna()]
        if rows.empty:
            return None
        model = load(model) if isinstance(model, Path) else model
        with waiting("reading the labelled paragraphs"):
            columns = (list(rows[name]) for name in ("id", "label", "text"))
            return LabelledParagraphs(model, *columns)
    except (ImportError, UserError) as error:  # pandas is for training
        log.warning("note: similar labelled paragraphs are not shown: %s", error)
        return None


def _print_json(rows: Sequence[_Row]) -> None:
    for row in rows:
        line = asdict(row.paragraph) | asdict(row.answer) | {jobs.LANGUAGE: row.language}
        if row.reason is not None:
            line["why"] = asdict(row.reason) | {"nearest": list(map(asdict, row.nearest))}
            del line["why"]["prediction"]
        print(json.dumps(line, ensure_ascii=False))


def _print_table(title: str, rows: Sequence[_Row]) -> None:
    why = any(row.reason for row in rows)
    table = Table("topic", "confidence", "sure", "paragraph", title=title, show_lines=why)
    for paragraph, _, answer, reason, nearest in rows:
        topics = "; ".join(answer.topics) or NONE
        sure = "✓" if answer.sure else ""
        text = paragraph.text if reason is None else _reason(reason, nearest)
        table.add_row(topics, f"{answer.confidence:.2f}", sure, text)
    terminal().print(table)
    if not all(row.answer.topics for row in rows):
        print(f"Confidence at {NONE}: the probability of the most probable topic.")
    if why:
        print(
            "The number before a sentence is by how much the logit of the most probable topic "
            "falls without the sentence."
        )
        print("Rare topics are named from a lower probability on, so that they are found, too.")
    if any(row.nearest for row in rows):
        print(
            "Lines that begin with ≈ are the labelled paragraphs most similar to this one: "
            "similarity, topics, id."
        )


def _reason(reason: Explanation, nearest: Sequence[LikeParagraph]) -> Text:
    """Shares of the sentences and of what is around them, and the labelled texts most like it."""
    topic = reason.topic
    shares = [sentence.shares.get(topic, 0.0) for sentence in reason.sentences]
    lines = [
        Text(f"{signed(share, 2)} {sentence.text}", "bold" if share == max(shares) else "")
        for share, sentence in zip(shares, reason.sentences, strict=True)
    ]
    around = [f"{part} {signed(add.get(topic, 0.0), 2)}" for part, add in reason.context.items()]
    if around:
        lines.append(Text(f"context: {', '.join(around)}", "italic"))
    if topic and not reason.prediction.topics:
        has, needed = reason.prediction.confidence, reason.named_from[topic]
        line = f"No topic: {topic} has {has:.0%} and is named from {needed:.0%} on."
        lines.append(Text(line, "italic"))
    for near in nearest:
        topics = "; ".join(near.topics) or NONE
        words = shortened(near.text, N_CHARACTERS)
        line = f"≈ {near.similarity:.2f} {topics} ({near.id}): {words}"
        lines.append(Text(line, "dim"))
    return Text("\n").join(lines)


def _predict_files(job: jobs.Job, out: Path, resume: bool) -> int:
    """Predict files, and show progress; returns the exit status."""
    if not out.name:
        raise UserError(f'--out "{out}": name a table or a folder for the results')
    if Paths().params.exists():
        with suppress(ModuleNotFoundError):  # an install for prediction alone has no project
            from paratopic.cli.next_steps import check_out
            from paratopic.results.project import Project

            check_out(Project(), out)
    suffix = "" if out.is_dir() else out.suffix.lower()
    one_table = suffix in WRITERS
    if suffix in TABLES and not one_table:
        raise UserError(
            f"--out {out}: one table can be {', '.join(WRITERS)}; or name a folder, such as "
            f"{out.with_suffix('')}, for one file per input"
        )
    if one_table and resume:
        raise UserError(f"--out {out}: --resume works only with a folder; leave it out")
    if job.column.encode(errors="ignore").decode() != job.column:
        raise UserError(f"--text {job.column!r}: this name is not UTF-8, so no column has it")
    try:
        with bar("predict", 1) as show:

            def advance(rows: int, share: float) -> None:
                show(share, f"{rows:,} rows")

            if one_table:
                done = predict_table(job, out, advance)
            else:
                done = jobs.predict_files(job, out, resume, advance)
    except OSError as error:  # an input without permission to read it, a full disk
        remedy = f"continue the run with --resume; the results so far are in {out}"
        remedy = "run the command again" if one_table else remedy
        raise UserError(f"{error}: fix this, and {remedy}") from None
    files = plural(len(job.inputs), "file")
    print(f"{out}: {plural(done.rows, 'row')} from {files}, {done.errors} with an error")
    if done.counts:
        _print_counts(job.model, done)
    return SOME_ERRORS if done.errors else 0


def _print_counts(model: Model, done: jobs.Done) -> None:
    """Print how often each topic was predicted, beside its share of the labels held out."""
    texts = sum(done.counts)
    known = [f"{100 * share:.0f}" for share in model.calibration.shares]
    figures = (Column(x, justify="right") for x in ("count", "% of answers", "% of labels"))
    table = Table("answer", *figures, box=box.SIMPLE_HEAD)
    for name, count, of_labels in zip_longest([*model.classes_, "none"], done.counts, known):
        if count is not None:
            table.add_row(name, f"{count:,}", f"{100 * count / texts:.0f}", of_labels or "")
    terminal().print(table)
    print(
        "These counts are not the true shares of the topics, because models miss rare topics. "
        "`paratopic shares` estimates the shares in a project's paragraphs."
    )
    if warning := _of_languages(model, done.languages):
        print(warning)
    # Where the project whose model this is has other texts, labels or settings now.
    if Paths().prepared.exists():
        with suppress(ModuleNotFoundError):  # an install for prediction alone trains no models
            from paratopic.cli.next_steps import note_changes
            from paratopic.results.project import Project

            note_changes(Project(), model.folder)
    print(
        f"By the model's own probabilities, about {done.right / texts:.0%} of these answers are "
        "right, if the texts are new to it and like the labelled ones."
    )


def _of_languages(model: Model, counts: Mapping[str, int]) -> str:
    """A warning if some texts, counted by language, are in one that the model is not for, or ""."""
    unread = others(counts, model.languages, "texts", "the model is for")
    return f"warning: {unread}: do not rely on the answers for them." if unread else ""
