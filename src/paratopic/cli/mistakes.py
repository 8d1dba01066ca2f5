"""The command `paratopic errors`: where the champion's out-of-fold answers are wrong.

Counting and testing are for `evaluation`, which is imported late.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table
from rich.text import Text

from paratopic.cli.forecast import check_scored, read_champion
from paratopic.cli.predict import neighbourhood
from paratopic.cli.project import Again, Project, lines_of, read_project, write_again
from paratopic.cli.terminal import terminal
from paratopic.corpus.labelled import read_with_folds
from paratopic.corpus.metadata import read_metadata
from paratopic.corpus.table import read_parquet
from paratopic.evaluation.mistakes import Answered, answered, confusions
from paratopic.evaluation.slices import Slice, columns_of, find_slices, verdict
from paratopic.inference.loading import load
from paratopic.inference.neighbours import Neighbourhood
from paratopic.labels.answers import by_paragraph
from paratopic.labels.log import UNNAMED, first_words
from paratopic.project.errors import UserError
from paratopic.project.paths import METADATA, MODELS, SCORES
from paratopic.project.plurals import plural
from paratopic.project.topics import NONE

log = logging.getLogger(__name__)

# Kinds of mistakes that are printed.
MOST_KINDS = 20
REASON = "the model says otherwise"

By = Annotated[
    list[str] | None,
    typer.Option(
        help="Column to look for slices in: length, position, heading, annotator, year, month, or "
        "any column of metadata; repeat for several. Default: all.",
        show_default=False,
    ),
]


def mistakes(
    n: Annotated[int, typer.Option(min=1, help="List at most this many mistakes.")] = 20,
    by: By = None,
    out: Again = None,
) -> None:
    """List the champion's wrong out-of-fold answers, and the slices where it does worse.

    The file of --out does not show the labels, so that nobody is influenced by them.
    """
    project = read_project()
    champion = read_champion()
    check_scored(champion)
    answers = answers_of(project, champion)
    slices = slices_of(project, answers, by or [])
    listed, n_wrong = answers.mistakes.head(n), len(answers.mistakes)
    n_answers = plural(len(answers.table), "answer")
    print(f"{champion}: {n_wrong} of {n_answers} wrong ({len(listed)} listed)")
    kinds = confusions(answers, project.params.topics)
    for kind in kinds[:MOST_KINDS]:
        print(f"  {kind}")
    if len(kinds) > MOST_KINDS:
        print(f"  and {plural(len(kinds) - MOST_KINDS, 'rarer kind')}")
    if n_wrong:
        terminal(highlight=False).print(_table(listed, project, labelled_by(champion)))
    _print_slices(slices)
    if out is not None:
        rows = listed[["id", "most_probable", "confidence"]]
        rows = rows.set_axis(["paragraph", "suggestion", "confidence"], axis="columns")
        write_again(project, rows.assign(reason=REASON), champion, out)


def answers_of(project: Project, champion: str) -> Answered:
    """The champion's out-of-fold answers beside their labels.

    Raises
    ------
    UserError
        Nothing is measured.
    """
    scores = read_parquet(SCORES / champion / "scores.parquet")
    if scores.empty:
        raise UserError(
            "nothing has been measured yet, so no mistakes are known: label more paragraphs, and "
            "run `dvc repro`"
        )
    return answered(read_with_folds(project.params.topics), scores)


def slices_of(project: Project, answers: Answered, columns: Sequence[str]) -> list[Slice]:
    """The slices of columns, of all by default, the worst first.

    Raises
    ------
    UserError
        There is no such column, or it has too many values.
    """
    people = {
        paragraph: " and ".join(sorted({line.annotator or UNNAMED for line in lines}))
        for paragraph, lines in by_paragraph(project.answers).items()
    }
    params, ids = project.params, list(answers.table["id"])
    values = columns_of(project.paragraphs, read_metadata(METADATA), ids, people, columns)
    return find_slices(values, answers, params.evaluate.confidence, params.seed)


def labelled_by(champion: str) -> Neighbourhood | None:
    """The labelled paragraphs as the champion reads them; None and a note where it is missing."""
    try:
        return neighbourhood(load(str(MODELS / champion)))
    except UserError as error:
        log.warning("note: similar labelled paragraphs are not shown: %s", error)
        return None


def _table(listed: pd.DataFrame, project: Project, labelled: Neighbourhood | None) -> Table:
    """The line of each label in its file, the paragraph, the answer, and what is most like it."""
    answers, names = by_paragraph(project.answers), project.in_words(list(listed["id"]))
    table = Table.grid(padding=(0, 2, 1, 0))
    for row in listed.to_dict("records"):
        answer, label = (row[name] or NONE for name in ("answer", "label"))
        verdict = f"label: {label}, answer: {answer} (certainty {row['certainty']:.2f})"
        details = [names[row["id"]], row["text"], verdict]
        if labelled and (near := labelled.nearest_other(row["text"])):
            topics = "; ".join(near.topics) or NONE
            details.append(
                f"most similar (≈ {near.similarity:.2f}): {near.id}, labelled {topics}: "
                f"{first_words(near.text)}"
            )
        where = lines_of(answers.get(row["id"], []))
        table.add_row(where, Text("\n".join(details), overflow="fold"))
    return table


def _print_slices(slices: Sequence[Slice]) -> None:
    print(verdict(slices))
    for each in slices:
        if each.is_worse:
            print(f"  {each}")
