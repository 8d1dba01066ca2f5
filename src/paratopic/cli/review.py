"""The command `paratopic review`: ties, and labels that are doubtful."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Annotated

import pandas as pd
import typer

from paratopic.cli.project import (
    TIE,
    Again,
    Project,
    lines_of,
    note_changes,
    read_project,
    write_again,
)
from paratopic.evaluation.review import rank_contradicted, rank_doubtful, read_scores
from paratopic.labels.log import UNNAMED, first_words
from paratopic.project.errors import UserError, plural
from paratopic.project.terminal import listing, terminal
from paratopic.project.topics import topics_in_words


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
    note_changes()
    tied = _print_ties(project, n)
    rows, scores = read_scores(project.labelled, models)
    if rows.empty and not tied:
        raise UserError(
            "there is nothing to review: no paragraph has a hand label. Label some "
            "(`paratopic label`), then run `dvc repro`"
        )
    doubtful = _print_doubtful(rank_doubtful(rows, scores, topics), project, tied, n)
    contradicted = rank_contradicted(project.labelled, scores)
    of_sources = _print_contradicted(contradicted, project, n)
    if out is not None:
        unsettled = pd.DataFrame(
            {"paragraph": tied, "suggestion": "", "confidence": 0.0, "reason": TIE}
        )
        listed = pd.concat([unsettled, doubtful, of_sources]).drop_duplicates("paragraph")
        write_again(project, listed, " and ".join(models), out)


def _print_ties(project: Project, n: int) -> list[str]:
    """Print who gave which topics in the first n ties; returns the ids of their paragraphs."""
    ties = project.tied
    listed = dict(islice(ties.items(), n))
    if ties:
        text_of = dict(zip(project.paragraphs["id"], project.paragraphs["text"], strict=True))
        names, rows = project.in_words(listed), []
        for id_, answers in listed.items():
            given = "; ".join(
                f"{a.annotator or UNNAMED}: {topics_in_words(a.names)}" for a in answers
            )
            details = names[id_], first_words(text_of[id_]), f"{given}: {TIE}"
            rows.append((lines_of(answers), details))
        terminal().print(listing(rows))
        left_out = project.params.prepare.ties == "leave_out"
        until = " Until then, the paragraph has no label." if left_out else ""
        n_ties = plural(len(ties), "tie")
        print(f"{n_ties} ({len(listed)} listed). Another answer settles a tie.{until}")
    return list(listed)


def _print_doubtful(
    ranked: pd.DataFrame, project: Project, tied: Collection[str], n: int
) -> pd.DataFrame:
    """Print the first n labels that are doubtful and not tied; returns them."""
    doubtful = ranked[(ranked["reason"] != "") & ~ranked["paragraph"].isin(tied)]
    where = [lines_of(project.answers_on.get(id_, [])) for id_ in doubtful["paragraph"]]
    listed = doubtful.assign(where=where).head(n)
    _print_rows(listed, project)
    n_labels = plural(len(ranked), "hand label")
    print(f"{len(doubtful)} of {n_labels} doubtful ({len(listed)} listed)")
    if n_unsure := int(ranked["unsure"].sum()):
        others = plural(n_unsure, "label names", "labels name")
        print(
            f"{others} a topic where the models find no topic probable. The models are unsure "
            "there, which does not make a label doubtful (see `paratopic errors`)."
        )
    return listed


def _print_contradicted(contradicted: pd.DataFrame, project: Project, n: int) -> pd.DataFrame:
    """Print the first n answers of weak sources that the models contradict; returns them."""
    in_file = {(line.paragraph, line.annotator): lines_of([line]) for line in project.of_sources}
    # Rules and headings are in the codebook.
    where = [
        in_file.get((str(id_), str(source)), str(source))
        for id_, source in zip(contradicted["paragraph"], contradicted["source"], strict=True)
    ]
    reason = [f"the models contradict {source}" for source in contradicted["source"]]
    listed = contradicted.assign(reason=reason, where=where).head(n)
    _print_rows(listed, project)
    if len(contradicted):
        n_answers = plural(len(contradicted), "answer")
        print(f"the models contradict {n_answers} of weak sources ({len(listed)} listed)")
    return listed


def _print_rows(doubtful: pd.DataFrame, project: Project) -> None:
    """Print where each label is, and its paragraph, the label and why it is doubtful."""
    if doubtful.empty:
        return
    names, rows = project.in_words(list(doubtful["paragraph"])), []
    for row in doubtful.to_dict("records"):
        label = topics_in_words(row["topics"])
        if row["suggestion"]:
            label += f" (suggestion: {row['suggestion']} {row['confidence']:.2f})"
        details = names[row["paragraph"]], first_words(row["text"]), f"{label}: {row['reason']}"
        rows.append((row["where"], details))
    terminal().print(listing(rows))
