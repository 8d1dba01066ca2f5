"""The commands `paratopic codebook`: change the codebook while labels are there, and what is to do.

A change is one line in labels.csv and an edit of params.yaml. The line is written first: what reads
a line without the edit can tell how to finish it, and the other way round nothing would tell that
labels with an old name were meant to change.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from paratopic.cli.labels import Count, Tasks, labels_file, read_project, read_tables
from paratopic.inference.loading import load
from paratopic.project.codebook import Change, Kind, first_definition
from paratopic.project.errors import UserError
from paratopic.project.paths import CHAMPION, PARAMS
from paratopic.project.plurals import plural

if TYPE_CHECKING:
    from paratopic.labels.answers import Reopened
    from paratopic.project.params import Params

log = logging.getLogger(__name__)

codebook = typer.Typer(
    no_args_is_help=True, help="Change the topics of a project that has labels; the labels follow."
)


@codebook.command()
def rename(
    old: Annotated[str, typer.Argument(help="Name of a topic.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
) -> None:
    """Rename a topic; its labels get the new name at once."""
    _change("rename", [old], [new])


@codebook.command()
def merge(
    names: Annotated[list[str], typer.Argument(help="Names of the topics to merge.")],
    into: Annotated[
        str | None, typer.Option(help="Name of the merged topic: one of them, or a new one.")
    ] = None,
) -> None:
    """Merge topics into one; their labels become its labels at once."""
    _change("merge", names, [] if into is None else [into])


@codebook.command()
def split(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Name of the topic to split."),
    ],
    into: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME NAME ...", help="Topics that replace it; the old name may be one of them."
        ),
    ] = None,
) -> None:
    """Split a topic; somebody has to look at its paragraphs again."""
    # An option takes one word each time that it is given: the words after it are arguments.
    _change("split", names[:1], [*(into or []), *names[1:]] if into else [])


@codebook.command()
def drop(name: Annotated[str, typer.Argument(help="Name of a topic.")]) -> None:
    """Drop a topic; somebody has to look at its paragraphs again."""
    _change("drop", [name], [])


@codebook.command()
def todo(n: Count = 50, out: Tasks = None) -> None:
    """List the paragraphs to look at again because a topic was split or dropped.

    The hardest paragraphs come first: those that are almost equally similar to two of the topics
    that could replace theirs. This order needs a model and the topics' definitions; without them,
    paragraphs are in the order of the table. Without --out, the list is printed as CSV.
    """
    from paratopic.annotation import formats
    from paratopic.annotation.again import look_again

    project = read_project()
    topics, again = project.params.topics, project.again
    if not again:
        print("There is nothing to look at again")
        return
    model = load() if CHAMPION.exists() else None
    wanted = {name for reopened in again.values() for name in reopened.topics or topics.names}
    named = {"", *map(first_definition, wanted)}
    bare = [t.name for t in topics.topics if t.name in wanted and t.description in named]
    if model and bare:
        model = None
        log.warning(
            "note: these topics have no definition: %s. Paragraphs are therefore in the order of "
            "the table; write definitions in params.yaml to see the hardest first",
            ", ".join(bare),
        )
    listed = look_again(project.paragraphs, again, topics, model)[:n]
    if out is None:
        sys.stdout.write(formats.sheet(listed))
        return
    written = formats.write_tasks(out, listed, topics, model.kind if model else "")
    waiting = plural(len(again), "paragraph")
    print(f"{len(listed)} of {waiting} to look at again: {', '.join(map(str, written))}")


def _change(kind: Kind, names: list[str], into: list[str]) -> None:
    """Change labels.csv and params.yaml, or neither, and say what that means.

    Raises
    ------
    UserError
        The change makes no codebook, an earlier one is not finished, or a file cannot be read or
        edited.
    """
    from paratopic.corpus.table import has_hand_label
    from paratopic.labels.codebook import is_unfinished, unfinished
    from paratopic.labels.log import append_locked, line_of, locked, read_lines
    from paratopic.labels.tables import follow_changes
    from paratopic.project import files
    from paratopic.project.params import parse_params, read_params, read_text

    try:
        change = Change(kind, tuple(names), tuple(into))
    except ValueError as error:
        raise UserError(str(error)) from None
    path = labels_file(read_params())
    with locked(path):
        text = read_text()
        params = parse_params(text)
        lines = read_lines(path) if path.exists() else []
        is_logged = is_unfinished(lines, change, params.topics)
        if not is_logged and (problem := unfinished(lines, params.topics)):
            raise UserError(problem)
        new_text = _edited(text, params, change)
        tables = read_tables(params, lines)
        before: Mapping[str, Reopened] = {}
        with files.aside(PARAMS) as draft:
            draft.write_bytes(new_text.encode())  # first: the disk may be full
            if not is_logged:
                before = follow_changes(*tables, lines, params.topics)[1].again
                append_locked(path, line_of(change))
        frame, after = follow_changes(*tables, read_lines(path), parse_params(new_text).topics)
    print(f"{change}, in {PARAMS} and {path}")
    if change.opens:
        n_new = len(after.again.keys() - before.keys())
        waiting = plural(n_new, "paragraph has", "paragraphs have")
        print(f"{waiting} to be looked at again: `paratopic codebook todo`")
    else:
        of_tables = frame["topics"][has_hand_label(frame)]
        counts = {
            "answer": sum(change.into[0] in answer.names for answer in after.answers),
            "table label": sum(change.into[0] in names for names in of_tables),
        }
        labels = " and ".join(plural(n, what) for what, n in counts.items() if n) or "no labels"
        print(f"{change.into[0]} now has {labels}")
    print(_ABOUT_DEFINITIONS[kind])


_ABOUT_DEFINITIONS: dict[Kind, str] = {
    "rename": "The definition has not changed. Next: dvc repro",
    "merge": "The definitions were joined: read the result in params.yaml. Next: dvc repro",
    "split": "Define each of the topics in params.yaml. Next: dvc repro prepare",
    "drop": "Next: dvc repro prepare",
}


def _edited(text: str, params: Params, change: Change) -> str:
    """The text of params.yaml after the change, from which nothing else is read than before.

    Raises
    ------
    UserError
        The change makes no codebook, or the text has a form that cannot be edited.
    """
    from paratopic.project.codebook import edited
    from paratopic.project.params import parse_params

    entries = change.entries(params.topics)
    topics = tuple(entry.topic for entry in entries)
    try:
        new_text = edited(text, entries)
        new = parse_params(new_text)
        is_right = new.topics.topics == topics and replace(new, topics=params.topics) == params
    except (UserError, LookupError, StopIteration):
        is_right = False
    if not is_right:
        raise UserError(
            f"{PARAMS}: the codebook cannot be edited as it is written; write each topic as a line "
            "`- name: …` with its definition and heading below it, without anchors"
        )
    return new_text
