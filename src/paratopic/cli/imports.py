"""The command `paratopic import`: labels from other files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from paratopic.annotation import exchange
from paratopic.annotation.exchange import ImportedLabels
from paratopic.cli.next_steps import next_steps, print_steps, user_name
from paratopic.labels.votes import merge
from paratopic.project.errors import SOME_ERRORS, plural, shortened_list
from paratopic.results.project import Project

log = logging.getLogger(__name__)

MOST_LISTED = 20  # Numbers of empty rows that are printed.


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
    topics, paragraphs = project.params.topics, project.labelling.paragraphs
    contents = {path: exchange.read_votes(path, paragraphs, topics) for path in paths}
    name = _default_annotator(contents, annotator)
    for path, content in contents.items():
        _merge(project, path, content, name)
    _warn_of_gaps_in_draw(project, contents.values())
    steps = {
        f"edit {path}": "mend the rows that were left out (in a sheet, the column topics has a "
        "topic, or none), then import it again"
        for path, content in contents.items()
        if content.problems or exchange.EMPTY in content.skipped or not content.labels
    }
    if any(content.labels for content in contents.values()):
        steps |= next_steps(Project(project.folder))
    print_steps(steps)
    has_problems = any(content.problems for content in contents.values())
    raise typer.Exit(SOME_ERRORS if has_problems else 0)


def _default_annotator(contents: Mapping[Path, ImportedLabels], annotator: str | None) -> str:
    """Annotator of unnamed labels: the option, else the login name (logged); "" if all have one."""
    unnamed = []
    for path, content in contents.items():
        if not all(label.annotator for label in content.labels):
            unnamed.append(path)
    if not unnamed:
        return ""
    name = user_name(annotator)
    if annotator is None:
        log.warning(
            "note: labels in %s name no annotator, so they are recorded as %s's; --annotator sets "
            "another name",
            ", ".join(map(str, unnamed)),
            name,
        )
    return name


def _warn_of_gaps_in_draw(project: Project, contents: Collection[ImportedLabels]) -> None:
    """Warn of paragraphs labelled in Label Studio although the one drawn just before is not."""
    previous_ids: dict[str, str] = {}
    labelled = set(project.labelling.answers_on)
    for content in contents:
        previous_ids |= content.drawn_after
        labelled.update(label.paragraph for label in content.labels)
    if n_early := sum(id_ not in labelled for id_ in previous_ids.values()):
        log.warning(
            "note: %s an answer although the one drawn just before has none. Unless Label Studio "
            "shows its tasks in random order, the answers are not a random sample until all that "
            "were drawn have one.",
            project.labelling.in_units(plural(n_early, "paragraph has", "paragraphs have")),
        )


def _merge(project: Project, path: Path, imported: ImportedLabels, annotator: str) -> None:
    """Add a file's new labels to labels.csv, and print problems, disputes and totals.

    `annotator` is the name for labels without one; `path`, the file, is only for messages.
    """
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
    skipped = "".join(f", {len(rows)} {why}" for why, rows in sorted(imported.skipped.items()))
    print(
        f"{path}: {plural(added, 'new label')} in {target}, {len(labels) - added} already there, "
        f"{len(disputes)} disputed, {len(imported.problems)} not imported{skipped}"
    )
    if empty := imported.skipped.get(exchange.EMPTY):
        numbers = [place.rpartition(" ")[2] for place in empty]
        print(f"Empty rows: {shortened_list(numbers, MOST_LISTED)}")
