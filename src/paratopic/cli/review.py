"""The command `paratopic review`: ties, and labels that are doubtful."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer

from paratopic.cli.project import Again, Project, read_project
from paratopic.findings.review import rank_doubtful, read_scores
from paratopic.labels.log import first_words
from paratopic.project.errors import UserError, plural
from paratopic.project.topics import topics_in_words

# Why a paragraph is to be labelled again that annotators do not agree on.
TIE = "a tie between annotators"


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
    project.note_changes()
    ties = _ties(project)
    tied = _printed(ties, project, n)
    if len(ties):
        left_out = project.params.prepare.ties == "leave_out"
        until = " Until then, there is no label." if left_out else ""
        n_ties = plural(len(ties), "tie")
        print(f"{n_ties} ({len(tied)} listed). Another answer settles a tie.{until}")
    rows, scores = read_scores(project.labelled, models)
    if rows.empty and ties.empty:
        raise UserError(
            "there is nothing to review: no paragraph has a hand label. Label some "
            "(`paratopic label`), then run `dvc repro`"
        )
    ranked = rank_doubtful(rows, scores, topics)
    is_doubtful = (ranked["reason"] != "") & ~ranked["paragraph"].isin(tied["paragraph"])
    doubtful = _printed(ranked[is_doubtful], project, n)
    n_labels = plural(len(ranked), "hand label")
    print(f"{is_doubtful.sum()} of {n_labels} doubtful ({len(doubtful)} listed)")
    if n_unsure := int(ranked["unsure"].sum()):
        unsure = project.in_units(plural(n_unsure, "paragraph"))
        print(
            f"For {unsure} labelled with a topic, no topic reaches a probability of 50%. That "
            "alone is no reason to doubt the label (see `paratopic errors`)."
        )
    if out is not None:
        listed = pd.concat([tied, doubtful]).drop_duplicates("paragraph")
        project.write_again(listed, " and ".join(models), out)


def _ties(project: Project) -> pd.DataFrame:
    """Paragraphs on which annotators are divided, and in column given who gave which topics."""
    ties = project.tied
    rows = project.paragraphs.loc[project.paragraphs["id"].isin(ties), ["id", "text"]]
    given = [
        "; ".join(f"{answer.who}: {topics_in_words(answer.names)}" for answer in ties[id_])
        for id_ in rows["id"]
    ]
    rows = rows.rename(columns={"id": "paragraph"})
    return rows.assign(given=given, suggestion="", confidence=0.0, reason=TIE)


def _printed(rows: pd.DataFrame, project: Project, n: int) -> pd.DataFrame:
    """Print the first n rows: each paragraph, its label and why it is doubtful; returns them."""
    listed, verdicts = rows.head(n), []
    for row in listed.to_dict("records"):
        label = row["given"] if "given" in row else topics_in_words(row["label"])
        if row["suggestion"]:
            label += f" (suggestion: {row['suggestion']} {row['confidence']:.2f})"
        verdicts.append(f"{label}: {row['reason']}")
    shortened = listed["text"].map(first_words)
    project.print_labels(listed.assign(text=shortened, verdict=verdicts))
    return listed
