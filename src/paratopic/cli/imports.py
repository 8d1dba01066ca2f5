"""The command `paratopic import`: labels from other files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from paratopic.annotation import exchange
from paratopic.annotation.exchange import ImportedLabels
from paratopic.cli.next_steps import name_of_user, next_steps, print_steps
from paratopic.labels.answers import merge
from paratopic.project.errors import SOME_ERRORS, in_short, plural
from paratopic.results.project import Project

log = logging.getLogger(__name__)

MOST_LISTED = 20  # rows without an answer whose numbers are printed


def import_labels(
    paths: Annotated[list[Path], typer.Argument(help="Label Studio's JSON export, CSV or .xlsx.")],
    annotator: Annotated[
        str | None,
        typer.Option(help="Annotator of the labels that name none; default: your login name."),
    ] = None,
) -> None:
    """Add labels from other files to the project's labels.csv.

    The order of the files does not matter, and labels that are already there are not added again.
    Rows with an unknown paragraph or topic are reported by line or task, and the exit status is
    then 3. All other rows are imported.
    """
    project = Project()
    topics = project.params.topics
    read = {
        path: exchange.read_answers(path, project.labelling.paragraphs, topics) for path in paths
    }
    unnamed = [path for path in paths if not all(label.annotator for label in read[path].labels)]
    name = name_of_user(annotator) if unnamed else ""
    if unnamed and annotator is None:
        log.warning(
            "note: labels in %s name no annotator, so they are recorded as %s's; --annotator sets "
            "another name",
            ", ".join(map(str, unnamed)),
            name,
        )
    for path, imported in read.items():
        _merge(project, path, imported, name)
    _warn_of_another_order(project, read.values())
    problems = any(imported.problems for imported in read.values())
    open_rows = {
        f"edit {path}": "give the rows that were left out an answer (in a sheet, write a topic, or "
        "none, in the column topics), then import it again"
        for path, imported in read.items()
        if imported.problems or exchange.EMPTY in imported.left_out or not imported.labels
    }
    has_labels = any(imported.labels for imported in read.values())
    print_steps(open_rows | (next_steps(Project(project.folder)) if has_labels else {}))
    raise typer.Exit(SOME_ERRORS if problems else 0)


def _warn_of_another_order(project: Project, read: Collection[ImportedLabels]) -> None:
    """Say how many paragraphs were answered although the one drawn before them was not."""
    drawn_after = dict(chain.from_iterable(imported.drawn_after.items() for imported in read))
    answered = {label.paragraph for imported in read for label in imported.labels}
    labelled = answered | project.labelling.answers_on.keys()
    if n_early := sum(id_ not in labelled for id_ in drawn_after.values()):
        log.warning(
            "note: %s an answer although the one drawn just before has none. Unless Label Studio "
            "shows its tasks in random order, the answers are not a random sample until all that "
            "were drawn have one.",
            project.labelling.in_units(plural(n_early, "paragraph has", "paragraphs have")),
        )


def _merge(project: Project, path: Path, imported: ImportedLabels, annotator: str) -> None:
    """Add the labels of a file to labels.csv, and report."""
    ranks = {id_: rank for rank, id_ in enumerate(project.labelling.paragraphs["id"])}
    target, params = project.labels_file, project.params
    labels = imported.labels
    added, disputes = merge(target, labels, annotator, ranks, params.topics, params.labels)
    for problem in imported.problems:
        print(problem, file=sys.stderr)
    for dispute in disputes:
        print(f"disputed: {dispute}")
    for reason, number in imported.retired.items():
        print(f"{plural(number, 'label')} to be given again ({reason}): `paratopic suggest`")
    left_out = "".join(f", {len(rows)} {why}" for why, rows in sorted(imported.left_out.items()))
    print(
        f"{path}: {plural(added, 'new label')} in {target}, {len(labels) - added} already there, "
        f"{len(disputes)} disputed, {len(imported.problems)} not imported{left_out}"
    )
    if empty := imported.left_out.get(exchange.EMPTY):
        numbers = [where.rpartition(" ")[2] for where in empty]
        print(f"Empty rows: {in_short(numbers, MOST_LISTED)}")
