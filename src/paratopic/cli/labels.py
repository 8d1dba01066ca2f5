"""The commands of the labelling loop: `paragraphs`, `suggest`, `label`, `import` and `review`.

What is worth labelling, and what files look like, is decided in `annotation`; which labels count,
in `labels`. Both need packages that take seconds to import: commands import them when they run.
"""

from __future__ import annotations

import csv
import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from paratopic.cli.predict import SOME_ERRORS, Files, ModelName, article_files, read_article
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.labels.log import Label
from paratopic.project.errors import UserError
from paratopic.project.params import Params
from paratopic.project.paths import PARAGRAPHS
from paratopic.reading.article import paragraphs_of

if TYPE_CHECKING:
    import pandas as pd

    from paratopic.annotation.context import Suggestion

Count = Annotated[int, typer.Option(min=1, help="How many paragraphs.")]
Tasks = Annotated[
    Path | None,
    typer.Option(
        help="Write tasks for Label Studio (.json), doccano (.jsonl) or a spreadsheet (.csv)."
    ),
]
Again = Annotated[
    Path | None,
    typer.Option(
        help="Write the listed paragraphs to a file, to be labelled again: .json (Label Studio), "
        ".jsonl (doccano) or .csv (a spreadsheet, `paratopic label`).",
    ),
]
Exports = Annotated[
    list[Path],
    typer.Argument(help="Label Studio's JSON export, CSV, or doccano's JSONL export."),
]
DefaultAnnotator = Annotated[
    str | None,
    typer.Option(help="Annotator of labels that name none; default: the file's name."),
]
Sheet = Annotated[
    Path | None,
    typer.Argument(help="CSV with the paragraphs to label (from `paratopic suggest`)."),
]
Annotator = Annotated[str, typer.Option(help="Who labels; default: your login name.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")]


@dataclass(frozen=True)
class Project:
    """The project in the current directory, as stage prepare left it.

    Parameters
    ----------
    params
        From params.yaml.
    paragraphs
        The paragraph table.
    lines
        All lines of labels.csv, as the file is now.
    """

    params: Params
    paragraphs: pd.DataFrame
    lines: list[Label]

    @property
    def labels_file(self) -> Path:
        """The file that new labels are added to."""
        if self.params.prepare.labels is None:
            raise UserError("params.yaml names no file of labels: set prepare.labels")
        return Path(self.params.prepare.labels)


def paragraphs(paths: Files) -> None:
    """Print lines for seeds/labels.csv; replace each "?" by the paragraph's topics."""
    from paratopic.labels.log import UNDECIDED, first_words

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names: set[str] = set()
    for path in article_files(paths):
        article = read_article(path)
        if article.name in names:
            raise UserError(
                f"{path}: another file is also named {article.name}; rename one of them, because "
                "paragraph ids begin with the name"
            )
        names.add(article.name)
        for paragraph in paragraphs_of(article):
            writer.writerow([paragraph.id, UNDECIDED, first_words(paragraph.text)])


def suggest(n: Count = 50, out: Tasks = None, model: ModelName = None) -> None:
    """Pick the unlabelled paragraphs that are most worth labelling next.

    Without --out they are printed as CSV; `paratopic label` opens them in a browser.
    """
    from paratopic.annotation import formats

    project, suggesting = _read_project(), load(model)
    suggestions = _suggestions(project, suggesting, n)
    if out is None:
        sys.stdout.write(formats.sheet(suggestions))
        return
    written = formats.write_tasks(out, suggestions, project.params.topics, suggesting.kind)
    print(f"{len(suggestions)} paragraphs to label: {', '.join(map(str, written))}")


def import_labels(paths: Exports, annotator: DefaultAnnotator = None) -> None:
    """Add labels that people gave elsewhere to the project's labels.csv.

    The order of the files does not matter, and labels that are already there are not added again.
    Rows with an unknown paragraph or topic are reported by line or task; all other rows are
    imported. The exit status is then 3.
    """
    project = _read_project()
    ranks = {id_: rank for rank, id_ in enumerate(project.paragraphs["id"])}
    problems = sum(_import_file(project, path, annotator or path.stem, ranks) for path in paths)
    raise typer.Exit(SOME_ERRORS if problems else 0)


def label(
    path: Sheet = None,
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs, if no file is given.")] = 50,
    annotator: Annotator = "",
    port: Port = 8765,
    model: ModelName = None,
) -> None:
    """Label paragraphs by keyboard, on a page that only this machine can open."""
    from paratopic.annotation import formats, page
    from paratopic.annotation.context import in_context

    project = _read_project()
    if path is None:
        suggestions = _suggestions(project, load(model), n)
    else:
        ids = formats.read_ids(path, project.paragraphs)
        texts = project.paragraphs.set_index("id")["text"][ids]
        answers = load(model).predict(texts)
        suggestions = in_context(project.paragraphs, ids, [answer.scores for answer in answers])
    if not suggestions:
        raise UserError("there is nothing to label: every paragraph of the sources has a label")
    name, topics = annotator or getpass.getuser(), project.params.topics
    page.serve(page.Session(project.labels_file, name, suggestions, topics), port)


def review(
    n: Annotated[int, typer.Option(min=1, help="List at most this many.")] = 50, out: Again = None
) -> None:
    """List the hand labels that are doubtful, the most doubtful first, and why.

    Reasons: out-of-fold scores contradict the label, a near-duplicate has another label, or no
    topic is probable. The file of --out does not show the label: whoever labels again decides anew.
    """
    from paratopic.annotation.review import rank_doubtful, read_scores

    project = _read_project()
    models, topics = project.params.models, project.params.topics
    rows, scores = read_scores(models, topics)
    ranked = rank_doubtful(rows, scores, topics)
    doubtful = ranked[ranked["reason"] != ""]
    listed = doubtful.head(n)
    if len(doubtful):
        Console().print(_doubtful_table(listed))
    print(f"{len(doubtful)} of {len(rows)} hand labels are doubtful, {len(listed)} listed")
    if out is not None:
        _write_again(project, listed, out)


def _read_project() -> Project:
    from paratopic.corpus.table import read_paragraphs
    from paratopic.labels.log import read_lines
    from paratopic.project.params import read_params

    params = read_params()
    if not PARAGRAPHS.exists():
        raise UserError(f"{PARAGRAPHS} not found: `dvc repro prepare` creates it")
    path = None if params.prepare.labels is None else Path(params.prepare.labels)
    lines = read_lines(path) if path and path.exists() else []
    return Project(params, read_paragraphs(PARAGRAPHS), lines)


def _suggestions(project: Project, model: Model, n: int) -> list[Suggestion]:
    from paratopic.annotation import suggestion
    from paratopic.labels.answers import current

    judged = {line.paragraph for line in current(project.lines)}
    embed = partial(suggestion.embed_texts, model, device=project.params.transformer.device)
    with Console(stderr=True).status("reading the unlabelled paragraphs"):  # on a terminal only
        return suggestion.suggest(project.paragraphs, judged, model, embed, n, project.params.seed)


def _import_file(project: Project, path: Path, annotator: str, ranks: Mapping[str, int]) -> int:
    """Add the labels of a file to labels.csv; returns how many rows could not be imported."""
    from paratopic.annotation import formats
    from paratopic.labels.answers import merge

    topics, target = project.params.topics, project.labels_file
    imported = formats.read_answers(path, project.paragraphs, topics)
    merged = merge(target, imported.labels, annotator, ranks, topics)
    for problem in imported.problems:
        print(problem, file=sys.stderr)
    for dispute in merged.disputes:
        print(f"disputed: {dispute}")
    left_out = "".join(f", {count} {reason}" for reason, count in sorted(imported.left_out.items()))
    print(
        f"{path}: {merged.added} new labels in {target}, {merged.known} already there, "
        f"{len(merged.disputes)} disputed, {len(imported.problems)} not imported{left_out}"
    )
    return len(imported.problems)


def _doubtful_table(doubtful: pd.DataFrame) -> Table:
    from paratopic.labels.log import first_words

    table = Table("paragraph", "label", "suggestion", "confidence", "reason")
    for row in doubtful.to_dict("records"):
        table.add_row(
            first_words(row["text"]),
            row["topics"].replace(";", "; ") or "–",
            row["suggestion"] or "–",
            f"{row['confidence']:.2f}",
            row["reason"],
        )
    return table


def _write_again(project: Project, doubtful: pd.DataFrame, out: Path) -> None:
    """Write paragraphs to be labelled again, with the models' suggestions and the reasons."""
    from paratopic.annotation import formats
    from paratopic.annotation.context import in_context

    scores = [
        {row["suggestion"]: row["confidence"]} if row["suggestion"] else {}
        for row in doubtful.to_dict("records")
    ]
    suggestions = in_context(
        project.paragraphs, list(doubtful["paragraph"]), scores, list(doubtful["reason"])
    )
    models = " and ".join(project.params.models)
    written = formats.write_tasks(out, suggestions, project.params.topics, models)
    print(f"to be labelled again: {', '.join(map(str, written))}")
