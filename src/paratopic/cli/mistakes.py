"""The commands `paratopic errors` and `paratopic review`: wrong answers, and doubtful labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
import typer

from paratopic.annotation import formats
from paratopic.annotation.suggestion import in_context
from paratopic.cli.predict import labelled_paragraphs
from paratopic.cli.project import Project, check_out, read_project
from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import in_words, read_parquet
from paratopic.evaluation.outcomes import Answered, answered, confusions
from paratopic.findings.review import rank_doubtful, read_scores
from paratopic.findings.slices import columns_of, describe_slices, find_slices
from paratopic.inference.nearest import LikeParagraph
from paratopic.labels.log import first_words
from paratopic.project import files
from paratopic.project.errors import UserError, plural
from paratopic.project.files import MODELS
from paratopic.project.terminal import listing, terminal
from paratopic.project.topics import NONE, topics_in_words

Again = Annotated[
    Path | None,
    typer.Option(
        help="Write the listed paragraphs to a file, to label them again: .json (Label Studio), "
        ".csv or .xlsx (a spreadsheet, `paratopic label`)."
    ),
]

# Kinds of mistakes that are printed.
MOST_KINDS = 20
REASON = "the model says otherwise"
# Why a paragraph is to be labelled again that annotators do not agree on.
TIE = "a tie between annotators"


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
        _print_labels(project, listed.assign(verdict=list(_verdicts(listed, nearest))))
    print("\n  ".join(slices))
    if out is not None:
        listed = listed.rename(columns={"most_probable": "suggestion"})
        _write_again(project, listed.assign(reason=REASON), project.champion, out)


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
    return Mistakes(answers, confusions(answers, params.topics), describe_slices(slices), nearest)


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
        _write_again(project, listed, " and ".join(models), out)


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
    _print_labels(project, listed.assign(text=shortened, verdict=verdicts))
    return listed


def _print_labels(project: Project, rows: pd.DataFrame) -> None:
    """Print where labels are: lines of labels.csv or rows of tables, with what they are on.

    Parameters
    ----------
    rows
        Columns paragraph (id), text and verdict.
    """
    if rows.empty:
        return
    in_tables = project.votes.dropna(subset="place")
    place_of = dict(zip(in_tables["paragraph"], in_tables["place"], strict=True))
    names, listed = in_words(read_parquet(files.METADATA), list(rows["paragraph"])), []
    for row in rows.to_dict("records"):
        id_ = row["paragraph"]
        lines = ", ".join(answer.line for answer in project.answers_on.get(id_, []))
        where = f"line {lines}" if lines else place_of.get(id_, "")
        listed.append((where, (names[id_], row["text"], row["verdict"])))
    terminal().print(listing(listed))
    if any(map(project.answers_on.get, rows["paragraph"])):
        print(f"Lines are those of {project.labels_file}.")


def _write_again(project: Project, doubtful: pd.DataFrame, models: str, out: Path) -> None:
    """Write paragraphs to be labelled again, with a suggestion and the reason.

    Parameters
    ----------
    doubtful
        Columns paragraph (id), suggestion (a topic, "" for none), confidence (its probability)
        and reason.
    """
    check_out(out)
    paragraphs = in_context(project.paragraphs, dict.fromkeys(doubtful["paragraph"], ""))
    suggestions, when = [], project.next_time
    for paragraph, row in zip(paragraphs, doubtful.to_dict("records"), strict=True):
        scores = {row["suggestion"]: row["confidence"]} if row["suggestion"] else {}
        again = replace(paragraph, scores=scores, reason=row["reason"], when=when)
        suggestions.append(again)
    written = formats.write_tasks(out, suggestions, project.params.topics, models)
    listed = project.in_units(plural(len(suggestions), "paragraph"))
    print(f"{listed} to label again: {', '.join(map(str, written))}")
