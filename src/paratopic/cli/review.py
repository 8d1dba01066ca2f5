"""The command `paratopic review`: ties, and labels that are doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table
from rich.text import Text

from paratopic.cli.project import TIE, Again, Project, lines_of, read_project, write_again
from paratopic.cli.terminal import terminal
from paratopic.evaluation.review import rank_contradicted, rank_doubtful, read_scores
from paratopic.labels.answers import by_paragraph
from paratopic.labels.log import UNNAMED, Label, first_words
from paratopic.project.errors import UserError
from paratopic.project.plurals import plural
from paratopic.project.topics import topics_in_words

# The same of an answer of a weak source, whose name follows.
CONTRADICTS = "the models contradict "


def review(
    n: Annotated[int, typer.Option(min=1, help="List at most this many.")] = 50, out: Again = None
) -> None:
    """List ties between annotators, then the labels that are doubtful, and why.

    A hand label is doubtful if out-of-fold scores contradict it, or if a near-duplicate has another
    label. The most doubtful label comes first. Answers of weak sources that the scores contradict
    come last. The file of --out does not show the labels, so that nobody is influenced by them.
    """
    project = read_project()
    models, topics = project.params.models, project.params.topics
    ties = project.tied
    tied = list(ties)[:n]
    if tied:
        terminal().print(_tied_table({id_: ties[id_] for id_ in tied}, project))
        left_out = project.params.prepare.ties == "leave_out"
        until = " Until then, the paragraph has no label." if left_out else ""
        n_ties = plural(len(ties), "tie")
        print(f"{n_ties} ({len(tied)} listed). Another answer settles a tie.{until}")
    rows, scores = read_scores(project.labelled, models)
    if rows.empty and not tied:
        raise UserError(
            "there is nothing to review: no paragraph has a hand label. Label some "
            "(`paratopic label`), then run `dvc repro`"
        )
    ranked = rank_doubtful(rows, scores, topics)
    doubtful = ranked[(ranked["reason"] != "") & ~ranked["paragraph"].isin(tied)]
    answers = by_paragraph(project.answers)
    where = [lines_of(answers.get(id_, [])) for id_ in doubtful["paragraph"]]
    listed = doubtful.assign(where=where).head(n)
    if len(doubtful):
        terminal().print(_doubtful_table(listed, project))
    n_labels = plural(len(rows), "hand label")
    print(f"{len(doubtful)} of {n_labels} doubtful ({len(listed)} listed)")
    if n_unsure := int(ranked["unsure"].sum()):
        others = plural(n_unsure, "label names", "labels name")
        print(
            f"{others} a topic where the models find no topic probable. The models are unsure "
            "there, which does not make a label doubtful (see `paratopic errors`)."
        )
    contradicted = rank_contradicted(project.labelled, scores)
    in_file = {(line.paragraph, line.annotator): lines_of([line]) for line in project.of_sources}
    # Rules and headings are in the codebook.
    where = [
        in_file.get((str(id_), str(source)), str(source))
        for id_, source in zip(contradicted["paragraph"], contradicted["source"], strict=True)
    ]
    reason = [f"{CONTRADICTS}{source}" for source in contradicted["source"]]
    of_sources = contradicted.assign(reason=reason, where=where).head(n)
    if len(contradicted):
        terminal().print(_doubtful_table(of_sources, project))
        n_answers = plural(len(contradicted), "answer")
        print(f"the models contradict {n_answers} of weak sources ({len(of_sources)} listed)")
    if out is not None:
        unsettled = pd.DataFrame(
            {"paragraph": tied, "suggestion": "", "confidence": 0.0, "reason": TIE}
        )
        listed = pd.concat([unsettled, listed, of_sources]).drop_duplicates("paragraph")
        write_again(project, listed, " and ".join(models), out)


def _doubtful_table(doubtful: pd.DataFrame, project: Project) -> Table:
    """Where each label is, and its paragraph, the label and why it is doubtful."""
    names = project.in_words(list(doubtful["paragraph"]))
    table = Table.grid(padding=(0, 2, 1, 0))
    for row in doubtful.to_dict("records"):
        label = topics_in_words(row["topics"])
        if row["suggestion"]:
            label += f" (suggestion: {row['suggestion']} {row['confidence']:.2f})"
        details = [names[row["paragraph"]], first_words(row["text"])]
        details.append(f"{label}: {row['reason']}")
        table.add_row(row["where"], Text("\n".join(details), overflow="fold"))
    return table


def _tied_table(tied: Mapping[str, Sequence[Label]], project: Project) -> Table:
    """The lines of the answers on each paragraph, the paragraph and who gave it which topics."""
    text_of = dict(zip(project.paragraphs["id"], project.paragraphs["text"], strict=True))
    names = project.in_words(tied)
    table = Table.grid(padding=(0, 2, 1, 0))
    for paragraph, answers in tied.items():
        given = "; ".join(
            f"{answer.annotator or UNNAMED}: {topics_in_words(answer.names)}" for answer in answers
        )
        details = [names[paragraph], first_words(text_of[paragraph]), f"{given}: {TIE}"]
        table.add_row(lines_of(answers), Text("\n".join(details), overflow="fold"))
    return table
