"""The command `paratopic errors`: where the champion's out-of-fold answers are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, NamedTuple

import pandas as pd
import typer

from paratopic.cli.predict import labelled_paragraphs
from paratopic.cli.project import Again, Project, read_project
from paratopic.corpus.labelled import read_sampled
from paratopic.evaluation.outcomes import Answered, answered, confusions
from paratopic.findings.slices import columns_of, find_slices, in_words
from paratopic.inference.nearest import LikeParagraph
from paratopic.labels.log import first_words
from paratopic.project.errors import UserError, plural
from paratopic.project.files import MODELS
from paratopic.project.topics import NONE

# Kinds of mistakes that are printed.
MOST_KINDS = 20
REASON = "the model says otherwise"


def mistakes(
    n: Annotated[int, typer.Option(min=1, help="List at most this many mistakes.")] = 20,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to look for slices in: length, position, heading, annotator, year, month, "
            "or any column of metadata; repeat for several. Default: all."
        ),
    ] = None,
    out: Again = None,
) -> None:
    """List the champion's wrong out-of-fold answers, and the slices where it does worse.

    The file of --out does not show the labels, so that nobody is influenced by them.
    """
    project = read_project()
    answers, kinds, slices, nearest = mistakes_of(project, by or [])
    listed, n_wrong = answers.mistakes.head(n), len(answers.mistakes)
    listed = listed.rename(columns={"id": "paragraph"})
    n_answers = plural(len(answers.table), "answer")
    print(f"{project.champion}: {n_wrong} of {n_answers} wrong ({len(listed)} listed)")
    for kind in kinds[:MOST_KINDS]:
        print(f"  {kind}")
    if len(kinds) > MOST_KINDS:
        print(f"  and {plural(len(kinds) - MOST_KINDS, 'rarer kind')}")
    if n_wrong:
        project.print_labels(listed.assign(verdict=list(_verdicts(listed, nearest))))
    print("\n  ".join(slices))
    if out is not None:
        listed = listed.rename(columns={"most_probable": "suggestion"})
        project.write_again(listed.assign(reason=REASON), project.champion, out)


class Mistakes(NamedTuple):
    """Where the champion's out-of-fold answers are wrong.

    Attributes
    ----------
    answers
        All of them, beside their labels.
    confusions
        What is mistaken for what, in words, the most frequent first.
    slices
        A line that says whether any slice is worse, and a line for each that is.
    nearest
        Finds the labelled paragraph that is most like a text; None where there is none to compare.
    """

    answers: Answered
    confusions: list[str]
    slices: list[str]
    nearest: Callable[[str], LikeParagraph | None]


def mistakes_of(project: Project, columns: Sequence[str] = ()) -> Mistakes:
    """Find mistakes, and slices of columns, of all by default, where the champion does worse.

    Raises
    ------
    UserError
        Nothing is measured; or there is no such column, or it has too many values.
    """
    params, scores = project.params, project.scores
    if scores.empty:
        raise UserError(
            "nothing has been measured yet, so no mistakes are known: label more paragraphs, and "
            "run `dvc repro`"
        )
    answers = answered(read_sampled(params.topics), scores)
    people = {
        paragraph: " and ".join(sorted({line.who for line in lines}))
        for paragraph, lines in project.answers_on.items()
    }
    values = columns_of(project.everything, list(answers.table["id"]), people, columns)
    slices = find_slices(values, answers, params.evaluate.confidence, params.seed)
    wrong = len(answers.mistakes) > 0
    labelled = labelled_paragraphs(MODELS / project.champion) if wrong else None
    nearest = labelled.nearest_other if labelled else lambda text: None
    return Mistakes(answers, confusions(answers, params.topics), in_words(slices), nearest)


def _verdicts(
    listed: pd.DataFrame, nearest: Callable[[str], LikeParagraph | None]
) -> Iterator[str]:
    """The label and the answer of each mistake, and the labelled paragraph most like it."""
    for row in listed.to_dict("records"):
        answer, label = (row[name] or NONE for name in ("answer", "label"))
        verdict = f"label: {label}, answer: {answer} (probability {row['certainty']:.2f})"
        if near := nearest(row["text"]):
            topics = "; ".join(near.topics) or NONE
            verdict += (
                f"\nmost similar (≈ {near.similarity:.2f}): {near.id}, labelled {topics}: "
                f"{first_words(near.text)}"
            )
        yield verdict
