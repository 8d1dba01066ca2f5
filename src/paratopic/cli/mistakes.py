"""The command `paratopic errors`: where the champion's out-of-fold answers are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import pandas as pd
import typer

from paratopic.cli.predict import neighbourhood
from paratopic.cli.project import Again, Project, check_measured, read_champion, read_project
from paratopic.corpus.labelled import read_with_folds
from paratopic.evaluation.outcomes import Answered, answered, confusions
from paratopic.findings.slices import columns_of, find_slices, in_words
from paratopic.inference.loading import load
from paratopic.inference.neighbours import Neighbourhood
from paratopic.labels.log import UNNAMED, first_words
from paratopic.project.errors import plural
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
            "or any column of metadata; repeat for several. Default: all.",
            show_default=False,
        ),
    ] = None,
    out: Again = None,
) -> None:
    """List the champion's wrong out-of-fold answers, and the slices where it does worse.

    The file of --out does not show the labels, so that nobody is influenced by them.
    """
    project = read_project()
    champion, scores = read_champion()
    answers = answers_of(project, scores)
    slices = slices_of(project, answers, by or [])
    listed, n_wrong = answers.mistakes.head(n), len(answers.mistakes)
    listed = listed.rename(columns={"id": "paragraph"})
    n_answers = plural(len(answers.table), "answer")
    print(f"{champion}: {n_wrong} of {n_answers} wrong ({len(listed)} listed)")
    kinds = confusions(answers, project.params.topics)
    for kind in kinds[:MOST_KINDS]:
        print(f"  {kind}")
    if len(kinds) > MOST_KINDS:
        print(f"  and {plural(len(kinds) - MOST_KINDS, 'rarer kind')}")
    if n_wrong:
        verdicts = _verdicts(listed, labelled_by(champion))
        project.print_labels(listed.assign(verdict=list(verdicts)))
    print("\n  ".join(slices))
    if out is not None:
        listed = listed.rename(columns={"most_probable": "suggestion"})
        project.write_again(listed.assign(reason=REASON), champion, out)


def answers_of(project: Project, scores: pd.DataFrame) -> Answered:
    """The champion's out-of-fold answers beside their labels, from its scores.

    Raises
    ------
    UserError
        Nothing is measured.
    """
    check_measured(scores, "no mistakes are known")
    return answered(read_with_folds(project.params.topics), scores)


def slices_of(project: Project, answers: Answered, columns: Sequence[str]) -> list[str]:
    """Whether a slice of columns, of all by default, is worse, and each that is, in words.

    Raises
    ------
    UserError
        There is no such column, or it has too many values.
    """
    people = {
        paragraph: " and ".join(sorted({line.annotator or UNNAMED for line in lines}))
        for paragraph, lines in project.answers_on.items()
    }
    params, ids = project.params, list(answers.table["id"])
    values = columns_of(project.everything, ids, people, columns)
    return in_words(find_slices(values, answers, params.evaluate.confidence, params.seed))


def labelled_by(champion: str) -> Neighbourhood | None:
    """The labelled paragraphs as the champion reads them; None and a note where it is missing."""
    return neighbourhood(lambda: load(str(MODELS / champion)))


def _verdicts(listed: pd.DataFrame, labelled: Neighbourhood | None) -> Iterator[str]:
    """The label and the answer of each mistake, and the labelled paragraph most like it."""
    for row in listed.to_dict("records"):
        answer, label = (row[name] or NONE for name in ("answer", "label"))
        verdict = f"label: {label}, answer: {answer} (certainty {row['certainty']:.2f})"
        if labelled and (near := labelled.nearest_other(row["text"])):
            topics = "; ".join(near.topics) or NONE
            verdict += (
                f"\nmost similar (≈ {near.similarity:.2f}): {near.id}, labelled {topics}: "
                f"{first_words(near.text)}"
            )
        yield verdict
