"""`paratopic paragraphs`, `suggest`, `label`, `import` and `review`."""

from __future__ import annotations

import csv
import getpass
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from paratopic.annotation.context import Suggestion
from paratopic.cli.predict import SOME_ERRORS, Files, article_files, read_article
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.labels.log import Label
from paratopic.project.errors import UserError
from paratopic.project.params import Params
from paratopic.reading.article import paragraphs_of

if TYPE_CHECKING:
    import pandas as pd

Model_ = Annotated[
    str | None,
    typer.Option("--model", help="Which suggests; default: the transformer, else the champion."),
]


def paragraphs(paths: Files) -> None:
    """Print lines for seeds/labels.csv, a "?" in place of the topics that a person has to give."""
    from paratopic.labels.log import UNDECIDED, first_words

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names: set[str] = set()
    for path in article_files(paths):
        article = read_article(path)
        if article.name in names:
            raise UserError(f"{path}: another file is named {article.name} too: rename one of them")
        names.add(article.name)
        for paragraph in paragraphs_of(article):
            text = first_words(paragraph.text)
            writer.writerow([paragraph.id, UNDECIDED, text])


def suggest(
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs.")] = 50,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Tasks for Label Studio (.json), doccano (.jsonl) or a spreadsheet (.csv)."
        ),
    ] = None,
    model: Model_ = None,
) -> None:
    """Pick the unlabelled paragraphs that are most worth labelling next.

    Without --out they are printed as CSV; `paratopic label` opens them in a browser.
    """
    from paratopic.annotation import formats

    params, frame, lines = _project()
    chosen, kind = _suggestions(params, frame, lines, n, model)
    if out is None:
        sys.stdout.write(formats.sheet(chosen))
        return
    written = formats.write_tasks(out, chosen, params.topics, kind)
    print(f"{len(chosen)} paragraphs to label: {', '.join(map(str, written))}")


def import_labels(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Label Studio's JSON export, CSV, or doccano's JSONL export."),
    ],
    annotator: Annotated[
        str | None, typer.Option(help="Whose labels name nobody; default: the file's name.")
    ] = None,
) -> None:
    """Add the labels that people gave elsewhere to the labels' file.

    The order of files does not matter, and what is there already is not added again. The exit
    status is 3 where some of a file's labels could not be taken: each is told by its line or task.
    """
    from paratopic.annotation import formats
    from paratopic.labels.answers import merge

    params, frame, _ = _project()
    target = _labels_file(params)
    order = {identity: rank for rank, identity in enumerate(frame["id"])}
    problems = 0
    for path in paths:
        found = formats.read_answers(path, frame, params.topics)
        done = merge(target, found.labels, annotator or path.stem, order, params.topics)
        for problem in found.problems:
            print(problem, file=sys.stderr)
        for dispute in done.disputes:
            print(f"disputed: {dispute}")
        left_out = "".join(f", {count} {why}" for why, count in sorted(found.left_out.items()))
        print(
            f"{path}: {done.added} new labels in {target}, {done.known} known, "
            f"{len(done.disputes)} disputed, {len(found.problems)} not taken{left_out}"
        )
        problems += len(found.problems)
    raise typer.Exit(SOME_ERRORS if problems else 0)


def label(
    path: Annotated[
        Path | None,
        typer.Argument(help="CSV with the paragraphs to label (`paratopic suggest`)."),
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs, without a file.")] = 50,
    annotator: Annotated[
        str, typer.Option(help="Who labels; default: the name you are logged in with.")
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    model: Model_ = None,
) -> None:
    """Label paragraphs by keyboard, on a page that only this machine can open."""
    from paratopic.annotation import formats, page
    from paratopic.annotation.context import in_context

    params, frame, lines = _project()
    if path is None:
        items, _ = _suggestions(params, frame, lines, n, model)
    else:
        ids = formats.ids(path, frame)
        answers = _asked(model).predict(frame.set_index("id")["text"][ids])
        items = in_context(frame, ids, [answer.scores for answer in answers])
    if not items:
        raise UserError("there is nothing to label: every paragraph of the sources has a label")
    session = page.Session(
        _labels_file(params), annotator or getpass.getuser(), items, params.topics
    )
    page.serve(session, port)


def _project() -> tuple[Params, pd.DataFrame, list[Label]]:
    """The params, the paragraph table and the lines of labels.csv as they are now."""
    from paratopic.corpus.table import read_paragraphs
    from paratopic.labels.log import read_lines
    from paratopic.project.params import read_params

    pass

    params, table = read_params(), Path("data/paragraphs.parquet")
    if not table.exists():
        raise UserError(f"{table} not found: `dvc repro prepare` makes it")
    path = None if params.prepare.labels is None else Path(params.prepare.labels)
    lines = read_lines(path) if path and path.exists() else []
    return params, read_paragraphs(table), lines


def _labels_file(params: Params) -> Path:
    if params.prepare.labels is None:
        raise UserError("params.yaml names no labels' file: set prepare.labels")
    return Path(params.prepare.labels)


def _suggestions(
    params: Params, frame: pd.DataFrame, lines: list[Label], n: int, model: str | None
) -> tuple[list[Suggestion], str]:
    from paratopic.annotation import suggestion
    from paratopic.labels.answers import current

    loaded = _asked(model)
    judged = {line.paragraph for line in current(lines)}
    embed = partial(suggestion.embed_texts, loaded, device=params.transformer.device)
    with Console(stderr=True).status("reading the unlabelled paragraphs"):  # on a terminal
        return suggestion.suggest(frame, judged, loaded, embed, n, params.seed), loaded.kind


def _asked(model: str | None) -> Model:
    """The model that suggests: the transformer where there is one, as it knows the definitions."""
    transformer = Path("models/transformer")
    return load(model or (transformer if transformer.is_dir() else None))


def review(
    n: Annotated[int, typer.Option(help="List at most this many.", min=1)] = 50,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write them here too, to be labelled again: .json (Label Studio), .jsonl "
            "(doccano) or .csv (a spreadsheet, `paratopic label`)."
        ),
    ] = None,
) -> None:
    """List the hand labels that are doubtful, the most doubtful first, and why.

    Reasons: out-of-fold scores contradict the label, a near-duplicate is labelled otherwise, or no
    topic is probable. What --out writes does not tell the label: who labels again judges anew.
    """
    from paratopic.annotation import formats
    from paratopic.annotation.context import in_context
    from paratopic.annotation.review import rank_doubtful, read_scores
    from paratopic.labels.log import first_words

    pass

    params, frame, _ = _project()
    rows, scores = read_scores(params.models, params.topics)
    found = rank_doubtful(rows, scores, params.topics)
    doubtful = found[found["reason"] != ""]
    shown = doubtful.head(n)
    console = Console()
    table = Table("paragraph", "label", "suggestion", "confidence", "reason")
    for line in shown.to_dict("records"):
        table.add_row(
            first_words(line["text"]),
            line["topics"].replace(";", "; ") or "–",
            line["suggestion"] or "–",
            f"{line['confidence']:.2f}",
            line["reason"],
        )
    if len(doubtful):
        console.print(table)
    print(f"{len(doubtful)} of {len(rows)} hand labels are doubtful, {len(shown)} listed")
    if out is not None:
        said = [
            {line["suggestion"]: line["confidence"]} if line["suggestion"] else {}
            for line in shown.to_dict("records")
        ]
        again = in_context(frame, list(shown["paragraph"]), said, list(shown["reason"]))
        written = formats.write_tasks(out, again, params.topics, " and ".join(params.models))
        print(f"to be labelled again: {', '.join(map(str, written))}")
