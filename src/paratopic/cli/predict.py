"""The commands `paratopic predict` and `paragraphs`.

This module must not import pandas, scikit-learn, torch or MLflow, which take long to load.
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
from paratopic.bulk.formats import FORMATS, log_skipped
from paratopic.bulk.one_table import WRITERS, predict_table
from paratopic.inference.model import Model, load
from paratopic.inference.nearest import LabelledParagraphs, SimilarParagraph
from paratopic.inference.prediction import Explanation, Prediction
from paratopic.project.errors import SOME_ERRORS, UserError, plural, shortened, signed
from paratopic.project.files import Paths, escape_formula, find_root, printable
from paratopic.project.languages import detect_language, language_note
from paratopic.project.terminal import progress_bar, show_status, stdout_console
from paratopic.project.topics import NO_TOPIC_SHORT
from paratopic.reading.article import Article, Paragraph, paragraphs_of, passages_of, skipped_of
from paratopic.reading.article_files import SUFFIXES, find_files, log_left_out, read_file, read_text

log = logging.getLogger(__name__)

TABLES = tuple(suffix for suffix in FORMATS if suffix not in SUFFIXES)  # Suffixes of tables.
N_CHARACTERS = 80  # Characters of a labelled paragraph that are shown.
MOST_SHOWN = 200  # Characters of a predicted paragraph that are shown.

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
        log_left_out(left_out)
        raise typer.Exit(_predict_files(jobs.Job(loaded, inputs, text), out, resume))
    _check_articles(paths)
    root = find_root(Paths().paragraphs) if why else None
    labelled = labelled_paragraphs(Paths(root), loaded) if root else None
    for article in map(_read_article, paths):
        started = time.monotonic()
        rows = _predict_article(loaded, paragraphs_of(article), why, labelled)
        windows = sum(row.prediction.windows for row in rows)
        seconds = time.monotonic() - started
        log.info("%d paragraphs, %d windows: %.2f s", len(rows), windows, seconds)
        if as_json:
            _print_json(rows)
        else:
            _print_table(f"{article.name} ({loaded.kind})", rows)
        if warning := _language_warning(loaded, Counter(row.language or "" for row in rows)):
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
    from paratopic.labels.log import cell_of, first_words  # It needs the extra train.

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names: set[str] = set()
    articles, left_out = find_files([path for path in paths if path != "-"], SUFFIXES)
    log_left_out(left_out)
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
            words = escape_formula(first_words(paragraph.text))
            writer.writerow([paragraph.id, cell_of(None), words])


def _read_article(path: str) -> Article:
    """Read an article (- for standard input), and log skipped parts; UserError if unreadable."""
    log.info("reading %s", "standard input" if path == "-" else path)
    if path == "-":
        article = read_text("stdin", sys.stdin.buffer.read(), "standard input")
    else:
        article = read_file(Path(path))
    log_skipped(path, skipped_of(article))
    return article


def _check_articles(paths: list[str]) -> None:
    """Raise a UserError for a missing file, and for folders and tables, which need --out."""
    for path in map(Path, paths):
        if str(path) != "-" and not os.path.exists(path):  # `Path.exists` fails for long names.
            name = shortened(printable(path), N_CHARACTERS)
            raise UserError(
                f"{name}: no such file. Check the name and the folder; or to predict a sentence, "
                'type `echo "A sentence." | paratopic predict -`'
            )
        if path.is_dir() or path.suffix.lower() in TABLES:
            kind = "folder" if path.is_dir() else "table"
            raise UserError(
                f"{path} is a {kind}, so name a table or folder for the results: --out results.csv"
                + " --text COLUMN" * (kind == "table")
            )


class _Row(NamedTuple):
    """A paragraph, its language if that is clear, and its prediction; the rest is for --why."""

    paragraph: Paragraph
    language: str | None
    prediction: Prediction
    explanation: Explanation | None = None
    nearest: Sequence[SimilarParagraph] = ()


def _predict_article(
    model: Model, paragraphs: list[Paragraph], why: bool, labelled: LabelledParagraphs | None
) -> list[_Row]:
    """A row for each paragraph; if `why`, with explanation and the most similar of `labelled`."""
    passages = passages_of(paragraphs)
    languages = [detect_language(paragraph.text) for paragraph in paragraphs]
    if not why:
        return list(map(_Row, paragraphs, languages, model.predict(passages)))
    explanations = [model.explain(passage) for passage in passages]
    predictions = [explanation.prediction for explanation in explanations]
    nearest = [labelled.nearest(passage.text) if labelled else [] for passage in passages]
    return list(map(_Row, paragraphs, languages, predictions, explanations, nearest))


def labelled_paragraphs(paths: Paths, model: Model | Path) -> LabelledParagraphs | None:
    """Index a project's labelled paragraphs, by hand or weak, to find those similar to a text.

    The result is None if nothing is labelled or, with a note, if tables or model cannot be read.
    """
    try:
        from paratopic.corpus.labelled import read_labelled_paragraphs

        table = read_labelled_paragraphs(paths)
        rows = table[table["label"].notna()]
        if rows.empty:
            return None
        model = load(model) if isinstance(model, Path) else model
        with show_status("reading the labelled paragraphs"):
            ids, labels, texts = list(rows["id"]), list(rows["label"]), list(rows["text"])
            return LabelledParagraphs(model, ids, labels, texts)
    except (ImportError, UserError) as error:  # An install only for prediction lacks pandas.
        log.warning("note: similar labelled paragraphs are not shown: %s", error)
        return None


def _print_json(rows: Sequence[_Row]) -> None:
    for row in rows:
        line = asdict(row.paragraph) | asdict(row.prediction) | {jobs.LANGUAGE: row.language}
        if row.explanation is not None:
            line["why"] = asdict(row.explanation) | {"nearest": list(map(asdict, row.nearest))}
            del line["why"]["prediction"]
        print(json.dumps(line, ensure_ascii=False))


def _print_table(title: str, rows: Sequence[_Row]) -> None:
    """Print topics, confidence, sure (✓) and text or explanation of each row, then a legend."""
    why = any(row.explanation for row in rows)
    table = Table("topic", "confidence", "sure", "paragraph", title=title, show_lines=why)
    for paragraph, _, prediction, explanation, nearest in rows:
        topics = "; ".join(prediction.topics) or NO_TOPIC_SHORT
        sure = "✓" if prediction.sure else ""
        words = Text(shortened(paragraph.text, MOST_SHOWN))
        text = _explanation_text(explanation, nearest) if explanation else words
        table.add_row(topics, f"{prediction.confidence:.2f}", sure, text)
    stdout_console().print(table)
    if not all(row.prediction.topics for row in rows):
        print(f"Confidence at {NO_TOPIC_SHORT}: the probability of the most probable topic.")
    if why:
        print(
            "The number before a sentence is by how much the logit of the most probable topic "
            "falls without the sentence."
        )
    named = [row.prediction for row in rows if row.prediction.topics]
    if why or any(prediction.confidence < 0.5 for prediction in named):
        print(
            "Rare topics are named from a lower probability on, so that they are found, too: the "
            "model's card has these probabilities."
        )
    if any(row.nearest for row in rows):
        print(
            "Lines that begin with ≈ are the labelled paragraphs most similar to this one: "
            "similarity, topics, id."
        )


def _explanation_text(explanation: Explanation, nearest: Sequence[SimilarParagraph]) -> Text:
    """A line for each sentence with its share in the topic's logit, then context and `nearest`."""
    topic = explanation.topic
    shares = [sentence.shares.get(topic, 0.0) for sentence in explanation.sentences]
    lines = [
        Text(f"{signed(share, 2)} {sentence.text}", "bold" if share == max(shares) else "")
        for share, sentence in zip(shares, explanation.sentences, strict=True)
    ]
    parts = explanation.context.items()
    context = [f"{name} {signed(logits.get(topic, 0.0), 2)}" for name, logits in parts]
    if context:
        lines.append(Text(f"context: {', '.join(context)}", "italic"))
    if topic and not explanation.prediction.topics:
        probability, threshold = explanation.prediction.confidence, explanation.named_from[topic]
        line = f"No topic: {topic} has {probability:.0%} and is named from {threshold:.0%} on."
        lines.append(Text(line, "italic"))
    for near in nearest:
        topics = "; ".join(near.topics) or NO_TOPIC_SHORT
        words = shortened(near.text, N_CHARACTERS)
        line = f"≈ {near.similarity:.2f} {topics} ({near.id}): {words}"
        lines.append(Text(line, "dim"))
    return Text("\n").join(lines)


def _predict_files(job: jobs.Job, out: Path, resume: bool) -> int:
    """Predict files into one table, if `out` ends in one of `WRITERS`, or else into a folder.

    Totals are printed. The result is 0, or 3 if rows have errors. A UserError refuses an `out` that
    the project uses or that ends in .jsonl, `resume` for a table, and files that cannot be used.
    """
    if not out.name:
        raise UserError(f'--out "{out}": name a table or a folder for the results')
    if Paths().params.exists():
        with suppress(ModuleNotFoundError):  # An install only for prediction has no projects.
            from paratopic.cli.next_steps import check_out
            from paratopic.results.project import Project

            check_out(Project(), out)
    suffix = "" if out.is_dir() else out.suffix.lower()
    is_one_table = suffix in WRITERS
    if suffix in TABLES and not is_one_table:
        raise UserError(
            f"--out {out}: one table can be {', '.join(WRITERS)}; or name a folder, such as "
            f"{out.with_suffix('')}, for one file per input"
        )
    if is_one_table and resume:
        raise UserError(f"--out {out}: --resume works only with a folder; leave it out")
    if job.column.encode(errors="ignore").decode() != job.column:
        raise UserError(f"--text {job.column!r}: this name is not UTF-8, so no column has it")
    try:
        with progress_bar("predict", 1) as show:

            def advance(rows: int, share: float) -> None:
                show(share, f"{rows:,} rows")

            if is_one_table:
                done = predict_table(job, out, advance)
            else:
                done = jobs.predict_files(job, out, resume, advance)
    except OSError as error:  # An input is not readable, or the disk is full.
        remedy = f"continue the run with --resume; the results so far are in {out}"
        remedy = "run the command again" if is_one_table else remedy
        raise UserError(f"{error}: fix this, and {remedy}") from None
    files = plural(len(job.inputs), "file")
    place = f"{out}" if is_one_table else f"folder {out}"
    print(f"{place}: {plural(done.rows, 'row')} from {files}, {done.errors} with an error")
    if done.counts:
        _print_counts(job.model, done)
    return SOME_ERRORS if done.errors else 0


def _print_counts(model: Model, done: jobs.Progress) -> None:
    """Print counts (not empty) and shares of predicted outcomes, shares of labels, and caveats."""
    n_texts = sum(done.counts)
    # A topic without a share has no label that the model was measured with.
    shares = model.calibration.shares
    label_shares = [f"{100 * share:.0f}" if share else "–" for share in shares]
    headings = ("count", "% of answers", "% of labels")
    columns = [Column(heading, justify="right") for heading in headings]
    table = Table("answer", *columns, box=box.SIMPLE_HEAD)
    names = [*model.classes_, "none"]
    for name, count, label_share in zip_longest(names, done.counts, label_shares):
        if count is not None:
            share = f"{100 * count / n_texts:.0f}"
            table.add_row(name, f"{count:,}", share, label_share or "")
    stdout_console().print(table)
    print(
        "These counts are not the true shares of the topics, because models miss rare topics. "
        "`paratopic shares` estimates the shares in a project's paragraphs."
    )
    if warning := _language_warning(model, done.languages):
        print(warning)
    # A project's own model may be older than its texts, labels or settings.
    if Paths().prepared.exists():
        with suppress(ModuleNotFoundError):  # An install only for prediction has no projects.
            from paratopic.cli.next_steps import note_changes
            from paratopic.results.project import Project

            note_changes(Project(), model.folder)
    print(
        f"By the model's own probabilities, about {done.right / n_texts:.0%} of these answers are "
        "right, if the texts are new to it and like the labelled ones. Do not rely on this before "
        "about 300 labels name a topic."
    )


def _language_warning(model: Model, counts: Mapping[str, int]) -> str:
    """A warning if some texts, counted by language, are in one that the model is not for, or ""."""
    note = language_note(counts, model.languages, "texts", "the model is for")
    return f"warning: {note}: do not rely on the answers for them." if note else ""
