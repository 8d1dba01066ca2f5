"""The commands `paratopic errors` and `paratopic review`: mistakes, and doubtful labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from paratopic.annotation import exchange
from paratopic.annotation.suggestion import make_suggestions
from paratopic.cli.next_steps import check_out, print_changes
from paratopic.cli.predict import labelled_paragraphs
from paratopic.corpus.table import ids_in_words, read_parquet
from paratopic.findings.review import rank_doubtful, read_scores
from paratopic.labels.log import first_words
from paratopic.project.errors import UserError, plural
from paratopic.project.terminal import stdout_console, two_column_table
from paratopic.project.topics import NO_TOPIC_SHORT, topics_in_words
from paratopic.results.project import Labelling, Project

SheetOption = Annotated[
    Path | None,
    typer.Option(
        help="Write the listed paragraphs to a file, to label them again: .json (Label Studio), "
        ".csv or .xlsx (a spreadsheet, `paratopic label`)."
    ),
]

MOST_KINDS = 20  # Kinds of mistakes that are printed.


def mistakes(
    n: Annotated[int, typer.Option(min=1, help="List at most this many mistakes.")] = 20,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to look for slices in: length, position, heading, annotator, year, month, "
            "or any column of metadata; repeat for several. Default: all."
        ),
    ] = None,
    out: SheetOption = None,
) -> None:
    """List the champion's wrong out-of-fold answers, and the slices where it does worse.

    The file of --out does not show the labels, so that nobody is influenced by them.
    """
    project = Project()
    errors = project.errors(by or [])
    answers, kinds = errors.answers, errors.confusions
    listed = answers.mistakes.head(n).rename(columns={"id": "paragraph"})
    n_wrong, n_answers = len(answers.mistakes), plural(len(answers.table), "answer")
    print(f"{project.champion}: {n_wrong} of {n_answers} wrong ({len(listed)} listed)")
    for kind in kinds[:MOST_KINDS]:
        print(f"  {kind}")
    if len(kinds) > MOST_KINDS:
        print(f"  and {plural(len(kinds) - MOST_KINDS, 'rarer kind')}")
    if n_wrong:
        _print_labels(project, listed.assign(verdict=_verdicts(project, listed)))
    print("\n  ".join(errors.slices))
    if out is not None:
        listed = listed.rename(columns={"most_probable": "suggestion"})
        listed = listed.assign(reason="the model says otherwise")
        _write_sheet(project, listed, project.champion, out)


def _verdicts(project: Project, listed: pd.DataFrame) -> list[str]:
    """A text for each mistake: label, answer, certainty and, if any, a similar labelled text."""
    labelled = labelled_paragraphs(project.paths, project.paths.models / project.champion)
    verdicts = []
    for row in listed.to_dict("records"):
        label, answer = row["label"] or NO_TOPIC_SHORT, row["answer"] or NO_TOPIC_SHORT
        verdict = f"label: {label}, answer: {answer} (probability {row['certainty']:.2f})"
        if labelled and (near := labelled.nearest_other(row["text"])):
            topics = "; ".join(near.topics) or NO_TOPIC_SHORT
            neighbour = f"{near.id}, labelled {topics}: {first_words(near.text)}"
            verdict += f"\nmost similar (≈ {near.similarity:.2f}): {neighbour}"
        verdicts.append(verdict)
    return verdicts


def review(
    n: Annotated[int, typer.Option(min=1, help="List at most this many.")] = 50,
    out: SheetOption = None,
) -> None:
    """List ties between annotators, then the labels that are doubtful, and why.

    A hand label is doubtful if out-of-fold scores contradict it, or if a near-duplicate has another
    label. The most doubtful label comes first. Answers of weak sources that the scores contradict
    come last. The file of --out does not show the labels, so that nobody is influenced by them.
    """
    project = Project()
    labelling, params = project.labelling, project.params
    print_changes(project)
    ties = _ties(labelling)
    tied = _print_rows(project, ties, n)
    if len(ties):
        note = " Until then, there is no label." if params.prepare.ties == "leave_out" else ""
        n_ties = plural(len(ties), "tie")
        print(f"{n_ties} ({len(tied)} listed). Another answer settles a tie.{note}")
    rows, scores = read_scores(project.paths, labelling.labelled, params.models)
    if rows.empty and ties.empty:
        raise UserError(
            "there is nothing to review: no paragraph has a hand label. Label some "
            "(`paratopic label`), then run `dvc repro`"
        )
    ranked = rank_doubtful(rows, scores, params.topics)
    is_doubtful = (ranked["reason"] != "") & ~ranked["paragraph"].isin(tied["paragraph"])
    doubtful = _print_rows(project, ranked[is_doubtful], n)
    n_labels = plural(len(ranked), "hand label")
    print(f"{is_doubtful.sum()} of {n_labels} doubtful ({len(doubtful)} listed)")
    if n_unsure := int(ranked["unsure"].sum()):
        unsure = labelling.in_units(plural(n_unsure, "paragraph"))
        print(
            f"For {unsure} labelled with a topic, no topic reaches a probability of 50%. That "
            "alone is no reason to doubt the label (see `paratopic errors`)."
        )
    if out is not None:
        listed = pd.concat([tied, doubtful]).drop_duplicates("paragraph")
        _write_sheet(project, listed, " and ".join(params.models), out)


def _ties(labelling: Labelling) -> pd.DataFrame:
    """Ties: paragraph, text, votes ("Ann: a; Bo: b"), suggestion "", confidence 0, and reason."""
    ties = labelling.tied
    rows = labelling.paragraphs.loc[labelling.paragraphs["id"].isin(ties), ["id", "text"]]
    votes = []
    for id_ in rows["id"]:
        parts = [f"{vote.who}: {topics_in_words(vote.names)}" for vote in ties[id_]]
        votes.append("; ".join(parts))
    rows = rows.rename(columns={"id": "paragraph"})
    reason = "a tie between annotators"
    return rows.assign(votes=votes, suggestion="", confidence=0.0, reason=reason)


def _print_rows(project: Project, rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """Print the first n rows of `_ties` or `rank_doubtful`: label and reason; return these rows."""
    listed, verdicts = rows.head(n), []
    for row in listed.to_dict("records"):
        label = row["votes"] if "votes" in row else topics_in_words(row["label"])
        if row["suggestion"]:
            mean = f"mean of the models {row['confidence']:.2f}"
            label += f" (suggestion: {row['suggestion']}, {mean})"
        verdicts.append(f"{label}: {row['reason']}")
    shortened = listed["text"].map(first_words)
    _print_labels(project, listed.assign(text=shortened, verdict=verdicts))
    return listed


def _print_labels(project: Project, rows: pd.DataFrame) -> None:
    """Print rows (paragraph, text, verdict), each with its line in labels.csv or row in a table."""
    if rows.empty:
        return
    labelling = project.labelling
    table_votes = labelling.votes.dropna(subset="place")
    place_of_id = dict(zip(table_votes["paragraph"], table_votes["place"], strict=True))
    names = ids_in_words(read_parquet(project.paths.metadata), list(rows["paragraph"]))
    listed = []
    for row in rows.to_dict("records"):
        id_ = row["paragraph"]
        lines = ", ".join(vote.line for vote in labelling.answers_on.get(id_, []))
        place = f"line {lines}" if lines else place_of_id.get(id_, "")
        listed.append((place, (names[id_], row["text"], row["verdict"])))
    stdout_console().print(two_column_table(listed))
    if any(map(labelling.answers_on.get, rows["paragraph"])):
        print(f"Lines are those of {project.labels_file}.")


def _write_sheet(project: Project, doubtful: pd.DataFrame, models: str, out: Path) -> None:
    """Write rows to `out`, to be labelled again, with suggestions by `models`; print its path.

    `doubtful` has the columns paragraph (id), suggestion ("" for none), confidence and reason.
    """
    check_out(project, out)
    labelling = project.labelling
    paragraphs = make_suggestions(labelling.paragraphs, dict.fromkeys(doubtful["paragraph"], ""))
    suggestions, when = [], labelling.next_time
    for paragraph, row in zip(paragraphs, doubtful.to_dict("records"), strict=True):
        scores = {row["suggestion"]: row["confidence"]} if row["suggestion"] else {}
        suggestions.append(replace(paragraph, scores=scores, reason=row["reason"], when=when))
    written = exchange.write_tasks(out, suggestions, project.params.topics, models)
    listed = labelling.in_units(plural(len(suggestions), "paragraph"))
    print(f"{listed} to label again: {', '.join(map(str, written))}")
